//! How much noise look-ups may have, as fractions of an output step.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is asked of look-ups.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum StepNoise {
    /// The most that keeps the accuracy.
    #[default]
    Auto,
    /// The standard deviation that is allowed, as a fraction of an output step.
    Fraction(f64),
}

/// The fraction of one server segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentFraction {
    /// Indices of its layers.
    pub layers: Range<usize>,
    #[serde(rename = "share")]
    pub fraction: f64,
}

impl FromStr for StepNoise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(fraction) => Ok(Self::Fraction(fraction)),
            Err(_) if text == "auto" => Ok(Self::Auto),
            Err(_) => Err("give auto, or a fraction of an output step such as 0.5".into()),
        }
    }
}

impl fmt::Display for StepNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fraction(fraction) => fraction.fmt(f),
        }
    }
}

/// As a split file has it.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "step_noise must be \"auto\" or a fraction of an output step such as 0.5"
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
            Self::Fraction(fraction) => Written::Number(*fraction),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StepNoise {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Number(fraction) => Self::Fraction(fraction),
            Written::Word(Word::Auto) => Self::Auto,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_it_is_read() {
        for (text, expected) in [("auto", StepNoise::Auto), ("0.3", StepNoise::Fraction(0.3))] {
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
