//! Numbers of queries after which an attack tells what it has found so far.

use super::QUERIES;
use crate::record::segment_exposure::Outcome;

/// Notes the share found where so many queries are told of.
pub fn mark(outcome: &mut Outcome, used: usize, share: impl FnOnce() -> f64) {
    if let Some(index) = QUERIES.iter().position(|queries| *queries == used) {
        outcome.shares[index] = Some(share());
    }
}
