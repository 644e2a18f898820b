//! What look-ups and decryptions read: how often a value outside its range, how often wrongly, and
//! what that says of failure probabilities.
//!
//! A value is *out of range* where it lies outside the range that its look-up or decryption is made
//! for, the calibrated one with its margin, before the noise of that read; a noise margin lies between
//! there and a failure. It is *misread* where the phase, that noise included, lies beyond the noise
//! margin, so that an unrelated value comes out, or, of an exact answer, another integer.

use serde::{Deserialize, Serialize};

use crate::core::statistics::rate_bounds;

/// Look-ups and decryptions, and those among them that go wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    pub count: u64,
    pub out_of_range: u64,
    pub misread: u64,
}

impl Reads {
    /// Returns the sum of two tallies.
    pub fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            out_of_range: self.out_of_range + other.out_of_range,
            misread: self.misread + other.misread,
        }
    }
}

/// The reads of a step, or of an element of one, over many inferences.
#[derive(Debug, Clone, Default)]
pub struct ColumnReads {
    pub reads: Reads,
    /// Columns in which a value was misread; one that had several is there as often.
    pub misread_columns: Vec<usize>,
}

impl ColumnReads {
    /// Counts a value of a column.
    pub fn count(&mut self, column: usize, out_of_range: bool, misread: bool) {
        self.reads.count += 1;
        self.reads.out_of_range += u64::from(out_of_range);
        if misread {
            self.reads.misread += 1;
            self.misread_columns.push(column);
        }
    }

    /// Returns the sum of two tallies.
    pub fn plus(mut self, other: Self) -> Self {
        self.reads = self.reads.plus(other.reads);
        self.misread_columns.extend(other.misread_columns);
        self
    }
}

/// Reads of simulated inferences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedReads {
    pub reads: Reads,
    pub inferences: u64,
    /// Those in which a value was misread.
    pub misread_inferences: u64,
}

/// A failure probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failure {
    pub log2_p: f64,
    /// Whether it is the observed rate, which the computed probability lies below for no chance.
    pub is_observed: bool,
}

impl Failure {
    /// Returns the computed probability, unless it lies below the 95 % lower bound of the rate that
    /// was observed: then that rate.
    pub fn of(log2_computed: f64, failed: u64, of: u64) -> Self {
        let bound = rate_bounds(failed, of).map_or(0.0, |bounds| bounds.low);
        if log2_computed < bound.log2() {
            Self {
                log2_p: (failed as f64 / of as f64).log2(),
                is_observed: true,
            }
        } else {
            Self {
                log2_p: log2_computed,
                is_observed: false,
            }
        }
    }

    /// Returns the word in tables.
    pub fn word(self) -> &'static str {
        if self.is_observed {
            "observed"
        } else {
            "computed"
        }
    }
}

impl SimulatedReads {
    /// Returns the sum of two tallies.
    pub fn plus(self, other: Self) -> Self {
        Self {
            reads: self.reads.plus(other.reads),
            inferences: self.inferences + other.inferences,
            misread_inferences: self.misread_inferences + other.misread_inferences,
        }
    }

    /// Returns the failure probability of an inference of which that was computed.
    pub fn of_inference(&self, log2_computed: f64) -> Failure {
        Failure::of(log2_computed, self.misread_inferences, self.inferences)
    }

    /// Returns the failure probability of the worst look-up of which that was computed; no look-up is
    /// worse than the worst, so that their mean bounds it.
    pub fn of_look_up(&self, log2_computed: f64) -> Failure {
        Failure::of(log2_computed, self.reads.misread, self.reads.count)
    }

    /// Returns log2 of the 95 % upper bound of the rate at which values are out of range; `None`
    /// where none was read.
    pub fn log2_out_of_range_high(&self) -> Option<f64> {
        let bounds = rate_bounds(self.reads.out_of_range, self.reads.count);
        bounds.map(|bounds| bounds.high.log2())
    }

    /// Returns log2 of the 95 % upper bound of the rate of inferences with a misread value; `None`
    /// where nothing was read.
    pub fn log2_misread_high(&self) -> Option<f64> {
        let inferences = self.inferences.min(self.reads.count);
        let bounds = rate_bounds(self.misread_inferences, inferences);
        bounds.map(|bounds| bounds.high.log2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observed_failures_that_contradict_the_formula_are_what_is_shown() {
        for (computed, failed, of, shown, is_observed) in [
            // Nothing was seen: 3 of 1024 is no lower bound.
            (-50.8, 0, 1024, -50.8, false),
            // One of 1024 is seen with a chance of 5 % at 2^-14.3.
            (-14.0, 1, 1024, -14.0, false),
            (-15.0, 1, 1024, -10.0, true),
            (-50.8, 64, 1024, -4.0, true),
            (-3.0, 64, 1024, -3.0, false),
            (-50.8, 4, 4, 0.0, true),
            (-50.8, 0, 0, -50.8, false),
        ] {
            let found = Failure::of(computed, failed, of);
            let expected = Failure {
                log2_p: shown,
                is_observed,
            };
            assert_eq!(found, expected, "{computed} {failed} of {of}");
        }
    }

    #[test]
    fn a_column_counts_once_for_each_value() {
        let mut reads = ColumnReads::default();
        for (column, out_of_range, misread) in
            [(0, false, false), (3, true, false), (3, true, true)]
        {
            reads.count(column, out_of_range, misread);
        }
        let expected = Reads {
            count: 3,
            out_of_range: 2,
            misread: 1,
        };
        assert_eq!((reads.reads, reads.misread_columns), (expected, vec![3]));
    }

    #[test]
    fn bounds_are_three_in_n_where_nothing_was_seen() {
        let reads = SimulatedReads {
            reads: Reads {
                count: 1 << 20,
                ..Reads::default()
            },
            inferences: 1 << 10,
            misread_inferences: 0,
        };
        let three = 3f64.log2();
        let near = |found: Option<f64>, wanted: f64| {
            assert!(
                found.is_some_and(|found| (found - wanted).abs() < 0.01),
                "{found:?}"
            );
        };
        near(reads.log2_out_of_range_high(), three - 20.0);
        near(reads.log2_misread_high(), three - 10.0);
        assert_eq!(SimulatedReads::default().log2_misread_high(), None);
    }
}
