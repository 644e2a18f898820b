//! Lists, runs and measures every client/server split of a neural network under fully homomorphic
//! encryption.
//!
//! A folder is a room, its root file says what it is for; `ARCHITECTURE.md` shows the house.
//! `party::session::Session` is the line that everything else measures.
//!
//! Without the feature `engine`, which is on by default, there is no encryption and no program: models,
//! files of other programs and results are read, splits are judged, and reports are written.

#[cfg(feature = "engine")]
pub mod attack;
pub mod choose;
#[cfg(feature = "engine")]
pub mod circuit;
#[cfg(feature = "engine")]
pub mod cli;
pub mod core;
#[cfg(feature = "engine")]
pub mod fhe;
pub mod import;
pub mod machine;
pub mod model;
#[cfg(feature = "engine")]
pub mod oracle;
#[cfg(feature = "engine")]
pub mod party;
#[cfg(feature = "engine")]
pub mod plan;
pub mod record;
pub mod report;
#[cfg(feature = "engine")]
pub mod sweep;

pub use crate::core::error::{Error, Result};
