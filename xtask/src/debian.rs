//! Debian as a source of packages, with the machine's own apt state left as it is.
//!
//! ```text
//! machine's sources ──apt-get indextargets──► Mirrors ──┐
//!                                                       ▼
//!            target/apt/<name>/   apt.conf   sources.list   status (empty)
//!                                 lists/  ◄── update: only when absent or too old for what is wanted
//!                                 sources/<package>_<version>/   pinned by SHA-256
//!                                 debs/<package>_<version>_<arch>.deb
//! ```
//!
//! apt checks every signature (the archive keyring of Debian) and every hash; what lies in `sources/` and `debs/` got
//! there by a rename after that, and is used again without any network.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::files::{create_dir, file_name, keep, scratch_dir, verify, write};
use crate::{files, paths, progress};

#[cfg(test)]
mod tests;

/// The keys that sign Debian's archive, of the package debian-archive-keyring (on every Debian machine).
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where this machine gets Debian from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrors {
    /// The archive proper: `bookworm`, `bookworm-updates`, and every other release.
    pub(crate) debian: String,
    /// The security archive: suites that end in `-security`.
    pub(crate) security: Option<String>,
}

impl Mirrors {
    /// Reads them from the machine's own apt configuration.
    ///
    /// # Errors
    ///
    /// When none of the machine's sources is Debian's archive.
    pub(crate) fn of_this_machine() -> anyhow::Result<Self> {
        if let Some(mirrors) = Self::parse(&index_targets(&[])?) {
            return Ok(mirrors);
        }
        // A machine whose package lists were never fetched does not know its sources by origin: look in private lists.
        let lists = paths::target_dir("apt/probe/lists")?;
        let option = format!("Dir::State::Lists={}", lists.display());
        capture(Command::new("apt-get").args([
            "--option",
            &option,
            "--option",
            "APT::Sandbox::User=root",
            "update",
        ]))?;
        Self::parse(&index_targets(&["--option", &option])?)
            .context("none of this machine's apt sources is a mirror of Debian's archive: add one")
    }

    /// Picks the mirrors from lines of `origin|label|repository`.
    fn parse(targets: &str) -> Option<Self> {
        let of = |label: &str| {
            let mut fields = targets.lines().map(|line| line.splitn(3, '|').collect::<Vec<_>>());
            fields.find_map(|field| match field[..] {
                ["Debian", found, repository] if found == label && !repository.starts_with("cdrom:") => {
                    Some(repository.to_owned())
                }
                _ => None,
            })
        };
        Some(Self { debian: of("Debian")?, security: of("Debian-Security") })
    }

    /// The mirror that has `suite`.
    ///
    /// # Errors
    ///
    /// When `suite` is a security suite and the machine has no source for those.
    pub(crate) fn of_suite(&self, suite: &str) -> anyhow::Result<&str> {
        if suite.ends_with("-security") {
            return self
                .security
                .as_deref()
                .context("this machine's apt sources have no Debian security archive");
        }
        Ok(&self.debian)
    }
}

/// What apt knows of the machine's sources: lines of `origin|label|repository`.
fn index_targets(options: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("apt-get");
    command.args(options).args([
        "indextargets",
        "--format",
        "$(ORIGIN)|$(LABEL)|$(REPO_URI)",
        "Identifier: Packages",
    ]);
    capture(&mut command)
}

/// An apt root below `target/apt/` that knows only the suites it was opened with.
pub(crate) struct PrivateApt {
    dir: PathBuf,
    suites: Vec<String>,
    components: String,
    with_sources: bool,
    /// Whether this process has fetched the lists: then they cannot get fresher.
    updated: Cell<bool>,
}

impl PrivateApt {
    /// Opens, and makes if need be, the root `target/apt/<name>`. Fetches nothing yet.
    ///
    /// `suites` are as in sources.list (`bookworm-security` comes from the security archive), `components` are words
    /// with a space between; source packages need `with_sources`.
    ///
    /// # Errors
    ///
    /// When the root cannot be written.
    pub(crate) fn open(
        name: &str,
        suites: &[&str],
        components: &str,
        with_sources: bool,
    ) -> anyhow::Result<Self> {
        let dir = paths::target_dir("apt")?.join(name);
        for part in ["lists/partial", "cache/archives/partial", "sources", "debs"] {
            create_dir(&dir.join(part))?;
        }
        let suites = suites.iter().map(|&suite| suite.to_owned()).collect();
        let apt =
            Self { dir, suites, components: components.to_owned(), with_sources, updated: Cell::new(false) };
        // No package counts as installed, so that the choice of versions does not depend on the machine's.
        write(&apt.dir.join("status"), "")?;
        write(&apt.configuration(), configuration_text(&apt.dir))?;
        Ok(apt)
    }

