//! `cargo xtask firmware`: firmware from source, by the recipes of `firmware/manifest.toml`.
//!
//! ```text
//!  manifest.toml ─► Recipe ──┐
//!  configuration ────────────┤                    target/firmware/
//!  source, by its SHA-256 ───┼─► hash of inputs ──► <hash>/  image, licence texts, manifest.json, descriptor.json
//!  compiler and linker ──────┘      │               current/<name> ─► ../<hash>       (what `tinderbox` looks at)
//!                                   └─ not there yet: fetch, unpack, configure, compile, verify, store
//! ```
//!
//! A folder appears under its hash when it is complete, and never changes after that: a build whose inputs are the same
//! is no build at all, and needs no network.

mod additions;
mod build;
mod edk2;
mod meson;
mod option_rom;
mod place;
mod recipe;
mod seabios;
mod source;
mod store;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;
use clap::Subcommand;

use self::build::{Product, Work};
use self::recipe::{Inputs, Recipe};
use self::source::Source;
pub(crate) use self::store::Built;
use self::store::Store;
use crate::{files, host, progress};

/// Options of the verb.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Build firmware images; does nothing where they are built already
    Build(BuildArgs),
    /// Show the recipes, and what is built of them
    List,
}

#[derive(clap::Args)]
struct BuildArgs {
    /// Which ones: recipes of firmware/manifest.toml
    #[arg(value_name = "NAME", default_value = "seabios")]
    names: Vec<String>,
    /// Build all of them
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Build this source instead of the pinned one; the image is then called NAME-local
    #[arg(long, value_name = "DIR|TARBALL", conflicts_with = "all")]
    source: Option<PathBuf>,
    /// Build twice, in two places, and compare the bytes
    #[arg(long)]
    check_reproducible: bool,
}

