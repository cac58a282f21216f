//! Kernel modules, in the order in which they can be loaded.
//!
//! What a module needs stands in the module itself (section `.modinfo`, `depends=`), so no index made by depmod is
//! needed: packages do not carry one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where each module of a kernel lies, by the name the kernel has for it (`_`, never `-`).
pub(super) struct Modules(BTreeMap<String, PathBuf>);

impl Modules {
    /// Those anywhere below `folder`.
    ///
    /// # Errors
    ///
    /// When a folder cannot be read.
    pub(super) fn below(folder: &Path) -> anyhow::Result<Self> {
        let mut found = BTreeMap::new();
        collect(folder, &mut found).with_context(|| format!("read {}", folder.display()))?;
        Ok(Self(found))
    }

    /// The content of the `wanted` modules and of all that they need, each after what it needs.
    ///
    /// # Errors
    ///
    /// When a module is not there or cannot be read.
    pub(super) fn in_load_order(&self, wanted: &[&str]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let mut ordered = Vec::new();
        wanted.iter().try_for_each(|name| self.add(name, &mut ordered))?;
        Ok(ordered)
    }

    /// Appends `name` after what it needs, unless it is there. The kernel's build refuses circles, so this ends.
    fn add(&self, name: &str, ordered: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
        if ordered.iter().any(|(present, _)| present == name) {
            return Ok(());
        }
        let path = self.0.get(name).with_context(|| format!("the lab's kernel has no module {name}"))?;
        let content = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        for needed in dependencies(&content) {
            self.add(&needed, ordered)?;
        }
        ordered.push((name.to_owned(), content));
        Ok(())
    }
}

fn collect(folder: &Path, found: &mut BTreeMap<String, PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".ko")) {
            found.insert(kernel_name(name), path);
        }
    }
    Ok(())
}

/// The names after `depends=` in the module with this content.
fn dependencies(content: &[u8]) -> Vec<String> {
    // Strings of .modinfo end with a zero byte, and each but the first follows one.
    let mut strings = content.split(|&byte| byte == 0);
    let names = strings.find_map(|string| string.strip_prefix(b"depends=")).unwrap_or_default();
    String::from_utf8_lossy(names).split(',').filter(|name| !name.is_empty()).map(kernel_name).collect()
}

fn kernel_name(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(files: &[(&str, &str)]) -> (tempfile::TempDir, Modules) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("drivers")).unwrap();
        for (name, depends) in files {
            let content = format!("\x7fELF\0license=GPL\0depends={depends}\0name={name}\0");
            fs::write(dir.path().join("drivers").join(format!("{name}.ko")), content).unwrap();
        }
        let modules = Modules::below(dir.path()).unwrap();
        (dir, modules)
    }

    fn names(ordered: &[(String, Vec<u8>)]) -> Vec<&str> {
        ordered.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn in_load_order_puts_needed_modules_first_and_once() {
        let (_dir, modules) =
            modules(&[("kvm-amd", "kvm,ccp"), ("kvm", "irqbypass"), ("irqbypass", ""), ("ccp", "")]);

        let ordered = modules.in_load_order(&["irqbypass", "kvm_amd"]).unwrap();

        assert_eq!(names(&ordered), ["irqbypass", "kvm", "ccp", "kvm_amd"]);
    }

    #[test]
    fn in_load_order_names_the_module_that_is_not_there() {
        let (_dir, modules) = modules(&[("9p", "9pnet")]);

        let error = modules.in_load_order(&["9p"]).unwrap_err();

        assert_eq!(error.to_string(), "the lab's kernel has no module 9pnet");
    }
}
