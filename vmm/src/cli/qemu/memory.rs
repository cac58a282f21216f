//! `-m`, and the objects and options that say what memory is made of.

use super::numa::Numa;
use super::opts::{self, Opts};
use super::{Reason, Wrong};
use crate::backing::{Backing, HugePage, Pages};
use crate::config::NumaConfig;
use crate::machine::plan::MIB;

/// What QEMU gives microvm if nobody asks for memory.
const DEFAULT: u64 = 128 * MIB;

/// Memory, as far as it was described.
#[derive(Default)]
pub(super) struct Memory {
    size: Option<u64>,
    objects: Vec<Object>,
    numa: Numa,
    prefault: bool,
    huge: Option<HugePage>,
}

/// A memory backend.
struct Object {
    id: String,
    size: u64,
    backing: Backing,
}

impl Memory {
    /// Takes `-m`, `-mem-path`, `-mem-prealloc`, `-numa` or `-overcommit`.
    pub(super) fn option(&mut self, name: &str, text: &str) -> Result<(), Reason> {
        match name {
            "m" => self.m(text),
            "mem-path" => self.mem_path(text),
            "mem-prealloc" => {
                self.prefault = true;
                Ok(())
            }
            "numa" => self.numa.option(text),
            _ => overcommit(text),
        }
    }

    fn m(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, Some("size"));
        let size = opts.take("size").map(|size| opts::size(&size, 20)).transpose()?;
        let most = opts.take("maxmem").map(|size| opts::size(&size, 20)).transpose()?;
        opts.only("slots", &["0"], "memory cannot be added later, leave it out")?;
        opts.finish()?;
        if most.is_some() && most != size {
            return Err("memory cannot be added later, leave maxmem out".into());
        }
        self.size = size.or(self.size);
        Ok(())
    }

    fn mem_path(&mut self, path: &str) -> Result<(), Reason> {
        self.huge = Some(huge_pages_at(path).ok_or_else(|| no_file(path))?);
        Ok(())
    }

    /// `-object memory-backend-…`, `-object rng-…`.
    pub(super) fn object(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse_or_json(text, "qom-type")?;
        let kind = opts.need("qom-type")?;
        match kind.as_str() {
            "memory-backend-ram" | "memory-backend-memfd" | "memory-backend-file" => {
                self.backend(&kind, opts)
            }
            // Each disk has a thread of its own, and random bytes are the host's.
            "iothread" | "rng-random" | "rng-builtin" => Ok(()),
            _ => Err(format!(
                "unknown object `{kind}`, use memory-backend-ram, memory-backend-memfd or memory-backend-file"
            )
            .into()),
        }
    }

    fn backend(&mut self, kind: &str, mut opts: Opts) -> Result<(), Reason> {
        let id = opts.need("id")?;
        let size = opts::size(&opts.need("size")?, 0)?;
        let memfd = kind == "memory-backend-memfd";
        let huge = match (opts.switch("hugetlb")?, opts.take("hugetlbsize"), opts.take("mem-path")) {
            (Some(true), size, None) if memfd => Some(huge_page(size.as_deref().unwrap_or("2M"))?),
            (_, None, Some(path)) if kind == "memory-backend-file" => file(&path)?,
            (None | Some(false), None, None) if kind != "memory-backend-file" => None,
            _ => {
                return Err(
                    "hugetlb= belongs to memory-backend-memfd, mem-path= to memory-backend-file".into()
                );
            }
        };
        let backing = Backing {
            pages: huge.map_or(Pages::default(), Pages::Huge),
            shared: opts.switch("share")?.unwrap_or(memfd),
            prefault: opts.switch("prealloc")?.unwrap_or(false),
            merge: opts.switch("merge")?.unwrap_or(false),
        };
        opts.ignore(&[
            "dump",
            "reserve",
            "prealloc-threads",
            "seal",
            "discard-data",
            "x-use-canonical-path-for-ramblock-id",
        ]);
        opts.finish()?;
        self.objects.push(Object { id, size, backing });
        Ok(())
    }

    /// Bytes, what they are made of, and which vCPUs they are near.
    pub(super) fn finish(self, machine: Option<&str>) -> Result<(u64, Backing, NumaConfig), Wrong> {
        let sizes = |id: &str| self.objects.iter().find(|object| object.id == id).map(|object| object.size);
        if let Some(numa) = self.numa.several(sizes)? {
            let (size, backing) = self.of_nodes(&numa)?;
            return Ok((size, backing, numa));
        }
        self.of_one(machine).map(|(size, backing)| (size, backing, NumaConfig::default()))
    }

    /// The memory of several nodes, which is all of one kind.
    fn of_nodes(&self, numa: &NumaConfig) -> Result<(u64, Backing), Wrong> {
        let wrong = |reason: &str| ("-numa", String::new(), reason.into());
        let all = numa.nodes.iter().try_fold(0_u64, |all, node| all.checked_add(node.memory));
        let size = all.filter(|all| self.size.unwrap_or(*all) == *all);
        let size = size.ok_or_else(|| wrong("the memory of the nodes is not that of -m, make them equal"))?;
        let mut kinds =
            self.numa.objects().filter_map(|id| self.objects.iter().find(|object| object.id == id));
        let pages = self.huge.map_or(Pages::default(), Pages::Huge);
        let plain = Backing { pages, ..Backing::default() };
        let backing = kinds.next().map_or(plain, |object| object.backing);
        if kinds.any(|object| object.backing != backing) {
            return Err(wrong("the memory of all nodes is of one kind, make their objects alike"));
        }
        Ok((size, Backing { prefault: backing.prefault || self.prefault, ..backing }))
    }

    /// The memory of a machine of one piece.
    fn of_one(self, machine: Option<&str>) -> Result<(u64, Backing), Wrong> {
        let Self { size, objects, numa, prefault, huge } = self;
        let node = numa.objects().next().map(str::to_owned);
        let (option, name) = match (machine, &node) {
            (Some(name), _) => ("-machine memory-backend", name),
            (None, Some(name)) => ("-numa node,memdev", name.as_str()),
            (None, None) => {
                let pages = huge.map_or(Pages::default(), Pages::Huge);
                let backing = Backing { pages, prefault, ..Backing::default() };
                return Ok((size.unwrap_or(DEFAULT), backing));
            }
        };
        let wrong = |reason: Reason| (option, name.to_owned(), reason);
        let object = objects.into_iter().find(|object| object.id == name);
        let object = object.ok_or_else(|| wrong("there is no -object of this id, add it".into()))?;
        if size.unwrap_or(object.size) != object.size {
            return Err(wrong("its size= is not that of -m, make them equal".into()));
        }
        Ok((object.size, Backing { prefault: object.backing.prefault || prefault, ..object.backing }))
    }
}

