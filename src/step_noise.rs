//! How much noise look-ups may have: the most that keeps a network's accuracy, found on its calibration
//! images.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::accuracy::{Accuracy, inference_count};
use crate::analysis::DEFAULT_STEP_NOISE;
use crate::answer::Answer;
use crate::compile::{Target, compile_placement};
use crate::ending::Ending;
use crate::model::Model;
use crate::placement::{Party, Placement};
use crate::units;

/// What is tried, as shares of an output step, from cheap to dear.
const SHARES: [f64; 5] = [DEFAULT_STEP_NOISE, 0.3, 0.18, 0.1, 0.05];
/// The share of calibration images that noise may cost.
const MOST_LOSS: f64 = 0.003;
/// Fewest and most calibration images.
const IMAGES: (usize, usize) = (100, 1000);
/// Multiplications of a trial, about: a quarter of a minute of a core.
const MOST_WORK: f64 = 2e10;

/// What is asked of look-ups.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum StepNoise {
    /// The most that keeps the accuracy.
    #[default]
    Auto,
    /// The standard deviation that is allowed, as a share of an output step.
    Share(f64),
}

/// A share, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub share: f64,
    /// In words; none where there is nothing to find it on.
    pub why: Option<String>,
}

impl FromStr for StepNoise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(share) => Ok(Self::Share(share)),
            Err(_) if text == "auto" => Ok(Self::Auto),
            Err(_) => Err("give auto, or a share of an output step such as 0.5".into()),
        }
    }
}

impl fmt::Display for StepNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Share(share) => share.fmt(f),
        }
    }
}

/// As a split file has it.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "step_noise must be \"auto\" or a share of an output step such as 0.5"
)]
enum Written {
    Number(f64),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Auto,
}

impl Serialize for StepNoise {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Auto => Written::Word(Word::Auto),
            Self::Share(share) => Written::Number(*share),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StepNoise {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Number(share) => Self::Share(share),
            Written::Word(Word::Auto) => Self::Auto,
        })
    }
}

/// Returns the largest share whose noise costs at most 0.3 points of the calibration images, all
/// layers on the server, where most look-ups meet; never more than [`DEFAULT_STEP_NOISE`], which it also
/// is where there are no calibration images, or where they would take too long. `target` gives the
/// target for a share.
pub fn decide(model: &Model, target: impl Fn(f64) -> Target) -> Decision {
    let default = |why: Option<&str>| Decision {
        share: DEFAULT_STEP_NOISE,
        why: why.map(str::to_owned),
    };
    if model
        .layers
        .iter()
        .all(|layer| model.layer_bootstrap_count(layer) == 0)
    {
        return default(None);
    }
    if !model.is_classifier() {
        return default(None);
    }
    let Some(calibrating) = model.on_calibration_images() else {
        return default(None);
    };
    let per_inference = model.multiplication_count().max(1) as f64;
    let affordable = |count: &usize| inference_count(*count) as f64 * per_inference <= MOST_WORK;
    let (fewest, most) = IMAGES;
    let counts = [most, most / 2, most / 4, fewest];
    let available = calibrating.test.len();
    let Some(count) = counts
        .into_iter()
        .map(|count| count.min(available))
        .find(affordable)
    else {
        return default(Some(
            "on a network of this size the most that keeps the accuracy is not looked for",
        ));
    };
    let images: Vec<usize> = (0..count).collect();
    let placement = Placement::uniform(Party::Server, model.layer_count());
    let mut decision = default(Some("no parameters serve all layers on the server"));
    let mut wanted = None;
    for share in SHARES {
        let accuracy = |ending: Ending| {
            let target = Target {
                ending,
                ..target(share)
            };
            let programs = compile_placement(&calibrating, &placement, &target).ok()?;
            Some(Accuracy::of(
                &calibrating,
                &placement,
                &programs,
                &images,
                0,
            ))
        };
        let ending = target(share).ending;
        let Some(found) = accuracy(ending) else {
            break;
        };
        // Labels are to be those of the logits, however fine their differences.
        let of_logits = || match ending.answer {
            Answer::Logits => found.noiseless,
            Answer::Label => accuracy(Ending::default()).map_or(found.noiseless, |a| a.noiseless),
        };
        let loss = *wanted.get_or_insert_with(of_logits) - found.simulated;
        let points = units::decimal(100.0 * loss.max(0.0), 2);
        let why = format!("noise costs {points} points on {count} calibration images");
        decision = Decision {
            share,
            why: Some(why),
        };
        if loss <= MOST_LOSS {
            break;
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_it_is_read() {
        for (text, expected) in [("auto", StepNoise::Auto), ("0.3", StepNoise::Share(0.3))] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
            let json = serde_json::to_string(&expected).expect("plain");
            assert_eq!(
                serde_json::from_str::<StepNoise>(&json).ok(),
                Some(expected)
            );
        }
        assert!("loud".parse::<StepNoise>().is_err());
        assert!(serde_json::from_str::<StepNoise>("\"loud\"").is_err());
    }
}
