//! A fault of the emulator, avoided in a copy of a part of it.
//!
//! A nested guest that writes CR8 while an interrupt waits for it ends QEMU (7.2, and not mended since) at an assertion: its
//! `helper_write_crN` announces the interrupt without the lock that `tcg_handle_interrupt` asks for. edk2 writes CR8 at the
//! end of each interrupt, and every other boot gets there. Without the question all is well: the emulator's threads share
//! a processor, on which the instruction that follows it is never interrupted half-way.
//!
//! Debian has that function in a module, in which nobody else asks for the lock. The copy asks a function of a library that
//! the module has anyway, whose answer is never zero.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::parts::{fingerprint, make};

/// Where Debian has QEMU's modules.
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/qemu";

/// The module, under which name the emulator looks for it in each of its folders.
const MODULE: &str = "accel-tcg-x86_64.so";

/// What the module asks, among the names of what it imports.
const QUESTION: &[u8] = b"\0qemu_mutex_iothread_locked\0";

/// What it asks instead: a function of GLib's without arguments, with a name that is no longer.
const INSTEAD: &[u8] = b"\0g_get_num_processors\0";

/// A folder below `dir` that the emulator shall look for modules in before its own, if its build has that module.
pub(super) fn modules(dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    let Ok(original) = fs::read(Path::new(MODULES).join(MODULE)) else { return Ok(None) };
    let Some(copy) = without_question(&original) else { return Ok(None) };
    let folder = dir.join(format!("emulator-{}", fingerprint(&[&String::from_utf8_lossy(&copy)])));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    make(&folder.join(MODULE), |mut file| Ok(file.write_all(&copy)?))?;
    Ok(Some(folder))
}

/// The module with the one name replaced, if it is there and no other could be meant.
fn without_question(module: &[u8]) -> Option<Vec<u8>> {
    let mut places = module.windows(QUESTION.len()).enumerate().filter(|(_, bytes)| *bytes == QUESTION);
    let (Some((place, _)), None) = (places.next(), places.next()) else { return None };
    let mut copy = module.to_vec();
    let name = copy.get_mut(place..place + QUESTION.len())?;
    name.fill(0);
    name.get_mut(..INSTEAD.len())?.copy_from_slice(INSTEAD);
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_replaced_and_nothing_moves() {
        let module = b"\x7fELF\0other\0qemu_mutex_iothread_locked\0qemu_mutex_iothread_locked()\0";

        let copy = without_question(module).unwrap();

        let expected = b"\x7fELF\0other\0g_get_num_processors\0\0\0\0\0\0\0qemu_mutex_iothread_locked()\0";
        assert_eq!(copy, expected);
    }

    #[test]
    fn module_of_another_build_stays_as_it_is() {
        assert_eq!(without_question(b"\0bql_locked\0"), None);
        let twice = [QUESTION, QUESTION].concat();
        assert_eq!(without_question(&twice), None);
    }
}
