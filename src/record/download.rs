//! How answers travel.

use serde::{Deserialize, Serialize};

/// How answers travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Download {
    /// As the last layer leaves them: no further key, no further time, no further noise.
    Plain,
    /// Under a shared mask, by a packing keyswitch with a key of its own.
    Packed,
    /// As LWE ciphertexts of whole 64-bit coefficients, one for each answer, from linear layers that
    /// are exact modulo 2^64: what a straightforward implementation sends, to compare with.
    Full,
}

impl Download {
    /// Returns the word in split files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Packed => "packed",
            Self::Full => "full",
        }
    }
}
