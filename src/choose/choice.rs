//! What comes of choosing: the splits in their order, the front, and the reasons against the others.

use std::collections::BTreeMap;
use std::fmt;

use super::candidate::Candidate;
use super::limits::{Broken, Limit};
use crate::core::objective::Objective;
use crate::core::units;
use crate::record::copy::Agreement;
use crate::record::row::SplitRow;

/// Why a split cannot be chosen, or should not be.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason<'a> {
    /// It breaks limits: which, in words, and by how much of the limit.
    Limits(Vec<Broken>),
    /// It is known to give the whole model away, and no limit on exposure asks for such.
    GivesAllAway,
    /// It keeps the limits, but its copies count as the whole model, and no limit asks for such.
    WholeCopies(Agreement),
    /// Another split within the limits is no worse in any criterion and better in these.
    Dominated {
        by: &'a SplitRow,
        better: Vec<Objective>,
    },
}

/// What came of choosing.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// What is made small.
    pub objective: Objective,
    /// The criteria of the front, the objective first. A memory that is known of no split within the
    /// limits decides nothing; exposures that are not known are no reason to leave exposure out.
    pub criteria: Vec<Objective>,
    /// Within the limits, best first: what has the smallest objective, ties by the other criteria, then
    /// by the order of the table.
    pub ranked: Vec<Candidate<'a>>,
    /// Of those, the splits that no other one dominates, best first. A criterion that is not known of a
    /// split compares with none, so that it neither dominates nor is dominated.
    pub front: Vec<&'a SplitRow>,
    /// In the order of the table.
    pub rejected: Vec<(&'a SplitRow, Reason<'a>)>,
    /// Rows without a measurement that counts, in the order of the table.
    pub unmeasured: Vec<&'a SplitRow>,
    /// The best of those that would precede the best one, were their exposure the least that it can be.
    pub kept_out: Option<Candidate<'a>>,
}

impl Choice<'_> {
    /// Returns how many splits break limits.
    pub fn over_count(&self) -> usize {
        self.over().count()
    }

    /// Returns the splits that break limits, and which.
    fn over(&self) -> impl Iterator<Item = (&SplitRow, &[Broken])> {
        self.rejected
            .iter()
            .filter_map(|(row, reason)| match reason {
                Reason::Limits(broken) => Some((*row, broken.as_slice())),
                _ => None,
            })
    }

    /// Returns how many splits each limit excludes.
    pub fn excluded(&self) -> BTreeMap<Limit, usize> {
        let mut counts = BTreeMap::new();
        for broken in self.over().flat_map(|(_, broken)| broken) {
            *counts.entry(broken.limit).or_default() += 1;
        }
        counts
    }

    /// Returns how many splits are left out because they give the whole model away.
    pub fn giving_all_away(&self) -> usize {
        self.rejected
            .iter()
            .filter(|(_, reason)| *reason == Reason::GivesAllAway)
            .count()
    }

    /// Returns the splits that are left out because of their copies, in the order of the table.
    pub fn wholly_copied(&self) -> Vec<(&SplitRow, Agreement)> {
        let rejected = self.rejected.iter();
        rejected
            .filter_map(|(row, reason)| match reason {
                Reason::WholeCopies(copies) => Some((*row, *copies)),
                _ => None,
            })
            .collect()
    }

    /// Returns how many splits the limit on exposure excludes because theirs is not known.
    pub fn of_unknown_exposure(&self) -> usize {
        let is_unknown =
            |broken: &Broken| broken.limit == Limit::Exposure && broken.excess.is_infinite();
        let over = self.over();
        over.filter(|(_, broken)| broken.iter().any(is_unknown))
            .count()
    }

    /// Returns the split that breaks limits least, and how.
    pub fn nearest(&self) -> Option<(&SplitRow, &[Broken])> {
        let excess = |broken: &[Broken]| broken.iter().map(|b| b.excess).sum::<f64>();
        self.over()
            .min_by(|a, b| excess(a.1).total_cmp(&excess(b.1)))
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(broken) => {
                let words: Vec<&str> = broken.iter().map(|b| b.words.as_str()).collect();
                formatter.write_str(&words.join("; "))
            }
            Self::GivesAllAway => formatter.write_str("gives the whole model away"),
            Self::WholeCopies(copies) => {
                let queries = units::grouped(copies.queries);
                let agreement = units::percent(copies.copy);
                write!(
                    formatter,
                    "{queries} queries teach a copy that agrees in {agreement}"
                )
            }
            Self::Dominated { by, better } => {
                let words: Vec<&str> = better.iter().map(|worse| worse.worse()).collect();
                write!(
                    formatter,
                    "dominated by {}: {}",
                    by.placement,
                    units::listed(&words)
                )
            }
        }
    }
}
