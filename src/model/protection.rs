//! What a server segment does to its answers, or to what is uploaded, so that answers tell less about its
//! weights.

use serde::{Deserialize, Serialize};

/// How answers are protected from a client that solves for the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Answers travel as the last layer leaves them.
    #[default]
    None,
    /// Answers that are linear combinations get an encryption of zero and flooding noise.
    Rerandomise,
    /// Every answer goes through a look-up, so that it is no linear combination of ciphertexts that
    /// the client made. That alone is not circuit privacy: a look-up is deterministic, and its
    /// output's noise depends on its input (Ducas and Stehlé, Sanitization of FHE Ciphertexts,
    /// Eurocrypt 2016).
    Bootstrap,
    /// Every uploaded value goes through a look-up first, so that whatever the client encrypts, the
    /// layers read one of the integers that it may honestly send. Answers travel as the last layer
    /// leaves them.
    Gate,
}

impl Protection {
    /// Returns the word in split files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rerandomise => "rerandomise",
            Self::Bootstrap => "bootstrap",
            Self::Gate => "gate",
        }
    }
}
