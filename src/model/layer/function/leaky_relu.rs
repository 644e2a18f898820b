//! Leaky rectified linear unit.

use serde::{Deserialize, Serialize};

/// `x` above zero, `slope · x` below.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    pub slope: f64,
}

impl LeakyRelu {
    /// Returns the value at `x`.
    pub fn value(&self, x: f64) -> f64 {
        if x < 0.0 { self.slope * x } else { x }
    }
}
