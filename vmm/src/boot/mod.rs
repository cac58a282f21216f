//! Direct boot: a kernel starts as the first thing on the machine, without firmware.
//!
//! ```text
//!  KernelConfig ── open ──► Kernel ── boot(plan) ──► Boot ── write ──► guest memory   at power-on and at every reset
//!                  files     │                        └─── entry ──► vCPU 0
//!                            └ Format: bzImage, ELF with PVH note, multiboot, ELF
//! ```
//!
//! Everything is decided before memory exists: a [`Boot`] is a list of [`Piece`]s, each with its place, of which no two
//! overlap. Each format has a file, and the format decides what the kernel is told and how the CPU enters it. What is put
//! below 1 MiB is in `layout`.
//!
//! Standards: the Linux/x86 boot protocol up to 2.15, the PVH boot ABI (`hvm_start_info` version 1), Multiboot 0.6.96,
//! ELF 1.2, MultiProcessor 1.4. Wire structures of the first two are those of the crate `linux-loader`. Its loaders are not
//! used: they copy while they parse, know neither 32-bit ELF files nor what else is in memory, and leave a kernel's zeroed
//! memory as it is.

mod acpi;
mod bzimage;
mod elf;
mod elf64;
mod entry;
mod error;
mod handover;
mod layout;
mod mp_table;
mod multiboot;
mod piece;
mod pvh;
mod reset_vector;
mod setup;
mod source;
#[cfg(test)]
mod testing;
mod zero_page;

use std::sync::Arc;

use firmware::smbios::Tables;
use vm_memory::GuestMemoryMmap;

use crate::config::KernelConfig;
use crate::machine::plan::{E820Plan, MIB, Plan, Range};

pub use entry::{CODE_SELECTOR, DATA_SELECTOR, Entry, Mode};
pub use error::BootError;
use handover::Offer;
pub use handover::{Handover, HandoverFormat};
pub use piece::{Content, Piece, Ram};
use source::Source;

const PAGE: u64 = 0x1000;
/// The name of what [`Boot::describe`] adds.
const SMBIOS: &str = "SMBIOS";

/// How a kind of kernel wants to be loaded and entered.
trait Format {
    /// What it is, for people.
    fn name(&self) -> String;
    /// The kernel itself.
    fn kernel(&self, file: &Arc<Source>) -> Vec<Piece>;
    /// What it leaves for others.
    fn limits(&self) -> Limits;
    /// What the kernel is told, and where the CPU begins.
    fn hand_over(&self, given: &Given<'_>) -> (Vec<Piece>, Entry);
    /// What firmware is told, if firmware starts kernels of this format.
    fn offer(&self, _file: &Arc<Source>, _given: &Given<'_>) -> Result<Option<Offer>, BootError> {
        Ok(None)
    }
}

/// What a kernel leaves for others.
struct Limits {
    /// The end of the memory that it writes before it has looked around.
    memory_end: u64,
    /// The end of what it can reach of an initrd.
    initrd_end: u64,
    /// Bytes of a command line without the final NUL.
    cmdline: u64,
}

/// What every kernel is told.
struct Given<'a> {
    /// The kernel's file, as the user named it.
    path: String,
    cmdline: &'a str,
    initrd: Option<Module>,
    /// The ACPI root pointer.
    rsdp: Option<u64>,
    map: &'a [E820Plan],
}

/// An initrd in place.
struct Module {
    path: String,
    at: Range,
}

/// The formats, asked in this order. An ELF file with a multiboot header wants to be entered as that header says: what Xen
/// has beside it, a PVH entry, is for guests of Xen.
const FORMATS: [Detect; 4] = [bzimage::detect, multiboot::detect, pvh::detect, elf64::detect];

/// Says whether a file is of a format; an error if it is, and cannot be started.
type Detect = fn(&Source) -> Result<Option<Box<dyn Format + Send>>, BootError>;

/// A kernel whose files are open and whose format is known.
pub struct Kernel {
    file: Arc<Source>,
    initrd: Option<Arc<Source>>,
    format: Box<dyn Format + Send>,
}

impl Kernel {
    /// Opens the files of `config`.
    ///
    /// # Errors
    /// When a file cannot be read, or is no kernel that can be started.
    pub fn open(config: &KernelConfig) -> Result<Self, BootError> {
        let file = Source::open("--kernel", &config.path)?;
        let format = FORMATS.iter().find_map(|detect| detect(&file).transpose());
        let format = format.ok_or_else(|| BootError::NoKernel { path: config.path.clone() })??;
        let initrd = config.initrd.as_deref().map(|path| Source::open("--initrd", path)).transpose()?;
        Ok(Self { file: file.into(), initrd: initrd.map(Arc::new), format })
    }

