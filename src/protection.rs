//! What the server does to its answers so that the client does not read its weights from them.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A protection of the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Answers travel as the last layer leaves them.
    #[default]
    None,
    /// Answers that are linear combinations get an encryption of zero and flooding noise.
    Rerandomise,
}

impl Protection {
    /// Returns the word in split files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rerandomise => "rerandomise",
        }
    }
}
