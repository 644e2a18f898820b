//! What to sweep: split files, command-line settings, and the two made into one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::circuit::analysis::{DEFAULT_LOG2_P_FAIL_LOOKUP, DEFAULT_STEP_NOISE};
use crate::circuit::compile::{Choice, Target};
use crate::circuit::select::Precision;
use crate::core::error::{Error, Result};
use crate::core::placement::{Placement, Segment};
use crate::core::text::from_json;
use crate::core::units;
use crate::fhe::parameters::ParameterSet;
use crate::machine::file::{self, MOST_TEXT_BYTES};
use crate::model::answer::Answer;
use crate::model::protection::Protection;
use crate::model::source::Source;
use crate::model::{Granularity, Model};
use crate::oracle::accuracy;
use crate::oracle::step_noise::cache::Found;
use crate::oracle::step_noise::finder::{Finder, Unsought, summary};
use crate::plan::budget::{self, Asked};
use crate::plan::overhead::Runs;
use crate::record::cost_model::CostModel;
use crate::record::download::Download;
use crate::record::order::Order;
use crate::record::settings::{Settings, default_attack_budget};
use crate::record::shard::Shard;
use crate::record::step_noise::{SegmentShare, StepNoise};

/// The most layers of a network whose placements beside the budget are listed as skipped.
const MOST_LEFT_OUT_LAYERS: usize = 12;

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
    /// With `auto`: the noise that a look-up may have, as a share of an output step, or `auto` again.
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

fn one() -> usize {
    1
}

fn auto() -> String {
    "auto".into()
}

fn plain() -> Download {
    Download::Plain
}

fn default_log2_p_fail() -> f64 {
    DEFAULT_LOG2_P_FAIL_LOOKUP
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
    pub order: Option<Order>,
    pub seed: Option<u64>,
    pub parameters: Option<String>,
    pub step_noise: Option<StepNoise>,
    pub log2_p_fail_lookup: Option<f64>,
    pub download: Option<Download>,
    pub answer: Option<Answer>,
    pub protect: Option<Protection>,
    pub accuracy_images: Option<usize>,
    pub spill_above_bytes: Option<u64>,
    /// Leave out the processes that tell the memory of each party.
    pub skip_party_memory: bool,
    /// Seconds that attacks on a server segment may take.
    pub attack_budget_s: Option<f64>,
    /// Mount none.
    pub skip_attacks: bool,
    /// A file that `splitbench calibrate` wrote.
    pub calibration: Option<PathBuf>,
    /// Only this part of the placements.
    pub shard: Option<Shard>,
    /// Only the placements that so many seconds pay for, in order of promise.
    pub budget_s: Option<f64>,
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
}

impl Settings {
    /// Joins split file and command line, loads the model and checks one against the other; tells what
    /// it finds that nobody has said.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a placement of the wrong length, more images than there are, or zero
    /// of anything, with the split file if one is named; otherwise what reading the files gives.
    pub fn resolve(overrides: Overrides, tell: &dyn Fn(&str)) -> Result<(Self, Model)> {
        let named = overrides.splits.clone();
        let file = match (&overrides.splits, &overrides.model) {
            (None, Some(model)) => SplitFile::all_of(model),
            (path, _) => SplitFile::read(path.as_deref())?,
        };
        let path = overrides.model.unwrap_or(file.model);
        let granularity = overrides.granularity.unwrap_or(file.granularity);
        let model = Model::load(&path)?.with_granularity(granularity);
        let placements = match (overrides.placements.is_empty(), file.placements) {
            // Chosen below, by settings that are known by then.
            _ if overrides.budget_s.is_some() => Vec::new(),
            (false, _) => overrides.placements,
            (true, Placements::List(list)) => list,
            (true, Placements::Word(AllWord::All)) => all_placements(&model)?,
        };
        let mut settings = Self {
            splitbench_version: env!("CARGO_PKG_VERSION").into(),
            name: file.name,
            model: path,
            model_digest: model.digest.clone(),
            granularity,
            shard: None,
            whole: Vec::new(),
            budget_s: overrides.budget_s,
            placements,
            left_out: Vec::new(),
            images: overrides.images.unwrap_or(file.images),
            repeats: overrides.repeats.unwrap_or(file.repeats),
            order: overrides.order.unwrap_or(file.order),
            seed: overrides.seed.unwrap_or(file.seed),
            parameters: overrides.parameters.unwrap_or(file.parameters),
            step_noise: DEFAULT_STEP_NOISE,
            own_step_noise: Vec::new(),
            download: overrides.download.unwrap_or(file.download),
            answer: overrides.answer.unwrap_or(file.answer),
            protect: overrides.protect.unwrap_or(file.protect),
            accuracy_images: overrides.accuracy_images.or(file.accuracy_images),
            spill_above_bytes: overrides.spill_above_bytes.or(file.spill_above_bytes),
            skip_party_memory: overrides.skip_party_memory,
            attack_budget_s: match overrides.skip_attacks {
                true => None,
                false => overrides.attack_budget_s.or(default_attack_budget()),
            },
            cost: match overrides.calibration {
                Some(path) => CostModel::read(&path)?,
                None => CostModel::default(),
            },
            log2_p_fail_lookup: overrides
                .log2_p_fail_lookup
                .unwrap_or(file.log2_p_fail_lookup),
        };
        let step_noise = overrides.step_noise.unwrap_or(file.step_noise);
        if let StepNoise::Share(share) = step_noise {
            settings.step_noise = share;
        }
        if let Some(budget_s) = overrides.budget_s {
            settings.spend(budget_s, &model)?;
        }
        match (settings.check(&model), named) {
            (Ok(()), _) => {
                if step_noise == StepNoise::Auto && settings.parameters == auto() {
                    settings.find_step_noise(&model, tell)?;
                }
                Ok((settings.part(overrides.shard)?, model))
            }
            (Err(Error::Usage(reason)), Some(path)) => Err(Error::Usage(format!(
                "{} with the options given: {reason}",
                path.display()
            ))),
            (Err(error), _) => Err(error),
        }
    }

