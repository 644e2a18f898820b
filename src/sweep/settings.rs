//! What to sweep: split file and command line made into one, and checked against the model.

use std::collections::HashSet;

use super::overrides::Overrides;
use super::split_file::{AllWord, Placements, SplitFile, auto};
use crate::circuit::analysis::DEFAULT_STEP_NOISE;
use crate::circuit::compile::{Choice, Target};
use crate::circuit::select::Precision;
use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::core::units;
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
use crate::model::answer::Answer;
use crate::oracle::accuracy;
use crate::plan::budget::{self, Asked};
use crate::plan::overhead::Runs;
use crate::record::cost_model::CostModel;
use crate::record::settings::{Settings, default_attack_budget};
use crate::record::shard::Shard;
use crate::record::step_noise::StepNoise;

/// The most layers of a network whose placements beside the budget are listed as skipped.
const MOST_LEFT_OUT_LAYERS: usize = 12;

impl Settings {
    /// Joins split file and command line, loads the model and checks one against the other; tells what
    /// it finds that nobody has said.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a placement of the wrong length, more images than there are, or zero
    /// of anything, with the split file if one is named; otherwise what reading the files gives.
    pub fn resolve(overrides: Overrides, tell: &dyn Fn(&str)) -> Result<(Self, Model)> {
        let (named, shard) = (overrides.splits.clone(), overrides.shard);
        let file = match (&overrides.splits, &overrides.model) {
            (None, Some(model)) => SplitFile::all_of(model),
            (path, _) => SplitFile::read(path.as_deref())?,
        };
        let step_noise = overrides.step_noise.unwrap_or(file.step_noise);
        let path = overrides.model.as_ref().unwrap_or(&file.model);
        let granularity = overrides.granularity.unwrap_or(file.granularity);
        let model = Model::load(path)?.with_granularity(granularity);
        let mut settings = Self::joined(overrides, file, step_noise, &model)?;
        if let Some(budget_s) = settings.budget_s {
            settings.spend(budget_s, &model)?;
        }
        let checked = settings.place(&model).and_then(|()| settings.check(&model));
        match (checked, named) {
            (Ok(()), _) => {
                if step_noise == StepNoise::Auto && settings.parameters == auto() {
                    settings.find_step_noise(&model, tell)?;
                }
                Ok((settings.part(shard)?, model))
            }
            (Err(Error::Usage(reason)), Some(path)) => Err(Error::Usage(format!(
                "{} with the options given: {reason}",
                path.display()
            ))),
            (Err(error), _) => Err(error),
        }
    }

    /// Joins split file and command line, unchecked; without placements where a budget is to choose them,
    /// by settings that are then known, and with the usual step noise where it is to be found.
    fn joined(
        overrides: Overrides,
        file: SplitFile,
        step_noise: StepNoise,
        model: &Model,
    ) -> Result<Self> {
        let placements = match (overrides.placements.is_empty(), file.placements) {
            _ if overrides.budget_s.is_some() => Vec::new(),
            (false, _) => overrides.placements,
            (true, Placements::List(list)) => list,
            (true, Placements::Word(AllWord::All)) => all_placements(model)?,
        };
        Ok(Self {
            splitbench_version: env!("CARGO_PKG_VERSION").into(),
            name: file.name,
            model: overrides.model.unwrap_or(file.model),
            model_digest: model.digest.clone(),
            granularity: overrides.granularity.unwrap_or(file.granularity),
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
            step_noise: match step_noise {
                StepNoise::Fraction(fraction) => fraction,
                StepNoise::Auto => DEFAULT_STEP_NOISE,
            },
            own_step_noise: Vec::new(),
            download: overrides.download.unwrap_or(file.download),
            answer: overrides.answer.unwrap_or(file.answer),
            protect: overrides.protect.unwrap_or(file.protect),
            accuracy_images: overrides.accuracy_images.or(file.accuracy_images),
            spill_above_bytes: overrides.spill_above_bytes.or(file.spill_above_bytes),
            skip_party_memory: overrides.skip_party_memory,
            attack_budget_s: if overrides.skip_attacks {
                None
            } else {
                overrides.attack_budget_s.or(default_attack_budget())
            },
            cost: match overrides.calibration {
                Some(path) => CostModel::read(&path)?,
                None => CostModel::default(),
            },
            log2_p_fail_lookup: overrides
                .log2_p_fail_lookup
                .unwrap_or(file.log2_p_fail_lookup),
        })
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
        if model.pins().free_count() <= MOST_LEFT_OUT_LAYERS {
            let chosen: HashSet<&Placement> = plan.placements.iter().collect();
            let all = Placement::all(&model.pins());
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

    /// Gives every placement the pins of the model.
    fn place(&mut self, model: &Model) -> Result<()> {
        let given = std::mem::take(&mut self.placements);
        self.placements = given
            .into_iter()
            .map(|placement| model.place(placement))
            .collect::<Result<_>>()?;
        Ok(())
    }

    fn check(&self, model: &Model) -> Result<()> {
        let mut seen = HashSet::new();
        for placement in &self.placements {
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
                "the noise of a look-up must be a positive fraction of a step, for instance 0.5";
            return Err(Error::Usage(reason.into()));
        }
        if self.answer == Answer::Label && model.element_count(model.output()) < 2 {
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
            output_mode: self.output_mode(),
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
            cost: self.cost.here(),
            parameters,
            output_mode: self.output_mode(),
            runs: self.runs(model),
        })
    }
}

/// Returns every placement of a model.
///
/// # Errors
///
/// [`Error::Usage`] where there are too many to enumerate.
pub fn all_placements(model: &Model) -> Result<Vec<Placement>> {
    let pins = model.pins();
    let free = pins.free_count();
    if free > Placement::MOST_ENUMERATED_LAYERS {
        return Err(Error::Usage(format!(
            "{} has {free} placeable layers: 2^{free} placements are too many, name some with \
             --placement",
            model.name
        )));
    }
    Ok(Placement::all(&pins).collect())
}
