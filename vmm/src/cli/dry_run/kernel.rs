use super::{columns, size};
use crate::boot::Boot;
use crate::config::KernelConfig;

/// What the user gave.
pub(super) fn files(config: &KernelConfig) -> Vec<[String; 2]> {
    let initrd = config.initrd.as_ref().map(|path| ["initrd".into(), path.display().to_string()]);
    let cmdline = (!config.cmdline.is_empty()).then(|| ["command line".into(), config.cmdline.clone()]);
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
