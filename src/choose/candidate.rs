//! A split that can be chosen: what it costs, and which of two comes first.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::limits;
use super::scenario::{Modelled, Scenario};
use crate::core::objective::Objective;
use crate::core::pareto::lexicographic;
use crate::record::exposure::least_fraction;
use crate::record::row::{SplitRow, Status};

/// A split that can be chosen: measured, with status `ok`.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub row: &'a SplitRow,
    pub modelled: Modelled,
    /// As it is held against the limit; `None` where it is not known.
    pub exposure: Option<f64>,
}

/// Returns what an inference of a split costs; `None` where it has no measurement that counts.
pub fn measured(row: &SplitRow, scenario: &Scenario) -> Option<Modelled> {
    let modelled = scenario
        .of_row(row)
        .filter(|_| row.status == Status::Ok.word());
    modelled.filter(|modelled| modelled.time_s.is_finite())
}

/// Returns where each row stands in a table.
pub fn positions<'a>(
    rows: impl IntoIterator<Item = &'a SplitRow>,
) -> HashMap<*const SplitRow, usize> {
    rows.into_iter()
        .enumerate()
        .map(|(at, row)| (std::ptr::from_ref(row), at))
        .collect()
}

impl Candidate<'_> {
    /// Returns a criterion's value; `None` where it is not known.
    pub fn value(&self, objective: Objective) -> Option<f64> {
        match objective {
            Objective::Time => Some(self.modelled.time_s),
            Objective::ClientMemory => self.row.client_peak_rss_bytes.map(|bytes| bytes as f64),
            Objective::ServerMemory => limits::server_memory(self.row).map(|bytes| bytes as f64),
            Objective::Bytes => Some(self.modelled.bytes),
            Objective::Exposure => self.exposure,
            Objective::Money => Some(self.modelled.money_per_1000),
        }
    }

    /// Returns the values of criteria; an unknown one is no number, which compares with none.
    pub fn point(&self, criteria: &[Objective]) -> Vec<f64> {
        let coordinate = |&criterion| self.value(criterion).unwrap_or(f64::NAN);
        criteria.iter().map(coordinate).collect()
    }

    /// Returns which of two comes first by criteria; what is unknown comes last, and where exposure is
    /// the first of them, of unknown ones that of which the least is least.
    pub fn order(&self, other: &Self, criteria: &[Objective]) -> Ordering {
        let key = |candidate: &Self| {
            let mut key = candidate.point(criteria);
            if criteria.first() == Some(&Objective::Exposure) {
                key.insert(1, least_fraction(candidate.row).unwrap_or(f64::NAN));
            }
            key
        };
        lexicographic(&key(self), &key(other))
    }
}
