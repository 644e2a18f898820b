//! Choosing a split: rows on another network or at a price, the one judge of rows, the best placements
//! over costs that are given.
//!
//! Nothing here measures or runs anything. The entry point is [`choose`](fn@choose).

mod caveat;
mod judge;
mod limits;
pub mod scenario;
pub mod solver;
pub mod standing;

pub use caveat::Caveat;
pub use judge::{Candidate, Choice, Reason, choose, measured, positions};
pub use limits::{Broken, Limit, Limits};
