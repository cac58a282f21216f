//! `--dry-run --json`: the resolved machine for programs. A section is a list of objects; a range has its first and last
//! address as numbers.

use serde_json::{Map, Value, json};

use super::{disks, e820, interrupts, machine, memory, pcie, ports, usb};
use crate::config::Config;
use crate::machine::Plan;

/// Everything that `plan` decided about the machine of `config`, as one JSON object and a line break.
pub(crate) fn json(config: &Config, plan: &Plan) -> String {
    let traits: Map<_, _> =
        machine(config, plan).into_iter().map(|[name, value]| (name, value.into())).collect();
    let value = json!({
        "machine": traits,
        "memory": objects(["range", "size", "what"], memory(plan)),
        "ports": objects(["range", "what"], ports(plan)),
        "interrupts": objects(["gsi", "pin", "trigger", "what"], interrupts(plan)),
        "pci": objects(["function", "what"], pcie::functions(plan)),
        "disks": objects(["disk", "place", "access", "image"], disks(config, plan)),
        "usb": objects(["device", "place", "what"], usb::devices(config, plan)),
        "e820": objects(["range", "size", "what"], e820(&plan.e820)),
        "apic-ids": plan.apic_ids,
        "kernel-cmdline": plan.kernel_cmdline,
    });
    format!("{value:#}\n")
}

fn objects<const N: usize>(keys: [&str; N], rows: Vec<[String; N]>) -> Value {
    let object = |row: [String; N]| {
        let mut members = Map::new();
        for (key, text) in keys.into_iter().zip(row) {
            match range(&text).filter(|_| key == "range") {
                Some((first, last)) => {
                    members.extend([("first".into(), first.into()), ("last".into(), last.into())])
                }
                None => drop(members.insert(key.into(), text.into())),
            }
        }
        Value::Object(members)
    };
    rows.into_iter().map(object).collect()
}

/// First and last address of `0x…-0x…`, or of a single one.
fn range(text: &str) -> Option<(u64, u64)> {
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_is_one_object_with_numbers_for_addresses() {
        let config = Config { memory: 64 << 20, ..Config::default() };
        let plan = Plan::new(&config, 128 << 10, 46).unwrap();
        let value: Value = serde_json::from_str(&json(&config, &plan)).unwrap();
        let ram = json!({ "first": 0, "last": 0x3ff_ffff, "size": "64 MiB", "what": "RAM" });
        assert_eq!(value["memory"][0], ram);
        assert_eq!(value["machine"]["firmware"], "seabios, 128 KiB");
        assert!(
            value["ports"]
                .as_array()
                .unwrap()
                .contains(&json!({ "first": 0x3f8, "last": 0x3ff, "what": "COM1" }))
        );
        assert_eq!(value["apic-ids"], json!([0]));
    }

    #[test]
    fn single_port_is_a_range_of_one() {
        assert_eq!((range("0x0402"), range("x")), (Some((0x402, 0x402)), None));
    }
}
