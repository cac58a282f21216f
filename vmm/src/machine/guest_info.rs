//! What the guest is told beside its hardware: SMBIOS, its UUID, files in fw_cfg.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use firmware::fw_cfg::{Contents, Item};
use firmware::smbios::{self, Bios, Hardware, Smbios, Tables, Text, TooLong, Uuid};

use super::plan::{MIB, Plan};
use crate::config::{GuestInfo, SmbiosConfig, Source};
use crate::kvm::Processor;
use crate::topology::Topology;

/// Bytes that a file for fw_cfg may have: it is held in memory as long as the machine runs.
const MAX_FILE: u64 = 256 * MIB;

/// Everything read, nothing open.
pub(super) struct GuestData {
    uuid: Option<Uuid>,
    smbios: Option<Smbios>,
    files: Vec<(String, Vec<u8>)>,
}

impl GuestData {
    /// Reads the files that `info` names.
    pub(super) fn read(info: &GuestInfo) -> anyhow::Result<Self> {
        let smbios = info.has_smbios().then(|| read_smbios(info.smbios.clone().unwrap_or_default()));
        let read = |name: &str, source: &Source| {
            let bytes = bytes(source, MAX_FILE).with_context(|| format!("--fw-cfg {name}"))?;
            anyhow::Ok((name.to_owned(), bytes))
        };
        let files = info.files.iter().map(|file| read(&file.name, &file.content));
        Ok(Self { uuid: info.uuid, smbios: smbios.transpose()?, files: files.collect::<Result<_, _>>()? })
    }

    /// The SMBIOS structures of the machine of `plan`, if it has any. A guest without firmware to describe itself is told
    /// that we are it.
    pub(super) fn smbios(&self, plan: &Plan, processor: &Processor) -> Result<Option<Tables>, TooLong> {
        let Some(smbios) = &self.smbios else { return Ok(None) };
        let hardware = hardware(plan, processor);
        if plan.firmware.is_some() || smbios.bios.is_some() {
            return smbios.encode(self.uuid, &hardware).map(Some);
        }
        Smbios { bios: Some(Bios::ours()), ..smbios.clone() }.encode(self.uuid, &hardware).map(Some)
    }

    /// Adds all of it to `contents`, with what [`GuestData::smbios`] gave.
    pub(super) fn offer(&self, smbios: Option<&Tables>, contents: &mut Contents) -> anyhow::Result<()> {
        if let Some(uuid) = self.uuid {
            contents.item(Item::Uuid(uuid.bytes()));
        }
        for (name, bytes) in smbios.into_iter().flat_map(Tables::files) {
            contents.file(name, bytes)?;
        }
        for (name, bytes) in &self.files {
            contents.file(name, bytes.clone())?;
        }
        Ok(())
    }
}

fn hardware(plan: &Plan, processor: &Processor) -> Hardware {
    let memory = [Some(plan.low_ram), plan.high_ram].into_iter().flatten();
    let Topology { sockets, dies, cores, threads } = plan.topology;
    // All are bounded by the vCPUs that APIC ids leave room for.
    Hardware {
        sockets: sockets as u8,
        cores: (dies * cores) as u16,
        threads: threads as u16,
        processor_id: processor.id,
        caches: processor.caches.clone(),
        memory: memory.map(|range| (range.start, range.len)).collect(),
    }
}

fn read_smbios(config: SmbiosConfig) -> anyhow::Result<Smbios> {
    let strings = config.oem_strings.iter().map(oem_string).collect::<anyhow::Result<_>>()?;
    Ok(Smbios { oem_strings: strings, ..config.names })
}

