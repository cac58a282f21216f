use super::{columns, size};
use crate::boot::Boot;
use crate::config::KernelConfig;
use crate::machine::Plan;

/// What the user gave, and what the machine adds to the command line.
pub(super) fn files(config: &KernelConfig, plan: &Plan) -> Vec<[String; 2]> {
    let initrd = config.initrd.as_ref().map(|path| ["initrd".into(), path.display().to_string()]);
    let cmdline = plan.kernel_cmdline.clone().filter(|text| !text.is_empty());
    let cmdline = cmdline.map(|text| ["command line".into(), text]);
    [["file".into(), config.path.display().to_string()]].into_iter().chain(initrd).chain(cmdline).collect()
}

/// How a kernel starts without firmware, and what it finds in memory.
pub(crate) fn start(boot: &Boot) -> String {
    let entry = [boot.format(), format!("entered at {:#x}", boot.entry().rip)];
    let pieces = boot.pieces().iter().map(|piece| {
        let range = piece.range();
        [range.to_string(), size(range.len), piece.name.into()]
    });
    format!("\nkernel's start\n{}{}", columns(&[entry]), columns(&pieces.collect::<Vec<_>>()))
}