    /// Places everything in the memory of `plan`.
    ///
    /// # Errors
    /// When something does not fit.
    pub fn boot(&self, plan: &Plan) -> Result<Boot, BootError> {
        let limits = self.format.limits();
        let cmdline = cmdline(&limits, plan)?;
        let mut pieces = self.format.kernel(&self.file);
        self.check_kernel(&pieces, limits.memory_end, plan)?;
        let initrd = self.place_initrd(&limits, plan)?;
        let mut tables = acpi::tables(plan)?;
        let rsdp = tables.first().map(|root| root.start);
        if rsdp.is_none() {
            tables.extend(mp_table::pieces(plan));
        }
        let given = self.given(cmdline, initrd.as_ref(), rsdp, plan);
        let (handed, entry) = self.format.hand_over(&given);
        pieces.extend(tables.into_iter().chain(handed).chain(initrd).chain([reset_vector::piece()]));
        self.check_overlaps(&mut pieces)?;
        Ok(Boot { format: self.format.name(), pieces, entry })
    }

    fn given<'a>(
        &'a self,
        cmdline: &'a str,
        initrd: Option<&Piece>,
        rsdp: Option<u64>,
        plan: &'a Plan,
    ) -> Given<'a> {
        let module = |(piece, source): (&Piece, &Arc<Source>)| Module {
            path: source.path().display().to_string(),
            at: piece.range(),
        };
        let initrd = initrd.zip(self.initrd.as_ref()).map(module);
        Given { path: self.file.path().display().to_string(), cmdline, initrd, rsdp, map: &plan.e820 }
    }

    fn check_kernel(&self, pieces: &[Piece], end: u64, plan: &Plan) -> Result<(), BootError> {
        let path = || self.file.path().to_owned();
        if end > plan.low_ram.end() {
            let (need, have) = (end.div_ceil(MIB), plan.low_ram.end() / MIB);
            return Err(BootError::KernelTooLarge { path: path(), need, have });
        }
        let stray = pieces.iter().find(|piece| piece.range().end() > plan.low_ram.end());
        stray.map_or(Ok(()), |piece| Err(BootError::Stray { path: path(), range: piece.range() }))
    }

    /// As high as kernel and memory allow, out of the way of what the kernel does first.
    fn place_initrd(&self, limits: &Limits, plan: &Plan) -> Result<Option<Piece>, BootError> {
        let Some(source) = &self.initrd else { return Ok(None) };
        let end = limits.initrd_end.min(plan.low_ram.end());
        let floor = limits.memory_end.max(MIB).next_multiple_of(PAGE);
        let start = end.checked_sub(source.len()).map_or(0, |start| start / PAGE * PAGE);
        if start < floor {
            let (path, len) = (source.path().to_owned(), source.len());
            return Err(BootError::InitrdTooLarge { path, len, room: end.saturating_sub(floor) });
        }
        Ok(Some(Piece::file("initrd", start, source, Range::new(0, source.len()))))
    }

    /// Sorts `pieces` by address. Only a kernel that asks for odd places can be in the way of another.
    fn check_overlaps(&self, pieces: &mut [Piece]) -> Result<(), BootError> {
        pieces.sort_by_key(|piece| piece.range().start);
        let clash = pieces.windows(2).find_map(|pair| match pair {
            [a, b] if a.range().overlaps(b.range()) => {
                Some(if a.name == piece::KERNEL { (a.range(), b.name) } else { (b.range(), a.name) })
            }
            _ => None,
        });
        // What is to be there is not known before KVM has told of the processor.
        let later = || {
            let kept = [layout::SMBIOS, layout::SMBIOS_ENTRY];
            let mut ranges = pieces.iter().map(Piece::range);
            let stray = ranges.find(|range| kept.iter().any(|kept| kept.overlaps(*range)));
            stray.map(|range| (range, SMBIOS))
        };
        clash.or_else(later).map_or(Ok(()), |(range, other)| {
            Err(BootError::InTheWay { path: self.file.path().to_owned(), range, other })
        })
    }
}

/// The command line of the plan, which has more than the user gave.
fn cmdline<'a>(limits: &Limits, plan: &'a Plan) -> Result<&'a str, BootError> {
    let text = plan.kernel_cmdline.as_deref().unwrap_or_default();
    let (len, most) = (text.len(), limits.cmdline.min(layout::CMDLINE_MAX));
    if len as u64 > most {
        return Err(BootError::CmdlineTooLong { len, most });
    }
    Ok(text)
}

/// What is in memory when the kernel starts, and how it starts.
pub struct Boot {
    format: String,
    pieces: Vec<Piece>,
    entry: Entry,
}

impl Boot {
    /// Adds what the guest reads of the machine, in the places that are kept free for it.
    pub fn describe(&mut self, tables: &Tables) {
        let (structures, entry) = (layout::SMBIOS.start, layout::SMBIOS_ENTRY.start);
        self.pieces.push(Piece::bytes(SMBIOS, structures, tables.structures().to_vec()));
        self.pieces.push(Piece::bytes(SMBIOS, entry, tables.entry_point(structures).to_vec()));
    }

    /// Puts everything in place. Memory that was in use needs more work than fresh memory.
    ///
    /// # Errors
    /// When a file cannot be read any more.
    pub fn write(&self, memory: &GuestMemoryMmap, ram: Ram) -> Result<(), BootError> {
        self.pieces.iter().try_for_each(|piece| piece.write(memory, ram))
    }

    /// What the kernel is, for people.
    #[must_use]
    pub fn format(&self) -> String {
        self.format.clone()
    }

    /// How vCPU 0 starts.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What lies where, by address.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

#[cfg(test)]
mod tests;
