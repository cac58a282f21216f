//! `--cpu MODEL[,+feature][,-feature][,feature=on|off]`, and `--cpu list`.

use std::path::Path;
use std::str::FromStr;

use super::table::columns;
use crate::cpu::feature::{self, Feature};
use crate::cpu::{Baseline, CpuError, CpuModel};
use crate::kvm::{Kvm, KvmError};

/// What `--cpu` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CpuChoice {
    /// The list of models and features.
    List,
    /// A processor.
    Model(CpuModel),
}

/// Why a text is no processor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum CpuChoiceError {
    /// Not a model.
    #[error("unknown model `{0}`, use host, max, x86-64-v2 or x86-64-v3; --cpu list shows the features")]
    Model(String),
    /// Not a feature.
    #[error("unknown feature `{name}`, {}", suggestion(.name))]
    Feature {
        /// What it was called.
        name: String,
    },
    /// Neither on nor off.
    #[error("`{0}` switches nothing, write +feature or -feature")]
    Shape(String),
    /// A feature for the second time.
    #[error("{0} is given twice, give it once")]
    Twice(Feature),
    /// Switches that do not go together.
    #[error(transparent)]
    Cpu(#[from] CpuError),
}

fn suggestion(name: &str) -> String {
    match feature::nearest(name).as_slice() {
        [] => "see --cpu list".into(),
        near => format!("did you mean {}?", near.join(" or ")),
    }
}

impl CpuChoice {
    /// The model; a list has none, so the default's.
    pub(crate) fn into_model(self) -> CpuModel {
        match self {
            Self::List => CpuModel::default(),
            Self::Model(model) => model,
        }
    }
}

impl FromStr for CpuChoice {
    type Err = CpuChoiceError;

    fn from_str(text: &str) -> Result<Self, CpuChoiceError> {
        match text {
            "list" | "help" | "?" => Ok(Self::List),
            _ => model(text).map(Self::Model),
        }
    }
}

fn model(text: &str) -> Result<CpuModel, CpuChoiceError> {
    let mut fields = text.split(',');
    let mut model =
        CpuModel { baseline: baseline(fields.next().unwrap_or_default())?, ..CpuModel::default() };
    for field in fields {
        let (feature, on) = switch(field)?;
        if model.switches.insert(feature, on).is_some() {
            return Err(CpuChoiceError::Twice(feature));
        }
    }
    model.check()?;
    Ok(model)
}

fn baseline(name: &str) -> Result<Baseline, CpuChoiceError> {
    match name {
        "host" | "max" => Ok(Baseline::Host),
        "x86-64-v2" => Ok(Baseline::V2),
        "x86-64-v3" => Ok(Baseline::V3),
        _ => Err(CpuChoiceError::Model(name.into())),
    }
}

/// A feature, and whether it is switched on.
fn switch(field: &str) -> Result<(Feature, bool), CpuChoiceError> {
    let shape = || CpuChoiceError::Shape(field.into());
    let (name, on) = match (field.strip_prefix('+'), field.strip_prefix('-')) {
        (Some(name), _) => (name, true),
        (_, Some(name)) => (name, false),
        _ => match field.split_once('=').ok_or_else(shape)? {
            (name, "on") => (name, true),
            (name, "off") => (name, false),
            _ => return Err(shape()),
        },
    };
    let feature = feature::find(name).ok_or_else(|| CpuChoiceError::Feature { name: name.into() })?;
    Ok((feature, on))
}

/// The models, and every feature with its place in CPUID and whether the host behind `kvm` offers it.
pub(crate) fn list(kvm: &Path) -> String {
    let host = Kvm::open(kvm).and_then(|kvm| kvm.features());
    let offered =
        |feature| host.as_ref().map_or("?", |host| if host.contains(feature) { "yes" } else { "no" });
    let row = |(name, word, bit): (Feature, &feature::Word, u8)| {
        [name.into(), offered(name).into(), format!("CPUID {word}[{bit}]")]
    };
    let rows: Vec<_> = feature::all().map(row).collect();
    format!("{MODELS}\nfeatures, on this host{}\n{}", unknown(host.as_ref().err()), columns(&rows))
}

const MODELS: &str = "\
models
  host       all that this host and KVM have; max is the same
  x86-64-v2  level 2: SSE4.2, POPCNT, CMPXCHG16B
  x86-64-v3  level 3: AVX2, BMI, FMA, MOVBE
";

fn unknown(error: Option<&KvmError>) -> String {
    error.map_or_else(String::new, |error| format!(" (unknown: {error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> CpuModel {
        let CpuChoice::Model(model) = text.parse().unwrap() else { panic!("no model") };
        model
    }

    fn message(text: &str) -> String {
        text.parse::<CpuChoice>().unwrap_err().to_string()
    }

    #[test]
    fn model_without_switches_is_its_baseline() {
        assert_eq!(parsed("host"), CpuModel::default());
        assert_eq!(parsed("max"), CpuModel::default());
        assert_eq!(parsed("x86-64-v3").baseline, Baseline::V3);
    }

    #[test]
    fn features_are_switched_in_three_ways() {
        let model = parsed("host,+avx2,-sse4.2,pku=off,kvm-steal-time=on");
        assert_eq!(model.to_string(), "host,+avx2,+kvm_steal_time,-pku,-sse4_2");
    }

    #[test]
    fn list_and_help_are_lists() {
        for text in ["list", "help", "?"] {
            assert_eq!(text.parse(), Ok(CpuChoice::List));
        }
    }

    #[test]
    fn wrong_models_and_switches_are_named() {
        assert!(message("Skylake").starts_with("unknown model `Skylake`, use host, max, "));
        assert_eq!(message("host,avx"), "`avx` switches nothing, write +feature or -feature");
        assert_eq!(message("host,avx=yes"), "`avx=yes` switches nothing, write +feature or -feature");
        assert_eq!(message("host,+avx,-avx"), "avx is given twice, give it once");
        assert_eq!(message("host,-avx,+fma"), "+fma and -avx exclude each other: fma needs avx");
    }

    #[test]
    fn unknown_feature_comes_with_the_nearest() {
        assert_eq!(
            message("host,-avx512ff"),
            "unknown feature `avx512ff`, did you mean avx512f or avx512pf or avx512bw?"
        );
        assert_eq!(message("host,-teleport"), "unknown feature `teleport`, see --cpu list");
    }

    #[test]
    fn list_without_kvm_has_the_names_and_the_reason() {
        let text = list("/nonexistent/kvm".as_ref());
        assert!(text.contains("features, on this host (unknown: /nonexistent/kvm does not exist"), "{text}");
        let row = text.lines().find(|line| line.starts_with("  avx2 ")).unwrap();
        assert!(row.ends_with("  ?  CPUID 0x7 EBX[5]"), "{row}");
    }
}
