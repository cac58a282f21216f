//! A kernel that firmware starts: fw_cfg items with the meaning that QEMU gave them (`hw/i386/x86-common.c`, QEMU 10.0).
//!
//! ```text
//!  bzImage ──► setup, patched; kernel ─┐
//!  initrd, command line ───────────────┼──► items ──► fw_cfg ──► qboot, or the option ROM that SeaBIOS runs
//!  PVH ELF ──► entry, first 8 KiB ─────┘
//!      └─────► pieces ──► guest memory, at power-on and at every reset
//! ```
//!
//! Left out: the file `etc/boot/kernel`, a second copy of the kernel that edk2 alone reads.

use std::sync::Arc;

use firmware::boot_order::BootDevice;
use firmware::fw_cfg::{Contents, FileError, Item};
use firmware::option_rom;
use vm_memory::GuestMemoryMmap;

use super::error::BootError;
use super::piece::{KERNEL, Piece, Ram};
use super::source::Source;
use super::{Kernel, Limits, cmdline};
use crate::machine::plan::{MIB, Plan, Range};

/// Where the real-mode part goes.
pub(super) const SETUP_ADDR: u32 = 0x1_0000;
/// Where the command line goes.
pub(super) const CMDLINE_ADDR: u32 = 0x2_0000;
/// Where the protected-mode part goes.
const KERNEL_ADDR: u32 = 0x10_0000;
/// What a kernel gets for its stack, between its real-mode part and the command line.
const STACK: u64 = 0x400;
/// Firmware looks at this much of an ELF file.
const PEEK: u64 = 8192;
/// What firmware may take at the end of RAM; the initrd is moved down by as much.
const FIRMWARE_RESERVE: u64 = MIB;

/// How firmware has to start a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverFormat {
    /// By the Linux/x86 boot protocol, in real mode.
    BzImage,
    /// By the PVH boot ABI.
    Pvh,
}

/// What firmware needs to start a kernel.
#[derive(Debug)]
pub struct Handover {
    format: HandoverFormat,
    items: Vec<Item>,
    pieces: Vec<Piece>,
    option_rom: Option<Vec<u8>>,
}

impl Handover {
    /// How firmware has to start it.
    #[must_use]
    pub const fn format(&self) -> HandoverFormat {
        self.format
    }

    /// With an option ROM for firmware that starts no kernel by itself.
    #[must_use]
    pub fn with_option_rom(self, option_rom: Option<Vec<u8>>) -> Self {
        Self { option_rom, ..self }
    }

    /// What firmware has to boot from, if that is how it comes to the kernel.
    #[must_use]
    pub fn boot_device(&self) -> Option<BootDevice> {
        self.option_rom.as_ref().map(|_| option_rom::BOOT_DEVICE)
    }

    /// Moves the items and the option ROM to fw_cfg, where they stay for every reset.
    ///
    /// # Errors
    /// When there is no room for the option ROM's file.
    pub fn offer(&mut self, contents: &mut Contents) -> Result<(), FileError> {
        for item in std::mem::take(&mut self.items) {
            contents.item(item);
        }
        match self.option_rom.take() {
            Some(rom) => contents.file(option_rom::FILE, rom).map(drop),
            None => Ok(()),
        }
    }

    /// Puts in place what firmware expects to be in memory.
    ///
    /// # Errors
    /// When a file cannot be read any more.
    pub fn write(&self, memory: &GuestMemoryMmap, ram: Ram) -> Result<(), BootError> {
        self.pieces.iter().try_for_each(|piece| piece.write(memory, ram))
    }
}

/// What a format contributes.
pub(super) struct Offer {
    format: HandoverFormat,
    items: Vec<Item>,
    pieces: Vec<Piece>,
    /// What of the file firmware copies to [`KERNEL_ADDR`]; not read before it is known to fit.
    data: Option<Range>,
}

