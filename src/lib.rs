//! Lists, runs and measures every client/server split of a neural network under fully homomorphic
//! encryption.
//!
//! A folder is a room, its root file says what it is for; `ARCHITECTURE.md` shows the house.
//! [`party::session::Session`] is the line that everything else measures.

pub mod attack;
pub mod choose;
pub mod circuit;
pub mod cli;
pub mod core;
pub mod fhe;
pub mod import;
pub mod machine;
pub mod model;
pub mod oracle;
pub mod party;
pub mod plan;
pub mod record;
pub mod report;
pub mod sweep;

pub use crate::core::error::{Error, Result};
