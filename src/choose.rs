//! Choosing a split: rows on another network or at a price, the one judge of rows, the best placements
//! over costs that are given.
//!
//! Nothing here measures or runs anything. The entry point is [`choose`](fn@choose).

mod candidate;
mod caveat;
mod choice;
pub mod dominance;
mod judge;
mod limits;
pub mod scenario;
pub mod solver;

pub use candidate::{Candidate, measured, positions};
pub use caveat::Caveat;
pub use choice::{Choice, Reason};
pub use judge::choose;
pub use limits::{Broken, Limit, Limits};