    /// A folder with the files of source package `package`, exactly `version`, each with the SHA-256 given in `files`
    /// (lower-case hexadecimal).
    ///
    /// # Errors
    ///
    /// When no suite has that version (any more), the network is away, or a file is not the pinned one.
    pub(crate) fn source(
        &self,
        package: &str,
        version: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<PathBuf> {
        let home = self.dir.join("sources").join(format!("{package}_{version}"));
        if home.is_dir() && verify_all(&home, files).is_ok() {
            return Ok(home);
        }
        let _lock = self.lock()?;
        let wanted = format!("{package}={version}");
        self.ensure_lists()?;
        let step = progress::step(format!("fetch the source of {package} {version} from Debian"));
        let fetched = self.with_lists(|| self.download_source(&wanted, files));
        let fetched = fetched.with_context(|| format!("fetch the source package {package} {version}"))?;
        keep(fetched, &home)?;
        step.done();
        Ok(home)
    }

    /// The `.deb` of each of `packages` (not of what they depend on), in no particular order: the newest in the suites of
    /// this root, unless it is given as `package=version` or `package/suite`.
    ///
    /// # Errors
    ///
    /// When a suite does not have one of them, or the network is away and it is not in the cache.
    pub(crate) fn debs(&self, packages: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
        let _lock = self.lock()?;
        let names = packages.join(" ");
        self.try_debs(packages, &names).with_context(|| format!("fetch {names} from Debian"))
    }

    fn try_debs(&self, packages: &[&str], names: &str) -> anyhow::Result<Vec<PathBuf>> {
        let found = self.with_lists(|| self.find_debs(packages))?;
        if found.iter().all(|deb| deb.exists()) {
            return Ok(found);
        }
        let step = progress::step(format!("fetch {names} from Debian"));
        let fetched = self.download(&[&["download"], packages].concat())?;
        for entry in fs::read_dir(fetched.path())? {
            let entry = entry?;
            fs::rename(entry.path(), self.dir.join("debs").join(entry.file_name()))?;
        }
        step.done();
        // The lists may have been refreshed meanwhile, and the versions with them.
        self.find_debs(packages)
    }

    /// Makes `into` hold the files of `packages`, and nothing else; what was there before is replaced as a whole.
    /// Does nothing when it holds these versions already.
    ///
    /// # Errors
    ///
    /// As [`PrivateApt::debs`], and when unpacking fails.
    pub(crate) fn unpack(&self, packages: &[&str], into: &Path) -> anyhow::Result<()> {
        let debs = self.debs(packages)?;
        let stamp = into.join(".packages");
        let names: String = debs.iter().map(|deb| format!("{}\n", file_name(deb))).collect();
        if fs::read_to_string(&stamp).is_ok_and(|unpacked| unpacked == names) {
            return Ok(());
        }
        let _lock = self.lock()?;
        let fresh = scratch_dir(&self.dir)?;
        for deb in &debs {
            capture(Command::new("dpkg-deb").arg("--extract").args([deb.as_path(), fresh.path()]))?;
        }
        write(&fresh.path().join(".packages"), &names)?;
        keep(fresh, into)
    }

    /// The packages that `package` depends on, directly, by name; of alternatives, all.
    ///
    /// # Errors
    ///
    /// When no suite has `package`.
    pub(crate) fn depends(&self, package: &str) -> anyhow::Result<Vec<String>> {
        let _lock = self.lock()?;
        let known =
            self.with_lists(|| capture(self.apt("apt-cache").args(["depends", "--important", package])))?;
        let names =
            known.lines().filter_map(|line| line.trim_start_matches([' ', '|']).strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Where the `.deb` files of `packages` are, or will be once fetched.
    fn find_debs(&self, packages: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
        let uris = capture(self.apt("apt-get").args(["download", "--print-uris"]).args(packages))?;
        Ok(deb_names(&uris).map(|name| self.dir.join("debs").join(name)).collect())
    }

    /// Runs apt-get with `args` in a new folder, which is where it puts what it downloads.
    fn download(&self, args: &[&str]) -> anyhow::Result<tempfile::TempDir> {
        self.with_lists(|| {
            let dir = scratch_dir(&self.dir)?;
            capture(self.apt("apt-get").args(args).current_dir(dir.path()))?;
            Ok(dir)
        })
    }

    /// Downloads the source package `wanted`, in a new folder. A mirror that lacks a file which nobody pins is good enough.
    fn download_source(&self, wanted: &str, files: &[(&str, &str)]) -> anyhow::Result<tempfile::TempDir> {
        let dir = scratch_dir(&self.dir)?;
        let mut apt = self.apt("apt-get");
        apt.args(["source", "--download-only", "--only-source", wanted]).current_dir(dir.path());
        let downloaded = capture(&mut apt);
        match verify_all(dir.path(), files) {
            Ok(()) => Ok(dir),
            Err(fault) => Err(downloaded.err().unwrap_or(fault)),
        }
    }

    /// Does `work` with the lists at hand; if it fails, once more with fresh ones.
    fn with_lists<T>(&self, work: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.ensure_lists()?;
        match work() {
            Err(_) if !self.updated.get() => {
                self.update()?;
                work()
            }
            done => done,
        }
    }

    fn ensure_lists(&self) -> anyhow::Result<()> {
        if self.has_lists() { Ok(()) } else { self.update() }
    }

    /// Whether the lists are there, and are those of the suites wanted now.
    fn has_lists(&self) -> bool {
        fs::read_to_string(self.stamp()).is_ok_and(|fetched| fetched == self.wanted())
    }

    fn update(&self) -> anyhow::Result<()> {
        let step = progress::step(format!("fetch Debian's package lists: {}", self.suites.join(", ")));
        write(&self.dir.join("sources.list"), &self.sources_list(&Mirrors::of_this_machine()?)?)?;
        capture(self.apt("apt-get").args(["--error-on=any", "update"]))
            .context("fetch Debian's package lists")?;
        write(&self.stamp(), self.wanted())?;
        self.updated.set(true);
        step.done();
        Ok(())
    }

    fn sources_list(&self, mirrors: &Mirrors) -> anyhow::Result<String> {
        // Only these indices: no translations, no data for software centres.
        let binary = ("deb", "Packages");
        let kinds = if self.with_sources { vec![binary, ("deb-src", "Sources")] } else { vec![binary] };
        let mut text = String::new();
        for suite in &self.suites {
            let (mirror, components) = (mirrors.of_suite(suite)?, &self.components);
            text.extend(kinds.iter().map(|(kind, index)| {
                format!("{kind} [signed-by={KEYRING} target={index}] {mirror} {suite} {components}\n")
            }));
        }
        Ok(text)
    }

    /// What this root was opened for, whatever the mirrors.
    fn wanted(&self) -> String {
        format!("{}\n{}\nsources: {}\n", self.suites.join(" "), self.components, self.with_sources)
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("lists.of")
    }

    fn configuration(&self) -> PathBuf {
        self.dir.join("apt.conf")
    }

    /// One of apt's programs, to act on this root.
    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--config-file").arg(self.configuration());
        command
    }

    /// Keeps other processes out of this root until dropped.
    fn lock(&self) -> anyhow::Result<File> {
        files::lock(&self.dir)
    }
}

/// An apt.conf for a root at `dir`. It comes on top of the machine's (proxies and credentials stay in force); hooks are
/// cleared, because they act on the machine's state.
fn configuration_text(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Dir::State::lists "{dir}/lists";
Dir::State::status "{dir}/status";
Dir::Cache "{dir}/cache";
Dir::Cache::pkgcache "packages.bin";
Dir::Cache::srcpkgcache "sources.bin";
APT::Default-Release "";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"#
    )
}

/// The file names in the output of `apt-get download --print-uris`: lines of `'URI' NAME SIZE HASH`.
fn deb_names(uris: &str) -> impl Iterator<Item = &str> {
    uris.lines().filter(|line| line.starts_with('\'')).filter_map(|line| line.split(' ').nth(1))
}

/// Runs `command` and gives its output; a failure is told in the first line it complained with.
fn capture(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", complaint(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first error in what a program printed: apt marks it, others have it in front.
fn complaint(stderr: &str) -> &str {
    let marked = stderr.lines().find_map(|line| line.strip_prefix("E: "));
    marked.or_else(|| stderr.lines().next()).unwrap_or("failed without a message").trim()
}

fn verify_all(dir: &Path, files: &[(&str, &str)]) -> anyhow::Result<()> {
    files.iter().try_for_each(|&(name, sha256)| verify(&dir.join(name), sha256))
}
