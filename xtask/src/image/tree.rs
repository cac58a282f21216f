//! The root file system as a directory: packages installed by mmdebstrap, our files over them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::recipe::{self, Kind};
use crate::{debian::Mirrors, progress::Step};

/// How this process gets to own files as the guest's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// It is root.
    Root,
    /// In a user namespace with subordinate ids: subuid(5).
    Namespace,
}

impl Rights {
    /// Those of this process.
    pub(super) fn of_this_process() -> Self {
        if rustix::process::geteuid().is_root() { Self::Root } else { Self::Namespace }
    }

    /// A command that sees the files of a [`Tree`] as the guest would.
    pub(super) fn command(self, program: &str) -> Command {
        match self {
            Self::Root => Command::new(program),
            Self::Namespace => {
                let mut command = Command::new("mmdebstrap");
                command.args(["--unshare-helper", program]);
                command
            }
        }
    }

    fn mode(self) -> &'static str {
        match self {
            Self::Root => "--mode=root",
            Self::Namespace => "--mode=unshare",
        }
    }
}

/// A directory that holds what the root partition shall hold; its content goes away with this value.
pub(super) struct Tree {
    /// The directory.
    pub(super) root: PathBuf,
    /// Its owner.
    pub(super) rights: Rights,
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.root.exists() {
            return;
        }
        // In a namespace the files are not ours to delete, but the directory is, with the work folder around it. What
        // fails here is left in target/, where it harms nobody.
        let _ =
            self.rights.command("find").arg(&self.root).args(["-xdev", "-mindepth", "1", "-delete"]).status();
    }
}

impl Tree {
    /// The one in `dir`, in whatever state.
    pub(super) fn left_in(dir: &Path) -> Self {
        Self { root: dir.join("root"), rights: Rights::of_this_process() }
    }

    /// Installs the packages into `dir/root`, which takes a minute or two and the network.
    pub(super) fn install(kind: Kind, step: &Step, dir: &Path, log: &Path) -> anyhow::Result<Self> {
        let files = dir.join("guest.tar");
        step.command(&mut pack(&recipe::guest_files(), &files), log)?;
        let tree = Self::left_in(dir);
        let mut command = tree.mmdebstrap(kind, &files)?;
        step.command(&mut command, log).with_context(|| match tree.rights {
            Rights::Root => "install Debian's packages",
            Rights::Namespace => {
                "install Debian's packages without being root, which needs subordinate ids: subuid(5)"
            }
        })?;
        Ok(tree)
    }

    /// The command that makes it. Our files come before the packages are configured, so that the initramfs is made
    /// once, and right.
    fn mmdebstrap(&self, kind: Kind, files: &Path) -> anyhow::Result<Command> {
        let mut command = Command::new("mmdebstrap");
        command.env("SOURCE_DATE_EPOCH", recipe::SOURCE_DATE_EPOCH);
        command.args([
            self.rights.mode(),
            "--variant=minbase",
            "--format=directory",
            "--architectures=amd64",
        ]);
        command.arg("--aptopt=Apt::Install-Recommends \"false\"");
        command.args(recipe::LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
        command.arg(format!("--dpkgopt=path-include={}", recipe::KEPT));
        command.arg(format!("--include={}", kind.packages().join(",")));
        command.arg(format!("--essential-hook=tar-in {} /", quoted(files)));
        command.arg(format!("--customize-hook={} \"$1\" {}", quoted(&recipe::customise_hook()), kind.name()));
        command.arg(recipe::SUITE).arg(&self.root).args(sources(&Mirrors::of_this_machine()?));
        Ok(command)
    }

    /// The packages that were installed: lines of name, a space, version.
    pub(super) fn packages(&self) -> anyhow::Result<String> {
        let output = Command::new("dpkg-query")
            .arg(format!("--admindir={}", self.root.join("var/lib/dpkg").display()))
            .args(["--show", "--showformat", "${Package} ${Version}\n"])
            .output()
            .context("start dpkg-query")?;
        anyhow::ensure!(output.status.success(), "dpkg-query cannot read the guest's packages");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Lines for the guest's sources.list: the release, its updates, and its security updates where this machine has them.
fn sources(mirrors: &Mirrors) -> Vec<String> {
    let suite = recipe::SUITE;
    let mut sources = vec![
        format!("deb {} {suite} main", mirrors.debian),
        format!("deb {} {suite}-updates main", mirrors.debian),
    ];
    sources.extend(mirrors.security.iter().map(|security| format!("deb {security} {suite}-security main")));
    sources
}

/// The command that packs the files in `dir` into `archive`, owned by root whoever owns them here.
fn pack(dir: &Path, archive: &Path) -> Command {
    let mut command = Command::new("tar");
    command.arg("--create").arg("--file").arg(archive).arg("--directory").arg(dir);
    command.args(["--sort=name", "--owner=root:0", "--group=root:0", "--mode=u=rwX,go=rX"]);
    command.arg(format!("--mtime=@{}", recipe::SOURCE_DATE_EPOCH)).arg(".");
    command
}

/// `path` as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(security: Option<&str>) -> Mirrors {
        Mirrors { debian: "mirror:/main".into(), security: security.map(Into::into) }
    }

    #[test]
    fn sources_without_security_archive_are_two() {
        assert_eq!(
            sources(&mirrors(None)),
            ["deb mirror:/main bookworm main", "deb mirror:/main bookworm-updates main"]
        );
    }

    #[test]
    fn sources_security_suite_comes_from_its_own_archive() {
        assert_eq!(sources(&mirrors(Some("mirror:/fixes")))[2], "deb mirror:/fixes bookworm-security main");
    }

    #[test]
    fn quoted_path_survives_a_quote() {
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
    }
}
