//! Tallies of look-ups that land beside the clear value of their input.

use serde::{Deserialize, Serialize};

/// How many look-ups deviate by at least one and at least two steps: probabilities added up, or
/// counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Deviations {
    pub one_step: f64,
    pub two_steps: f64,
    /// Look-ups that these are out of.
    pub look_ups: u64,
}

impl Deviations {
    /// Returns the sum of two tallies.
    pub fn plus(self, other: Self) -> Self {
        Self {
            one_step: self.one_step + other.one_step,
            two_steps: self.two_steps + other.two_steps,
            look_ups: self.look_ups + other.look_ups,
        }
    }

    /// Returns the fractions of look-ups that deviate by at least one and at least two steps; `None`
    /// without look-ups.
    pub fn rates(&self) -> Option<(f64, f64)> {
        let look_ups = self.look_ups as f64;
        (self.look_ups > 0).then(|| (self.one_step / look_ups, self.two_steps / look_ups))
    }

    /// Returns the tally of one look-up that should have given `clear` and gave `found`.
    pub fn observed(clear: i64, found: i64) -> Self {
        let distance = clear.abs_diff(found);
        Self {
            one_step: f64::from(u8::from(distance >= 1)),
            two_steps: f64::from(u8::from(distance >= 2)),
            look_ups: 1,
        }
    }
}
