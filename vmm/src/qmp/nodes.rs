//! `blockdev-add` and `blockdev-del`: images for disks that are plugged in, and for drives.

use block::Format;
use serde_json::{Value, json};

use super::commands::Machine;
use super::protocol::{Arguments, QmpError};
use crate::config::{Cache, DiskBus, DiskConfig};
use crate::machine::nodes::NodeError;

/// The commands' names.
pub(super) const ADD: &str = "blockdev-add";
pub(super) const DELETE: &str = "blockdev-del";

/// Opens an image. Its file is described in place, as `{"driver": "file", "filename": …}`.
pub(super) fn add(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let name = arguments.text("node-name")?;
    let driver = arguments.text("driver")?;
    let format = format(&driver)?;
    let mut cache = cache(arguments)?;
    let path = match driver.as_str() {
        "file" | "host_device" => arguments.text("filename")?,
        _ => {
            let mut file = arguments
                .object("file")
                .ok_or_else(|| QmpError::generic("Parameter 'file' takes an object with 'filename'"))?;
            cache = self::cache(&mut file)?.or(cache);
            file_path(file)?
        }
    };
    let readonly = arguments.flag("read-only")?;
    ["discard", "detect-zeroes", "auto-read-only", "aio", "locking"]
        .iter()
        .for_each(|name| arguments.ignore(name));
    std::mem::take(arguments).finish()?;
    let mut disk = DiskConfig { bus: DiskBus::Usb, readonly, ..DiskConfig::new(path) };
    disk.image.format = Some(format);
    disk.image.cache = cache.unwrap_or_default();
    machine.parts().drives.add_node(&name, &disk).map_err(failed)?;
    Ok(json!({}))
}

/// The format that a driver of QEMU's reads.
pub(super) fn format(driver: &str) -> Result<Format, QmpError> {
    match driver {
        "file" | "host_device" | "raw" => Ok(Format::Raw),
        "qcow2" => Ok(Format::Qcow2),
        "vmdk" => Ok(Format::Vmdk),
        _ => Err(QmpError::generic(format!("Unknown driver '{driver}'"))),
    }
}

/// `cache`: past the host's page cache or not.
fn cache(arguments: &mut Arguments) -> Result<Option<Cache>, QmpError> {
    let Some(mut cache) = arguments.object("cache") else { return Ok(None) };
    let direct = cache.flag("direct")?;
    cache.ignore("no-flush");
    cache.finish()?;
    Ok(Some(if direct { Cache::None } else { Cache::WriteBack }))
}

fn file_path(mut file: Arguments) -> Result<String, QmpError> {
    let driver = file.text("driver")?;
    if !["file", "host_device"].contains(&driver.as_str()) {
        return Err(QmpError::generic(format!("Unknown driver '{driver}'")));
    }
    let path = file.text("filename")?;
    ["node-name", "aio", "locking", "read-only", "auto-read-only"].iter().for_each(|name| file.ignore(name));
    file.finish()?;
    Ok(path)
}

/// Closes an image that no device has.
pub(super) fn delete(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let name = arguments.text("node-name")?;
    std::mem::take(arguments).finish()?;
    machine.parts().drives.delete_node(&name).map_err(failed)?;
    Ok(json!({}))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: NodeError) -> QmpError {
    QmpError::generic(error.to_string())
}
