//! Split files: what to sweep, as a person writes it down.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::circuit::analysis::DEFAULT_LOG2_P_FAIL_LOOKUP;
use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::core::text::from_json;
use crate::machine::file::{self, MOST_TEXT_BYTES};
use crate::model::Granularity;
use crate::model::answer::Answer;
use crate::model::protection::Protection;
use crate::record::download::Download;
use crate::record::order::Order;
use crate::record::step_noise::StepNoise;

/// The split file of a sweep without arguments.
const DEFAULT_SPLITS: &str = include_str!("../../splits/digits-cnn.json");

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
    /// Rounds; each visits every split and infers each image once.
    #[serde(default = "one")]
    pub repeats: usize,
    /// How a round is ordered.
    #[serde(default)]
    pub order: Order,
    /// Seed of the simulated noise and of the order.
    #[serde(default)]
    pub seed: u64,
    /// `auto`, `exact`, `fast` or `accurate`.
    #[serde(default = "auto")]
    pub parameters: String,
    /// With `auto`: the noise that a look-up may have, as a fraction of an output step, or `auto` again.
    #[serde(default)]
    pub step_noise: StepNoise,
    /// The failure probability that no look-up may exceed.
    #[serde(default = "default_log2_p_fail")]
    pub log2_p_fail_lookup: f64,
    /// `plain`, `packed` or `full` answers.
    #[serde(default = "plain")]
    pub download: Download,
    /// `logits`, or the `label` alone.
    #[serde(default)]
    pub answer: Answer,
    /// `none`, `rerandomise` or `bootstrap`.
    #[serde(default)]
    pub protect: Protection,
    /// Accuracy is simulated over the first so many test images; over all of them without.
    #[serde(default)]
    pub accuracy_images: Option<usize>,
    /// Bytes of live ciphertexts above which those that wait spill to files; without, never.
    #[serde(default)]
    pub spill_above_bytes: Option<u64>,
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
                let text = file::read_text(path, MOST_TEXT_BYTES)?;
                (path.display().to_string(), text)
            }
        };
        let file: Self = from_json(text.as_bytes())
            .map_err(|error| Error::invalid(&place, format!("no valid split file: {error}")))?;
        if Path::new(&file.name).file_name() != Some(file.name.as_ref()) {
            let name = &file.name;
            let reason = format!("name {name:?} must be a plain folder name: it goes to results/");
            return Err(Error::invalid(place, reason));
        }
        Ok(file)
    }

    /// Returns the split file that a bare `--model` stands for.
    pub fn all_of(model: &Path) -> Self {
        let name = model.file_name().unwrap_or(model.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            why: "Every split of the model named on the command line.".into(),
            model: model.to_owned(),
            granularity: Granularity::default(),
            placements: Placements::Word(AllWord::All),
            images: one(),
            repeats: one(),
            order: Order::default(),
            seed: 0,
            parameters: auto(),
            step_noise: StepNoise::default(),
            log2_p_fail_lookup: default_log2_p_fail(),
            download: plain(),
            answer: Answer::default(),
            protect: Protection::default(),
            accuracy_images: None,
            spill_above_bytes: None,
        }
    }
}

fn one() -> usize {
    1
}

pub(super) fn auto() -> String {
    "auto".into()
}

fn plain() -> Download {
    Download::Plain
}

fn default_log2_p_fail() -> f64 {
    DEFAULT_LOG2_P_FAIL_LOOKUP
}