impl Offer {
    /// A bzImage with its real-mode part `setup`, the rest at `rest` in its file.
    pub(super) fn bzimage(file: &Source, setup: Vec<u8>, rest: Range) -> Result<Self, BootError> {
        if setup.len() as u64 + STACK > u64::from(CMDLINE_ADDR - SETUP_ADDR) {
            return Err(file.unusable("its real-mode part is larger than 63 KiB"));
        }
        let items = vec![
            Item::SetupAddr(SETUP_ADDR),
            Item::SetupSize(setup.len() as u32),
            Item::SetupData(setup),
            Item::KernelAddr(KERNEL_ADDR),
            Item::CmdlineAddr(CMDLINE_ADDR),
        ];
        Ok(Self { format: HandoverFormat::BzImage, items, pieces: Vec::new(), data: Some(rest) })
    }

    /// An ELF file to be entered at `entry`, with `pieces` in low RAM.
    pub(super) fn pvh(file: &Source, entry: u32, pieces: Vec<Piece>) -> Result<Self, BootError> {
        let head = file.head(PEEK)?;
        let start = pieces.iter().map(|piece| piece.start).min().unwrap_or_default();
        let end = pieces.iter().map(|piece| piece.range().end()).max().unwrap_or_default();
        let items = vec![
            Item::KernelEntry(entry),
            Item::KernelAddr(start as u32),
            Item::KernelSize(end.saturating_sub(start) as u32),
            Item::SetupAddr(SETUP_ADDR),
            Item::SetupSize(head.len() as u32),
            Item::SetupData(head),
        ];
        Ok(Self { format: HandoverFormat::Pvh, items, pieces, data: None })
    }
}

impl Kernel {
    /// Prepares the kernel for the firmware of `plan`.
    ///
    /// # Errors
    /// When no firmware starts kernels of its format, or something does not fit.
    pub fn hand_over(&self, plan: &Plan) -> Result<Handover, BootError> {
        let limits = self.format.limits();
        let cmdline = cmdline(&limits, plan)?;
        self.check_kernel(&self.format.kernel(&self.file), limits.memory_end, plan)?;
        let limits = Limits { memory_end: limits.memory_end + FIRMWARE_RESERVE, ..limits };
        let initrd = self.place_initrd(&limits, plan)?;
        let given = self.given(cmdline, initrd.as_ref(), None, plan);
        let Some(offer) = self.format.offer(&self.file, &given)? else {
            return Err(BootError::NotForFirmware {
                path: self.file.path().into(),
                format: self.format.name(),
            });
        };
        self.check_low(&offer.pieces)?;
        let Offer { format, mut items, pieces, data } = offer;
        items.extend(cmdline_items(cmdline));
        if let Some(data) = data {
            self.check_kernel(&[], u64::from(KERNEL_ADDR).saturating_add(data.len), plan)?;
            let data = self.file.read(data)?;
            items.extend([Item::KernelSize(data.len() as u32), Item::KernelData(data)]);
        }
        if let Some((initrd, source)) = initrd.zip(self.initrd.as_ref()) {
            items.extend(initrd_items(&initrd, source)?);
        }
        Ok(Handover { format, items, pieces, option_rom: None })
    }

    /// Firmware itself is below 1 MiB.
    fn check_low(&self, pieces: &[Piece]) -> Result<(), BootError> {
        let low = pieces.iter().find(|piece| piece.name == KERNEL && piece.start < MIB);
        low.map_or(Ok(()), |piece| {
            let (path, range) = (self.file.path().into(), piece.range());
            Err(BootError::InTheWay { path, range, other: "firmware" })
        })
    }

    /// The kernel cannot be started by a BIOS with an option ROM.
    pub(crate) fn not_for_bios(&self) -> BootError {
        BootError::NotForBios { path: self.file.path().into(), format: self.format.name() }
    }
}

fn cmdline_items(cmdline: &str) -> [Item; 2] {
    let data: Vec<u8> = cmdline.bytes().chain([0]).collect();
    [Item::CmdlineSize(data.len() as u32), Item::CmdlineData(data)]
}

/// The initrd lies in RAM below 4 GiB.
fn initrd_items(piece: &Piece, source: &Arc<Source>) -> Result<[Item; 3], BootError> {
    let data = source.read(Range::new(0, source.len()))?;
    Ok([Item::InitrdAddr(piece.start as u32), Item::InitrdSize(data.len() as u32), Item::InitrdData(data)])
}

#[cfg(test)]
mod tests;
