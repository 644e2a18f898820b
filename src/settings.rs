//! What to sweep: split files, command-line settings, and the two made into one.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::compile::{Choice, Download, Target};
use crate::cost::CostModel;
use crate::error::{Error, Result};
use crate::fhe::parameters::ParameterSet;
use crate::model::{Granularity, Model};
use crate::placement::Placement;
use crate::protection::Protection;
use crate::select::Precision;
use crate::shard::Shard;

/// The split file of a sweep without arguments.
const DEFAULT_SPLITS: &str = include_str!("../splits/digits-cnn.json");

/// A split file as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitFile {
    /// Names the results folder.
    pub name: String,
    /// A sentence on why these splits.
    pub why: String,
    /// A model folder, relative to the working directory, or the name of a built-in model.
    pub model: PathBuf,
    /// `block` or `layer`: what of a residual network is placed.
    #[serde(default)]
    pub granularity: Granularity,
    pub placements: Placements,
    /// The first so many test images.
    #[serde(default = "one")]
    pub images: usize,
    /// Inferences per image.
    #[serde(default = "one")]
    pub repeats: usize,
    /// Seed of the simulated noise.
    #[serde(default)]
    pub seed: u64,
    /// `auto`, `exact`, `fast` or `accurate`.
    #[serde(default = "auto")]
    pub parameters: String,
    /// With `auto`: the noise that a look-up may have, as a share of an output step.
    #[serde(default = "default_step_noise")]
    pub step_noise: f64,
    /// The failure probability that no look-up may exceed.
    #[serde(default = "default_log2_p_fail")]
    pub log2_p_fail_lookup: f64,
    /// `plain`, `packed` or `full` answers.
    #[serde(default = "plain")]
    pub download: Download,
    /// `none` or `rerandomise`.
    #[serde(default)]
    pub protection: Protection,
}

/// `"all"` or a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "placements must be \"all\" or a list such as [\"CSC\", \"SSS\"] of letters C and S"
)]
pub enum Placements {
    List(Vec<Placement>),
    Word(AllWord),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllWord {
    All,
}

fn one() -> usize {
    1
}

fn auto() -> String {
    "auto".into()
}

fn plain() -> Download {
    Download::Plain
}

fn default_step_noise() -> f64 {
    0.5
}

fn default_log2_p_fail() -> f64 {
    -64.0
}

/// What the command line may say; each overrides the split file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub splits: Option<PathBuf>,
    pub model: Option<PathBuf>,
    pub granularity: Option<Granularity>,
    pub placements: Vec<Placement>,
    pub images: Option<usize>,
    pub repeats: Option<usize>,
    pub seed: Option<u64>,
    pub parameters: Option<String>,
    pub step_noise: Option<f64>,
    pub log2_p_fail_lookup: Option<f64>,
    pub download: Option<Download>,
    pub protection: Option<Protection>,
    /// A file that `splitbench calibrate` wrote.
    pub calibration: Option<PathBuf>,
    /// Only this part of the placements.
    pub shard: Option<Shard>,
}

/// Everything that decides what a sweep's rows mean; equal settings give comparable rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Of the program that runs the sweep.
    #[serde(default)]
    pub splitbench_version: String,
    pub name: String,
    pub model: PathBuf,
    /// SHA-256 of the model.
    pub model_digest: String,
    #[serde(default)]
    pub granularity: Granularity,
    /// Which part of a larger sweep this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Every placement of that larger sweep; none where this is all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub whole: Vec<Placement>,
    /// The placements to run.
    pub placements: Vec<Placement>,
    pub images: usize,
    pub repeats: usize,
    pub seed: u64,
    pub parameters: String,
    pub step_noise: f64,
    pub log2_p_fail_lookup: f64,
    pub download: Download,
    #[serde(default)]
    pub protection: Protection,
    /// What the choice of parameter sets is based on.
    pub cost: CostModel,
}

impl SplitFile {
    /// Reads a split file; without a path the embedded default.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] or [`Error::Invalid`] that names the file.
    pub fn read(path: Option<&Path>) -> Result<Self> {
        let (place, text) = match path {
            None => ("built-in split file".into(), DEFAULT_SPLITS.to_owned()),
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|source| Error::Read {
                    path: path.to_owned(),
                    source,
                })?;
                (path.display().to_string(), text)
            }
        };
        let file: Self = serde_json::from_str(&text)
            .map_err(|error| Error::invalid(&place, format!("no valid split file: {error}")))?;
        if Path::new(&file.name).file_name() != Some(file.name.as_ref()) {
            let name = &file.name;
            let reason = format!("name {name:?} must be a plain folder name: it goes to results/");
            return Err(Error::invalid(place, reason));
        }
        Ok(file)
    }
}

