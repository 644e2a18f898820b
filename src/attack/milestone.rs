//! Numbers of queries after which an attack tells what it has found so far.

use super::QUERIES;
use crate::record::segment_exposure::Outcome;

/// Notes the fraction found where so many queries are told of.
pub fn mark(outcome: &mut Outcome, used: usize, fraction: impl FnOnce() -> f64) {
    if let Some(index) = QUERIES.iter().position(|queries| *queries == used) {
        outcome.fractions[index] = Some(fraction());
    }
}
