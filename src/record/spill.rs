//! What ciphertexts cost that wait in files for the layer that reads them.

use serde::{Deserialize, Serialize};

/// What ciphertexts that wait in files cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spill {
    /// Written, each to be read once.
    pub bytes: u64,
    /// Spent in writing and reading.
    pub seconds: f64,
}

impl Spill {
    /// Returns the sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            seconds: self.seconds + other.seconds,
        }
    }
}