/// `-overcommit mem-lock=on|off,cpu-pm=on|off`.
fn overcommit(text: &str) -> Result<(), Reason> {
    let mut opts = Opts::parse(text, None);
    opts.only("mem-lock", &["off"], "memory cannot be locked, use -mem-prealloc and no swap")?;
    opts.only("cpu-pm", &["off"], "the host's processor keeps its power states, use cpu-pm=off")?;
    opts.finish()
}

/// A file of the host's huge pages, or of its memory.
fn file(path: &str) -> Result<Option<HugePage>, Reason> {
    if path == "/dev/shm" || path.starts_with("/dev/shm/") {
        return Ok(None);
    }
    huge_pages_at(path).map(Some).ok_or_else(|| no_file(path))
}

/// The usual places where huge pages are mounted.
fn huge_pages_at(path: &str) -> Option<HugePage> {
    let path = path.trim_end_matches('/');
    if path.ends_with("hugepages-1G") || path.ends_with("hugepages1G") || path.ends_with("1048576kB") {
        return Some(HugePage::Gib1);
    }
    path.contains("hugepages").then_some(HugePage::Mib2)
}

fn no_file(path: &str) -> Reason {
    format!("memory cannot be the file {path}, use /dev/hugepages, /dev/shm or memory-backend-memfd").into()
}

fn huge_page(text: &str) -> Result<HugePage, Reason> {
    match opts::size(text, 0)? {
        0x20_0000 => Ok(HugePage::Mib2),
        0x4000_0000 => Ok(HugePage::Gib1),
        _ => Err(format!("hugetlbsize={text}: use 2M or 1G").into()),
    }
}
