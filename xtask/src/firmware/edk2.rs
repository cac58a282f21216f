//! edk2: its own tools are built first, and build OVMF's platform for the microvm machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::build::{Builder, Output, Work, clean};

/// The platform, below the top of the source.
const PLATFORM: &str = "OvmfPkg/Microvm/MicrovmX64.dsc";

/// What it calls its results: one folder for each target and toolchain, with the image in it.
const RESULTS: &str = "Build/MicrovmX64";
const IMAGE: &str = "FV/MICROVM.fd";

/// The bytes depend on the name of the folder, RELEASE or DEBUG, so that is the same wherever the checkout lies.
const PLACE: &str = "/var/tmp/tinderbox-edk2";

/// Builds a tree of edk2. The recipe's configuration is a list of arguments of its program `build`, one a line.
pub(crate) struct Edk2;

impl Builder for Edk2 {
    fn code_version(&self) -> u32 {
        1
    }

    fn packages(&self) -> &[&str] {
        // The tools are C, C++ and Python; patch and xz are for Debian's packaging.
        &[
            "acpica-tools",
            "binutils",
            "g++",
            "gcc",
            "libc6-dev",
            "make",
            "nasm",
            "patch",
            "python3",
            "uuid-dev",
            "xz-utils",
        ]
    }

    fn toolchain(&self) -> &[&str] {
        &["gcc", "ld", "nasm"]
    }

    fn landmarks(&self) -> &[&str] {
        &["edksetup.sh", "BaseTools", PLATFORM]
    }

    fn place(&self) -> Option<&Path> {
        Some(Path::new(PLACE))
    }

    fn compile(&self, work: &Work<'_>, tree: &Path, version: Option<&str>) -> anyhow::Result<Output> {
        let version = version.unwrap_or(&work.recipe.version).to_owned();
        let jobs = std::thread::available_parallelism().map_or(1, usize::from).to_string();
        work.run(
            clean("make").arg("--directory").arg(tree.join("BaseTools/Source/C")).args(["--jobs", &jobs]),
        )?;
        work.run(build(tree, &jobs, &version).args(arguments(work.config)))?;
        let image = find_image(&tree.join(RESULTS))?;
        let bytes = fs::read(&image).with_context(|| format!("read {}", image.display()))?;
        verify(&bytes)?;
        let symbols = if work.recipe.symbols { find_symbols(&image)? } else { Vec::new() };
        Ok(Output { image, version, symbols })
    }
}

/// edk2's program `build` in the environment that its `edksetup.sh` makes, which is made for being read by bash.
fn build(tree: &Path, jobs: &str, version: &str) -> Command {
    let mut command = clean("bash");
    // Names would come out of Python's dictionaries in another order each time.
    command.current_dir(tree).env("PYTHON_COMMAND", "python3").env("PYTHONHASHSEED", "0");
    command.env("LC_ALL", "C.UTF-8");
    command.args([
        "-c",
        r#"set -- "$@"; arguments=("$@"); set --; . ./edksetup.sh && exec build "${arguments[@]}""#,
    ]);
    command.args(["build", "-s", "-a", "X64", "-p", PLATFORM, "-n", jobs]);
    // A wide string, which ends with a zero that has to be said.
    command.arg("--pcd").arg(format!(r"PcdFirmwareVersionString=L{version}-tinderbox\0"));
    command
}

/// The arguments in `config`: its lines, without comments, split at spaces.
fn arguments(config: &str) -> impl Iterator<Item = &str> {
    config.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace)
}

/// The image in the only folder of results.
fn find_image(results: &Path) -> anyhow::Result<PathBuf> {
    let folders = fs::read_dir(results).with_context(|| format!("read {}", results.display()))?;
    let mut images = folders.flatten().map(|folder| folder.path().join(IMAGE));
    images.find(|image| image.exists()).with_context(|| format!("no {IMAGE} below {}", results.display()))
}

/// The files with the symbols of each module in `image`, which edk2 puts beside the folder of images.
fn find_symbols(image: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let modules = image.ancestors().nth(2).context("the image lies in a folder")?.join("X64");
    let files = fs::read_dir(&modules).with_context(|| format!("read {}", modules.display()))?;
    let is_debug = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "debug");
    let found: Vec<_> = files.flatten().map(|file| file.path()).filter(is_debug).collect();
    ensure!(!found.is_empty(), "no symbols in {}", modules.display());
    Ok(found)
}

/// Checks that `image` begins as a firmware volume (PI 1.8, volume 3, 3.2.1) and has code at its reset vector, where the
/// signature of the volume's top file comes before.
fn verify(image: &[u8]) -> anyhow::Result<()> {
    let volume = image.get(40..44) == Some(b"_FVH");
    ensure!(volume, "the image does not begin with a firmware volume");
    let top = image.last_chunk::<20>().is_some_and(|end| end.starts_with(b"VTF\0"));
    ensure!(top, "the image has no reset code in its last 16 bytes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verify_wants_a_volume_and_reset_code() {
        let mut image = vec![0; 64 << 10];
        let verdict =
            |image: &[u8]| verify(image).map_or_else(|error| error.to_string(), |()| "good".to_owned());

        assert_eq!(verdict(&image), "the image does not begin with a firmware volume");
        image[40..44].copy_from_slice(b"_FVH");
        assert_eq!(verdict(&image), "the image has no reset code in its last 16 bytes");
        let end = image.len() - 20;
        image[end..end + 4].copy_from_slice(b"VTF\0");
        assert_eq!(verdict(&image), "good");
    }

    #[test]
    fn arguments_are_words_of_lines_without_comments() {
        let config = "# what it is\n-b RELEASE\n\n-D NETWORK_ENABLE=FALSE\n";

        assert_eq!(arguments(config).collect::<Vec<_>>(), ["-b", "RELEASE", "-D", "NETWORK_ENABLE=FALSE"]);
    }

    #[test]
    fn image_is_found_whatever_the_toolchain_is_called() {
        let results = tempfile::tempdir().unwrap();
        assert!(find_image(results.path()).unwrap_err().to_string().contains("no FV/MICROVM.fd below"));
        let image = results.path().join("RELEASE_GCC5").join(IMAGE);
        fs::create_dir_all(image.parent().unwrap()).unwrap();
        fs::write(&image, "").unwrap();

        assert_eq!(find_image(results.path()).unwrap(), image);
    }
}