fn oem_string(source: &Source) -> anyhow::Result<Text> {
    let bytes = bytes(source, smbios::MAX_LEN as u64).context("--smbios type=11,path=")?;
    let text = Text::from_bytes(bytes).map_err(|error| match source {
        Source::Text(text) => anyhow::anyhow!("--smbios type=11,value={text} has {error}"),
        Source::File(path) => anyhow::anyhow!("--smbios type=11,path={} has {error}", path.display()),
    })?;
    ensure!(!text.is_empty(), "--smbios type=11,path=: the file is empty, which SMBIOS cannot carry");
    Ok(text)
}

/// The bytes of `source`, `max` at most.
fn bytes(source: &Source, max: u64) -> anyhow::Result<Vec<u8>> {
    match source {
        Source::Text(text) => Ok(text.clone().into_bytes()),
        Source::File(path) => read(path, max).with_context(|| format!("read {}", path.display())),
    }
}

/// Reads no more than needed of a device that never ends.
fn read(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= max, "it has more than {max} bytes");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, FwCfgFile};

    fn plan() -> Plan {
        Plan::new(&Config { cpus: Topology::of_cores(2), ..Config::default() }, 128 << 10, 46).unwrap()
    }

    fn contents(info: &GuestInfo) -> anyhow::Result<Contents> {
        let mut contents = Contents::new();
        let data = GuestData::read(info)?;
        data.offer(data.smbios(&plan(), &Processor::default())?.as_ref(), &mut contents)?;
        Ok(contents)
    }

    fn oem(source: Source) -> GuestInfo {
        let smbios = SmbiosConfig { oem_strings: vec![source], ..SmbiosConfig::default() };
        GuestInfo { smbios: Some(smbios), ..GuestInfo::default() }
    }

    #[test]
    fn guest_is_told_nothing_unless_asked() {
        assert_eq!(contents(&GuestInfo::default()).unwrap().files().count(), 0);
    }

    #[test]
    fn uuid_alone_brings_smbios() {
        let uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().ok();
        let contents = contents(&GuestInfo { uuid, ..GuestInfo::default() }).unwrap();
        let names: Vec<_> = contents.files().map(|(name, _)| name).collect();
        assert_eq!(names, [smbios::ANCHOR_FILE, smbios::TABLES_FILE]);
    }

    #[test]
    fn oem_string_of_a_file_keeps_its_line_breaks() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("credential");
        std::fs::write(&path, "io.systemd.credential:a=b\nc\n").unwrap();
        let tables = GuestData::read(&oem(Source::File(path.clone())))
            .unwrap()
            .smbios(&plan(), &Processor::default())
            .unwrap()
            .unwrap();
        let found = tables.structures().windows(4).any(|bytes| bytes == b"b\nc\n");
        assert!(found);
        std::fs::write(&path, "a\0b").unwrap();
        let error = GuestData::read(&oem(Source::File(path))).err().unwrap();
        assert!(format!("{error:#}").ends_with("credential has a NUL byte, which SMBIOS cannot carry"));
    }

    #[test]
    fn file_that_never_ends_is_refused() {
        let error = GuestData::read(&oem(Source::File("/dev/zero".into()))).err().unwrap();
        let expected = "--smbios type=11,path=: read /dev/zero: it has more than 65535 bytes";
        assert_eq!(format!("{error:#}"), expected);
    }

    #[test]
    fn machine_without_firmware_describes_itself() {
        let kinds = |plan: &Plan| {
            let data = GuestData::read(&oem(Source::Text("x".into()))).unwrap();
            data.smbios(plan, &Processor::default()).unwrap().unwrap().structures()[0]
        };
        let without = Plan { firmware: None, ..plan() };
        assert_eq!((kinds(&plan()), kinds(&without)), (1, 0));
    }

    #[test]
    fn files_of_the_user_are_offered() {
        let file = FwCfgFile { name: "opt/a".into(), content: Source::Text("text".into()) };
        let contents = contents(&GuestInfo { files: vec![file], ..GuestInfo::default() }).unwrap();
        assert_eq!(contents.files().collect::<Vec<_>>(), [("opt/a", 4)]);
    }
}