/// Does it.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Build(args) => {
            let names = names(&args)?;
            names.iter().try_for_each(|name| build_and_tell(name, &args))?;
        }
        Action::List => print!("{}", Store::open()?.table(&recipe::all()?)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Which recipes are to be built.
fn names(args: &BuildArgs) -> anyhow::Result<Vec<String>> {
    if args.all {
        return Ok(recipe::all()?.into_keys().collect());
    }
    let is_one = args.names.len() == 1;
    ensure!(is_one || args.source.is_none(), "--source is of one firmware, leave one NAME");
    Ok(args.names.clone())
}

fn build_and_tell(name: &str, args: &BuildArgs) -> anyhow::Result<()> {
    let order = Order::new(name, args.source.as_deref())?;
    let built = order.build()?;
    println!("{} is {}", order.name, built.image.display());
    if args.check_reproducible {
        println!("built twice, the same bytes: SHA-256 {}", order.check_reproducible(&built)?);
    }
    Ok(())
}

/// The firmware `name` of the bundle, with what it needs at run time. Silent, quick and without network when it is built already.
///
/// # Errors
///
/// When a tool is missing and cannot be installed, the source cannot be had, or the result is not as the recipe says.
pub(crate) fn build(name: &str) -> anyhow::Result<Built> {
    Order::new(name, None)?.build()
}

/// Builds the firmware `name` of the bundle twice, in different folders, and gives the SHA-256 that both and the stored
/// one have.
///
/// # Errors
///
/// As [`build()`], and when any two of the three differ.
pub(crate) fn check_reproducible(name: &str) -> anyhow::Result<String> {
    let order = Order::new(name, None)?;
    order.check_reproducible(&order.build()?)
}

/// A firmware somebody wants, with everything that its bytes depend on.
struct Order {
    /// What it is called in the bundle.
    name: String,
    recipe: Recipe,
    config: String,
    source: Source,
    additions: Option<String>,
    toolchain: String,
}

impl Order {
    /// `source` is the user's own tree or tarball, in place of the pinned one.
    fn new(name: &str, source: Option<&Path>) -> anyhow::Result<Self> {
        let recipe = Recipe::load(name)?;
        let config = recipe.read_config()?;
        let builder = recipe.builder();
        host::ensure_packages(&format!("building {name}"), builder.packages())?;
        let (name, source) = match source {
            None => (name.to_owned(), Source::of_recipe(&recipe)?),
            Some(path) => (format!("{name}-local"), Source::of_user(path, builder.landmarks())?),
        };
        let additions = recipe.additions.as_deref().map(additions::folder);
        let additions = additions.map(|folder| additions::identity(&folder)).transpose()?;
        let toolchain = build::toolchain(builder.toolchain())?;
        Ok(Self { name, recipe, config, source, additions, toolchain })
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            name: &self.name,
            recipe: &self.recipe,
            recipe_code: self.recipe.builder().code_version(),
            config: &self.config,
            source: self.source.identity(),
            additions: self.additions.as_deref(),
            toolchain: &self.toolchain,
        }
    }

    /// The image with its papers, from the store or built now; before it, what it needs at run time.
    fn build(&self) -> anyhow::Result<Built> {
        self.recipe.option_roms.iter().try_for_each(|other| build(other).map(drop))?;
        let store = Store::open()?;
        let inputs = self.inputs();
        // Whoever wants what is there does not wait for a build of something else.
        let built = match store.find(&inputs)? {
            Some(built) => built,
            None => self.build_alone(&store, &inputs)?,
        };
        store.make_current(&built)?;
        Ok(built)
    }

    /// Builds, unless another process has done so while this one waited for it.
    fn build_alone(&self, store: &Store, inputs: &Inputs<'_>) -> anyhow::Result<Built> {
        let _lock = store.lock()?;
        match store.find(inputs)? {
            Some(built) => Ok(built),
            None => store.keep(inputs, self.compile(&["build"], "")?.remove(0)),
        }
    }

    /// Compiles two more times, in folders of different names, and compares with what is stored.
    fn check_reproducible(&self, built: &Built) -> anyhow::Result<String> {
        let _lock = Store::open()?.lock()?;
        let stored = files::sha256_of(&built.image)?;
        for product in self.compile(&["first", "second/and/deeper"], " twice, to compare the bytes")? {
            let found = files::sha256_of(&product.image)?;
            ensure!(
                found == stored,
                "{} differs between builds: SHA-256 {found}, stored is {stored}",
                self.name
            );
        }
        Ok(stored)
    }

    /// Compiles once in each of `places`, folders below a scratch folder. `remark` is for people.
    fn compile(&self, places: &[&str], remark: &str) -> anyhow::Result<Vec<Product>> {
        let tarball = self.source.fetch()?;
        let step = progress::step(format!("build firmware {}{remark}", self.name));
        let log = crate::paths::target_dir("log")?.join(format!("firmware-{}.log", self.name));
        let products = places.iter().map(|place| {
            let work = Work { recipe: &self.recipe, config: &self.config, step: &step, log: &log };
            work.compile(&self.source, &tarball, place)
        });
        let products = products.collect::<anyhow::Result<_>>()?;
        step.done();
        Ok(products)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: BuildArgs,
    }

    fn of(line: &str) -> anyhow::Result<Vec<String>> {
        names(&Line::try_parse_from(line.split(' '))?.args)
    }

    #[test]
    fn firmware_is_built_by_name_or_all_of_it() {
        assert_eq!(of("build").unwrap(), ["seabios"]);
        assert_eq!(of("build qboot edk2").unwrap(), ["qboot", "edk2"]);
        let all = of("build --all").unwrap();
        assert!(["edk2", "qboot", "seabios-usb"].iter().all(|name| all.iter().any(|known| known == name)));
        assert_eq!(of("build edk2 --source .").unwrap(), ["edk2"]);
        for line in ["build --all qboot", "build qboot edk2 --source .", "build --all --source ."] {
            assert!(of(line).is_err(), "{line}");
        }
    }
}
