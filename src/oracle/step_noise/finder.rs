//! Finds for each server segment the most noise that keeps the network's accuracy, on its calibration
//! images.

use std::fmt;
use std::path::PathBuf;

use super::cache::{Cache, Found};
use super::fractions::FRACTIONS;
use crate::circuit::analysis::DEFAULT_STEP_NOISE;
use crate::circuit::compile::{Target, compile_placement};
use crate::core::digest::hex_digest;
use crate::core::error::Error;
use crate::core::placement::{Party, Placement};
use crate::core::units;
use crate::model::Model;
use crate::model::answer::Answer;
use crate::model::output_mode::OutputMode;
use crate::oracle::accuracy::{Accuracy, inference_count};

/// The fraction of calibration images that noise may cost.
const MOST_LOSS: f64 = 0.003;
/// Numbers of calibration images, at most, of which the largest that can be afforded is taken: fewer would
/// not tell a third of a point.
const IMAGE_COUNTS: [usize; 2] = [1000, 500];
/// Multiplications of one trial of a segment, about: half a minute of two cores.
const MOST_WORK: f64 = 6e10;
/// Rises where what is found for the same model and target changes, so that nothing older is taken.
const FINDING: u32 = 1;
/// Multiplications of a trial of every segment that is new, about: a few minutes of two cores.
const MOST_TOTAL_WORK: f64 = 4e11;

/// Finds how much noise the look-ups of a model's server segments may have.
pub struct Finder<'a> {
    model: &'a Model,
    /// The model, to be tested on its calibration images.
    calibrating: Model,
    /// Calibration images that are used, by index.
    images: Vec<usize>,
    cache: Cache,
}

/// Why no fraction is looked for.
#[derive(Debug)]
pub enum Unsought {
    /// There is nothing to judge noise by: no classes, or no calibration images.
    Nothing,
    TooLarge,
    /// What was found before cannot be read.
    Unreadable(Error),
}

impl fmt::Display for Unsought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => {
                f.write_str("there are no images to find the most that keeps the accuracy on")
            }
            Self::TooLarge => f.write_str(
                "on a network of this size the most that keeps the accuracy is not looked for",
            ),
            Self::Unreadable(error) => error.fmt(f),
        }
    }
}

impl<'a> Finder<'a> {
    /// Prepares to find the fractions of segments of a model, which are kept in its folder, if it has one.
    ///
    /// # Errors
    ///
    /// Where [`DEFAULT_STEP_NOISE`] is to do.
    pub fn new(model: &'a Model, folder: Option<PathBuf>) -> Result<Self, Unsought> {
        if !model.is_classifier() {
            return Err(Unsought::Nothing);
        }
        let calibrating = model.on_calibration_images().ok_or(Unsought::Nothing)?;
        let available = calibrating.test.len();
        let per_inference = model.multiplication_count().max(1) as f64;
        let mut counts = IMAGE_COUNTS.into_iter().map(|count| count.min(available));
        let affordable =
            |count: &usize| inference_count(*count) as f64 * per_inference <= MOST_WORK;
        let count = counts.find(affordable).ok_or(Unsought::TooLarge)?;
        Ok(Self {
            model,
            calibrating,
            images: (0..count).collect(),
            cache: Cache::read(folder).map_err(Unsought::Unreadable)?,
        })
    }

    /// Returns the largest fraction whose noise costs at most 0.3 points of the calibration images with
    /// the network so placed, and never more than [`DEFAULT_STEP_NOISE`]; the smallest
    /// that has a parameter set where none is so small; none where nothing is looked up, or no set
    /// serves. `target` gives the target for a fraction.
    pub fn find(&mut self, placement: &Placement, target: impl Fn(f64) -> Target) -> Option<Found> {
        if !self.looks_up(placement) {
            return None;
        }
        let key = self.key(placement, &target(DEFAULT_STEP_NOISE));
        if let Some(found) = self.cache.get(&key) {
            return Some(found);
        }
        let found = self.try_all(placement, target)?;
        self.cache.put(key, found);
        // Where that cannot be written, it takes its time again.
        let _ = self.cache.write();
        Some(found)
    }

    /// Returns how many segments' fractions are found in a few minutes.
    pub fn most_segments(&self) -> usize {
        let inferences = inference_count(self.images.len()) as f64;
        let work = inferences * self.model.multiplication_count().max(1) as f64;
        (MOST_TOTAL_WORK / work) as usize
    }