    /// Finds how much noise the look-ups of each server segment may have.
    fn find_step_noise(&mut self, model: &Model, tell: &dyn Fn(&str)) -> Result<()> {
        let mut segments: Vec<Segment> = Vec::new();
        for segment in self.placements.iter().flat_map(Placement::server_segments) {
            if !segments.contains(&segment) {
                segments.push(segment);
            }
        }
        let folder = Source::find(&self.model)?.folder().map(Path::to_owned);
        let mut finder = match Finder::new(model, folder) {
            Ok(finder) => finder,
            Err(Unsought::Nothing) => return Ok(()),
            Err(Unsought::Unreadable(error)) => return Err(error),
            Err(unsought @ Unsought::TooLarge) => {
                tell(&format!("step noise {DEFAULT_STEP_NOISE}: {unsought}"));
                return Ok(());
            }
        };
        let begin = Instant::now();
        let target = |share| Target {
            parameters: Choice::Cheapest(Precision::StepNoise(share), self.cost),
            log2_p_fail_lookup: self.log2_p_fail_lookup,
            download: self.download,
            ending: self.ending(),
            own_step_noise: Vec::new(),
        };
        let new = segments
            .iter()
            .filter(|segment| finder.takes_time(segment, target));
        let count = new.count();
        let too_many = count > finder.most_segments();
        match count {
            0 => {}
            1 => tell("looking for the most step noise that keeps the accuracy"),
            _ if too_many => tell(&format!(
                "{count} server segments are too many to find the step noise of each: all take that of all \
                 layers on the server"
            )),
            _ => tell(&format!(
                "looking for the most step noise that keeps the accuracy, of {count} server segments"
            )),
        }
        let whole = Segment::whole(model.layer_count());
        segments.retain(|segment| finder.looks_up(segment));
        let found = segments.into_iter().filter_map(|segment| {
            let tried = if too_many { &whole } else { &segment };
            finder.find(tried, target).map(|found| (segment, found))
        });
        let found: Vec<(Segment, Found)> = found.collect();
        let all: Vec<Found> = found.iter().map(|(_, found)| *found).collect();
        if let Some(summary) = summary(&all) {
            let taken = units::seconds(begin.elapsed().as_secs_f64());
            tell(&match count {
                0 => summary,
                _ => format!("{summary}, found in {taken}"),
            });
        }
        self.own_step_noise = found
            .into_iter()
            .map(|(Segment { layers, .. }, Found { share, .. })| SegmentShare { layers, share })
            .filter(|own| own.share != self.step_noise)
            .collect();
        Ok(())
    }

    /// Chooses the placements that a budget pays for; in a table of all that can be listed, the
    /// others are left out.
    fn spend(&mut self, budget_s: f64, model: &Model) -> Result<()> {
        let plan = budget::plan(model, &self.asked(model)?, budget_s)?;
        if plan.placements.is_empty() {
            return Err(Error::Usage(format!(
                "--budget: {} pays for no split of {}: give more",
                units::seconds(budget_s),
                model.name
            )));
        }
        if model.layer_count() <= MOST_LEFT_OUT_LAYERS {
            let chosen: HashSet<&Placement> = plan.placements.iter().collect();
            let all = Placement::all(model.layer_count());
            self.left_out = all
                .filter(|placement| !chosen.contains(placement))
                .collect();
        }
        self.placements = plan.placements;
        Ok(())
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

    fn check(&self, model: &Model) -> Result<()> {
        let mut seen = HashSet::new();
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
            ("accuracy images", self.accuracy_images.unwrap_or(1)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::Usage(format!("{name} must be at least one")));
        }
        if self.repeats > 1_000_000 {
            let reason = "more than a million repeats: give fewer";
            return Err(Error::Usage(reason.into()));
        }
        let asked_for = self.images.max(self.accuracy_images.unwrap_or(1));
        if asked_for > model.test.len() {
            return Err(Error::Usage(format!(
                "{asked_for} images asked for, but {} has {} test images: ask for at most so many",
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
        if self.answer == Answer::Label && model.element_count(model.nodes.len()) < 2 {
            return Err(Error::Usage(format!(
                "{} has a single output, and a label is compared among several: leave the answer at \
                 logits",
                model.name
            )));
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
            ending: self.ending(),
            own_step_noise: self.own_step_noise.clone(),
        })
    }

    /// Returns over how many images accuracy is simulated.
    pub fn accuracy_image_count(&self, model: &Model) -> usize {
        self.accuracy_images.unwrap_or(model.test.len())
    }

    /// Returns how often each split runs.
    pub fn runs(&self, model: &Model) -> Runs {
        let simulated = accuracy::inference_count(self.accuracy_image_count(model));
        Runs {
            images: self.images,
            repeats: self.repeats,
            skip_party_memory: self.skip_party_memory,
            simulated_multiplications: simulated as f64 * model.multiplication_count() as f64,
        }
    }

    /// Returns what decides which splits are promising.
    ///
    /// # Errors
    ///
    /// As [`Self::target`].
    pub fn asked(&self, model: &Model) -> Result<Asked> {
        let parameters = match self.target()?.parameters {
            Choice::Fixed(parameters) => parameters,
            Choice::Cheapest(..) => ParameterSet::fast()?,
        };
        Ok(Asked {
            cost: self.cost,
            parameters,
            ending: self.ending(),
            runs: self.runs(model),
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
