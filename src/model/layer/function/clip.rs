//! Clipping, for instance to 0..=6, which is called ReLU6.

use serde::{Deserialize, Serialize};

/// `min(high, max(low, x))`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clip {
    pub low: f64,
    pub high: f64,
}

impl Clip {
    /// Returns the value at `x`.
    pub fn value(&self, x: f64) -> f64 {
        x.max(self.low).min(self.high)
    }
}