    /// Returns whether a placement's fraction takes time to find.
    pub fn takes_time(&self, placement: &Placement, target: impl Fn(f64) -> Target) -> bool {
        let key = || self.key(placement, &target(DEFAULT_STEP_NOISE));
        self.looks_up(placement) && self.cache.get(&key()).is_none()
    }

    /// Returns whether the server of a placement looks anything up.
    pub fn looks_up(&self, placement: &Placement) -> bool {
        self.model.bootstrap_count(placement) > 0
    }

    fn try_all(&self, placement: &Placement, target: impl Fn(f64) -> Target) -> Option<Found> {
        let of = |target: &Target| {
            let programs = compile_placement(&self.calibrating, placement, target).ok()?;
            let model = &self.calibrating;
            Some(Accuracy::of(model, placement, &programs, &self.images, 0))
        };
        let mut wanted: Option<f64> = None;
        let mut last = None;
        for fraction in FRACTIONS {
            let target = target(fraction);
            let Some(accuracy) = of(&target) else {
                break;
            };
            // Labels are to be as right as those of the logits, however fine their differences.
            let of_logits = || match target.output_mode.answer {
                Answer::Logits => None,
                Answer::Label => of(&Target {
                    output_mode: OutputMode::default(),
                    ..target.clone()
                }),
            };
            let noiseless = wanted.get_or_insert_with(|| {
                of_logits().map_or(accuracy.noiseless, |of| {
                    of.noiseless.max(accuracy.noiseless)
                })
            });
            let found = Found {
                fraction,
                loss: (*noiseless - accuracy.simulated).max(0.0),
                images: self.images.len(),
            };
            last = Some(found);
            if found.loss <= MOST_LOSS {
                break;
            }
        }
        last
    }

    /// Returns what a fraction depends on.
    fn key(&self, placement: &Placement, target: &Target) -> String {
        let digest = &self.model.digest;
        let segments = placement.server_segments();
        let nodes = segments
            .iter()
            .map(|segment| format!("{:?}", self.model.nodes_of(segment)));
        let (nodes, images) = (nodes.collect::<Vec<_>>().join(" "), self.images.len());
        hex_digest(format!("{FINDING} {digest} {nodes} {images} {target:?}").as_bytes())
    }
}

/// The fraction of the network with all layers on the server that can be, and a sentence on why, if any.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub fraction: f64,
    pub why: Option<String>,
}

impl Decision {
    /// Decides for a model, and returns what its folder is to keep of what is found.
    pub fn of_whole(model: &Model, target: impl Fn(f64) -> Target) -> (Self, Cache) {
        let mut decision = Self {
            fraction: DEFAULT_STEP_NOISE,
            why: None,
        };
        let mut cache = Cache::default();
        match Finder::new(model, None) {
            Err(Unsought::Nothing) => {}
            Err(unsought) => decision.why = Some(unsought.to_string()),
            Ok(mut finder) => {
                let most = Placement::uniform(Party::Server, &model.pins());
                if let Some(found) = finder.find(&most, target) {
                    decision.fraction = found.fraction;
                    decision.why = Some(found.to_string());
                }
                cache = finder.cache;
            }
        }
        (decision, cache)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = units::decimal(100.0 * self.loss, 2);
        let even_so = if self.loss > MOST_LOSS {
            " even so"
        } else {
            ""
        };
        let images = self.images;
        write!(
            f,
            "noise costs {points} points{even_so} on {images} calibration images"
        )
    }
}

/// Returns a sentence on what was found for a few segments or many; none where nothing was.
pub fn summary(found: &[Found]) -> Option<String> {
    if let [only] = found {
        return Some(format!("step noise {}: {only}", only.fraction));
    }
    let worst = found.iter().max_by(|a, b| a.loss.total_cmp(&b.loss))?;
    let counts: Vec<String> = FRACTIONS
        .into_iter()
        .filter_map(|fraction| {
            let count = found
                .iter()
                .filter(|found| found.fraction == fraction)
                .count();
            (count > 0).then(|| format!("{fraction} for {count}"))
        })
        .collect();
    Some(format!(
        "step noise of {} server segments: {}; in the worst {worst}",
        found.len(),
        counts.join(", ")
    ))
}