impl Settings {
    /// Joins split file and command line, loads the model and checks one against the other.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a placement of the wrong length, more images than there are, or zero
    /// of anything, with the split file if one is named; otherwise what reading the files gives.
    pub fn resolve(overrides: Overrides) -> Result<(Self, Model)> {
        let named = overrides.splits.clone();
        let file = match (&overrides.splits, &overrides.model) {
            (None, Some(model)) => SplitFile::all_of(model),
            (path, _) => SplitFile::read(path.as_deref())?,
        };
        let path = overrides.model.unwrap_or(file.model);
        let granularity = overrides.granularity.unwrap_or(file.granularity);
        let model = Model::load(&path)?.with_granularity(granularity);
        let placements = match (overrides.placements.is_empty(), file.placements) {
            (false, _) => overrides.placements,
            (true, Placements::List(list)) => list,
            (true, Placements::Word(AllWord::All)) => all_placements(&model)?,
        };
        let settings = Self {
            splitbench_version: env!("CARGO_PKG_VERSION").into(),
            name: file.name,
            model: path,
            model_digest: model.digest.clone(),
            granularity,
            shard: None,
            whole: Vec::new(),
            placements,
            images: overrides.images.unwrap_or(file.images),
            repeats: overrides.repeats.unwrap_or(file.repeats),
            seed: overrides.seed.unwrap_or(file.seed),
            parameters: overrides.parameters.unwrap_or(file.parameters),
            step_noise: overrides.step_noise.unwrap_or(file.step_noise),
            download: overrides.download.unwrap_or(file.download),
            protection: overrides.protection.unwrap_or(file.protection),
            cost: match overrides.calibration {
                Some(path) => CostModel::read(&path)?,
                None => CostModel::default(),
            },
            log2_p_fail_lookup: overrides
                .log2_p_fail_lookup
                .unwrap_or(file.log2_p_fail_lookup),
        };
        match (settings.check(&model), named) {
            (Ok(()), _) => Ok((settings.part(overrides.shard)?, model)),
            (Err(Error::Usage(reason)), Some(path)) => Err(Error::Usage(format!(
                "{} with the options given: {reason}",
                path.display()
            ))),
            (Err(error), _) => Err(error),
        }
    }

    /// Returns the settings of one shard of this sweep; of all of it without a shard.
    fn part(self, shard: Option<Shard>) -> Result<Self> {
        let Some(shard) = shard else {
            return Ok(self);
        };
        let placements = shard.take(&self.placements);
        if placements.is_empty() {
            let count = self.placements.len();
            return Err(Error::Usage(format!(
                "shard {shard} is empty: make at most {count} shards of {count} placements"
            )));
        }
        Ok(Self {
            shard: Some(shard),
            whole: self.placements,
            placements,
            ..self
        })
    }

    /// Returns the settings of the whole sweep that these are a shard of.
    pub fn unsharded(mut self) -> Self {
        if self.shard.take().is_some() {
            self.placements = std::mem::take(&mut self.whole);
        }
        self
    }

    fn check(&self, model: &Model) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        for placement in &self.placements {
            placement.check_length(model.layer_count(), &model.name)?;
            if !seen.insert(placement) {
                let reason = format!("placement {placement} is given twice: give each once");
                return Err(Error::Usage(reason));
            }
        }
        let counts = [
            ("placements", self.placements.len()),
            ("images", self.images),
            ("repeats", self.repeats),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::Usage(format!("{name} must be at least one")));
        }
        if self.repeats > 1_000_000 {
            let reason = "more than a million repeats: give fewer";
            return Err(Error::Usage(reason.into()));
        }
        if self.images > model.test.len() {
            return Err(Error::Usage(format!(
                "{} images asked for, but {} has {} test images: ask for at most so many",
                self.images,
                model.name,
                model.test.len()
            )));
        }
        if !self.log2_p_fail_lookup.is_finite() || self.log2_p_fail_lookup >= -1.0 {
            let reason =
                "log2 of the failure probability must be finite and below -1, for instance -64";
            return Err(Error::Usage(reason.into()));
        }
        if !self.step_noise.is_finite() || self.step_noise <= 0.0 {
            let reason =
                "the noise of a look-up must be a positive share of a step, for instance 0.5";
            return Err(Error::Usage(reason.into()));
        }
        self.target().map(|_| ())
    }

    /// Returns the compilation target.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for an unknown parameter set.
    pub fn target(&self) -> Result<Target> {
        let parameters = match self.parameters.as_str() {
            "auto" => Choice::Cheapest(Precision::StepNoise(self.step_noise), self.cost),
            "exact" => Choice::Cheapest(Precision::Exact, self.cost),
            "fast" => Choice::Fixed(ParameterSet::fast()?),
            "accurate" => Choice::Fixed(ParameterSet::accurate()?),
            other => {
                let reason = "choose auto, exact, fast or accurate";
                return Err(Error::Usage(format!(
                    "there is no parameter set {other:?}: {reason}"
                )));
            }
        };
        Ok(Target {
            parameters,
            log2_p_fail_lookup: self.log2_p_fail_lookup,
            download: self.download,
            protection: self.protection,
        })
    }
}

impl SplitFile {
    /// Returns the split file that a bare `--model` stands for.
    fn all_of(model: &Path) -> Self {
        let name = model.file_name().unwrap_or(model.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            why: "Every split of the model named on the command line.".into(),
            model: model.to_owned(),
            granularity: Granularity::default(),
            placements: Placements::Word(AllWord::All),
            images: one(),
            repeats: one(),
            seed: 0,
            parameters: auto(),
            step_noise: default_step_noise(),
            log2_p_fail_lookup: default_log2_p_fail(),
            download: plain(),
            protection: Protection::None,
        }
    }
}

/// Returns every placement of a model.
///
/// # Errors
///
/// [`Error::Usage`] where there are too many to enumerate.
pub fn all_placements(model: &Model) -> Result<Vec<Placement>> {
    let layers = model.layer_count();
    if layers > Placement::MOST_ENUMERATED_LAYERS {
        return Err(Error::Usage(format!(
            "{} has {layers} placeable layers: 2^{layers} placements are too many, name some with \
             --placement",
            model.name
        )));
    }
    Ok(Placement::all(layers).collect())
}
