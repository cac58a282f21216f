//! Pictures of the memory map and the interrupt map.

use acpi::inspect::{Interrupt, Region, ResourceMap, Trigger, Use};

const ROW: usize = 18;
const PIN: usize = 22;

/// Memory from the highest address down, a row a region: not to scale, or nothing small would be seen.
pub(super) fn memory(map: &ResourceMap) -> String {
    let rows: String = map.memory.iter().rev().enumerate().map(|(n, region)| row(n, region)).collect();
    svg(560, ROW * map.memory.len() + 2, &rows)
}

fn row(n: usize, region: &Region) -> String {
    let y = n * ROW;
    let colour = match region.purpose {
        Use::Registers => "#9ecae1",
        Use::Window => "#a1d99b",
        Use::Reserved => "#d9d9d9",
    };
    format!(
        "<rect x='1' y='{}' width='558' height='{}' fill='{colour}' stroke='#555'/>\
         <text x='8' y='{}'>{:#012x}-{:#012x}</text><text x='260' y='{}'>{}</text>",
        y + 1,
        ROW,
        y + 14,
        region.first,
        region.last,
        y + 14,
        escaped(&region.owner),
    )
}

/// A row of inputs for each I/O APIC; those in use carry their device as a title.
pub(super) fn interrupts(map: &ResourceMap) -> String {
    let mut content = String::new();
    let mut width = 0;
    for (n, (id, first, last)) in map.ioapics.iter().enumerate() {
        let y = n * (PIN + 20);
        content += &format!("<text x='1' y='{}'>I/O APIC {id}, GSI {first} to {last}</text>", y + 13);
        for (place, gsi) in (*first..=*last).enumerate() {
            content += &pin(place * PIN, y + 17, gsi, &map.interrupts);
            width = width.max((place + 1) * PIN);
        }
    }
    svg(width + 2, map.ioapics.len() * (PIN + 20), &content)
}

fn pin(x: usize, y: usize, gsi: u32, interrupts: &[Interrupt]) -> String {
    let users: Vec<_> = interrupts.iter().filter(|interrupt| interrupt.gsi == gsi).collect();
    let colour = match users.first().map(|user| user.trigger) {
        None => "white",
        Some(Trigger::Edge) => "#fdae6b",
        Some(Trigger::Level) => "#9ecae1",
    };
    let names: Vec<_> =
        users.iter().map(|user| format!("{}, {}", escaped(&user.owner), user.trigger)).collect();
    format!(
        "<g><title>GSI {gsi}: {}</title><rect x='{}' y='{y}' width='{PIN}' height='{PIN}' fill='{colour}' stroke='#555'/>\
         <text x='{}' y='{}' font-size='10'>{gsi}</text></g>",
        if names.is_empty() { "free".into() } else { names.join("; ") },
        x + 1,
        x + 6,
        y + 15,
    )
}

fn svg(width: usize, height: usize, content: &str) -> String {
    format!("<svg width='{width}' height='{height}' font-family='monospace' font-size='12'>{content}</svg>")
}

/// Text that HTML takes as text.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_every_region_and_every_input() {
        let region =
            Region { first: 0xfec0_0000, last: 0xfec0_0fff, owner: "<me>".into(), purpose: Use::Registers };
        let interrupt =
            Interrupt { gsi: 9, owner: r"\_SB.GED".into(), trigger: Trigger::Edge, shared: false };
        let map = ResourceMap {
            memory: vec![region],
            ports: vec![],
            interrupts: vec![interrupt],
            ioapics: vec![(0, 0, 23)],
        };

        assert!(memory(&map).contains("0x00fec00000-0x00fec00fff") && memory(&map).contains("&lt;me&gt;"));
        assert_eq!(interrupts(&map).matches("<rect").count(), 24);
        assert!(interrupts(&map).contains(r"GSI 9: \_SB.GED, edge"));
    }
}
