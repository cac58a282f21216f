//! Machines made up by chance, each a combination that nobody wrote down. A number always makes the same machine.

use super::matrix::Cell;

/// Machine number `n`.
pub(super) fn cell(n: u64) -> Cell {
    let mut dice = Dice(n);
    let cpus = cpus(&mut dice);
    let mib = 64 + dice.below(16 << 10);
    let mut args = vec![format!("--cpus={}", cpus.text), format!("--memory={mib}M")];
    args.extend(nodes(&mut dice, cpus.count, mib));
    args.extend(switches(&mut dice));
    args.extend((0..dice.below(9)).map(|disk| format!("--disk={disk}.raw")));
    if dice.one_in(4) {
        args.push("--console=none".into());
    }
    let devices = ["pvpanic", "debug-exit", "reset-port", "keyboard-reset", "vmgenid"];
    args.extend(devices.iter().filter(|_| dice.one_in(4)).map(|device| format!("--device={device}")));
    Cell { name: format!("random {n}"), args, address_bits: 36 + dice.below(17) as u32, golden: None }
}

struct Cpus {
    text: String,
    count: u64,
}

/// vCPUs, half of them in some order.
fn cpus(dice: &mut Dice) -> Cpus {
    if dice.one_in(2) {
        let count = 1 + dice.below(254);
        return Cpus { text: count.to_string(), count };
    }
    let [sockets, dies, cores, threads] = [3, 2, 4, 2].map(|most| 1 + dice.below(most));
    let count = sockets * dies * cores * threads;
    Cpus { text: format!("{count},sockets={sockets},dies={dies},cores={cores},threads={threads}"), count }
}

/// Up to five nodes; the vCPUs of the first may be all there are.
fn nodes(dice: &mut Dice, cpus: u64, mib: u64) -> Vec<String> {
    let nodes = dice.below(6);
    let first = cpus - if nodes > 1 { dice.below(cpus) } else { 0 };
    let node = |n: u64| {
        let memory = if n + 1 == nodes { mib - mib / nodes * n } else { mib / nodes };
        let cpus = match n {
            0 => format!("cpus=0-{},", first - 1),
            1 if first < cpus => format!("cpus={first}-{},", cpus - 1),
            _ => String::new(),
        };
        format!("--numa=node,{cpus}memory={memory}M")
    };
    let mut args: Vec<_> = (0..nodes).map(node).collect();
    for to in 1..nodes {
        if dice.one_in(2) {
            args.push(format!("--numa=distance,from=0,to={to},value={}", 11 + dice.below(245)));
        }
        if dice.one_in(2) {
            let (latency, bandwidth) = (1 + dice.below(1000), 1 + dice.below(1000));
            args.push(format!("--numa=access,from=0,to={to},latency={latency},bandwidth={bandwidth}G"));
        }
    }
    args
}

fn switches(dice: &mut Dice) -> Option<String> {
    let switches = ["pic", "pit", "rtc", "isa-serial", "ioapic2", "pcie", "usb"];
    let chosen: Vec<_> = switches
        .iter()
        .filter_map(|switch| Some(format!("{switch}={}", ["on", "off"].get(dice.below(4) as usize)?)))
        .collect();
    (!chosen.is_empty()).then(|| format!("--machine={}", chosen.join(",")))
}

/// Numbers without a pattern, from one: the generator SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `end` without it.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_always_makes_the_same_machine() {
        assert_eq!(cell(7).args, cell(7).args);
        assert_ne!(cell(7).args, cell(8).args);
    }

    /// The first numbers of the generator's published test vector for the seed 1234567.
    #[test]
    fn dice_are_splitmix64() {
        let mut dice = Dice(1_234_567);
        assert_eq!([dice.next(), dice.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
