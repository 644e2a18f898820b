//! A sigmoid of three straight lines, as ONNX defines it.

use serde::{Deserialize, Serialize};

/// `max(0, min(1, alpha · x + beta))`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardSigmoid {
    pub alpha: f64,
    pub beta: f64,
}

impl HardSigmoid {
    /// Returns the value at `x`.
    pub fn value(&self, x: f64) -> f64 {
        (self.alpha * x + self.beta).clamp(0.0, 1.0)
    }
}
