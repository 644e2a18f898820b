//! What a visit is busy with, and for how long.

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// A stage of a visit, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The reference batch around visits.
    Reference,
    /// Starting a process, reading the model, compiling programs.
    Start,
    Keys,
    WarmUp,
    Inference,
    /// The time of one look-up by itself.
    LookUpTime,
    /// Look-ups of a segment compared with their clear values.
    Deviations,
    Ranks,
    ChosenInputs,
    Masks,
    Accuracy,
    PartyMemory,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference batch",
            Self::Start => "start",
            Self::Keys => "keys",
            Self::WarmUp => "warm-up",
            Self::Inference => "inference",
            Self::LookUpTime => "time of a look-up",
            Self::Deviations => "step deviations",
            Self::Ranks => "ranks of ordinary inputs",
            Self::ChosenInputs => "attack: chosen inputs",
            Self::Masks => "attack: masks",
            Self::Accuracy => "accuracy",
            Self::PartyMemory => "memory of each party",
        })
    }
}

/// A stage that begins, and where it is one of a segment's, which and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    pub stage: Stage,
    /// Counted from one.
    pub segment: Option<(usize, usize)>,
}

impl From<Stage> for Begin {
    fn from(stage: Stage) -> Self {
        Self {
            stage,
            segment: None,
        }
    }
}

impl fmt::Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stage.fmt(f)?;
        match self.segment {
            Some((segment, count)) if count > 1 => write!(f, ", segment {segment} of {count}"),
            _ => Ok(()),
        }
    }
}

/// Seconds of each stage so far; all time is some stage's.
#[derive(Debug)]
pub struct StageClock {
    stage: Stage,
    since: Instant,
    seconds: Vec<(Stage, f64)>,
}

impl StageClock {
    /// Starts with a stage.
    pub fn start(stage: Stage) -> Self {
        Self {
            stage,
            since: Instant::now(),
            seconds: Vec::new(),
        }
    }

    /// Ends the stage that was, and begins the next.
    pub fn begin(&mut self, stage: Stage) {
        let now = Instant::now();
        let seconds = (now - self.since).as_secs_f64();
        match self.seconds.iter_mut().find(|(of, _)| *of == self.stage) {
            Some((_, sum)) => *sum += seconds,
            None => self.seconds.push((self.stage, seconds)),
        }
        (self.stage, self.since) = (stage, now);
    }

    /// Returns the seconds of each stage that ended since this was asked last, in order.
    pub fn take(&mut self) -> Vec<(Stage, f64)> {
        let mut seconds = std::mem::take(&mut self.seconds);
        seconds.sort_by_key(|(stage, _)| *stage);
        seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_share_all_of_the_time() {
        let start = Instant::now();
        let mut clock = StageClock::start(Stage::Keys);
        clock.begin(Stage::Inference);
        clock.begin(Stage::Keys);
        clock.begin(Stage::Accuracy);
        let total = start.elapsed().as_secs_f64();
        let seconds = clock.take();
        let stages: Vec<Stage> = seconds.iter().map(|(stage, _)| *stage).collect();
        assert_eq!(stages, [Stage::Keys, Stage::Inference]);
        let sum: f64 = seconds.iter().map(|(_, seconds)| seconds).sum();
        assert!(sum <= total);
        assert!(clock.take().is_empty());
    }

    const ALL: [Stage; 12] = [
        Stage::Reference,
        Stage::Start,
        Stage::Keys,
        Stage::WarmUp,
        Stage::Inference,
        Stage::LookUpTime,
        Stage::Deviations,
        Stage::Ranks,
        Stage::ChosenInputs,
        Stage::Masks,
        Stage::Accuracy,
        Stage::PartyMemory,
    ];

    #[test]
    fn every_stage_has_words_of_its_own() {
        let words = ALL.map(|stage| stage.to_string());
        let distinct: std::collections::BTreeSet<&String> = words.iter().collect();
        assert_eq!(distinct.len(), words.len());
        let begin = Begin {
            stage: Stage::ChosenInputs,
            segment: Some((2, 3)),
        };
        assert_eq!(begin.to_string(), "attack: chosen inputs, segment 2 of 3");
    }
}
