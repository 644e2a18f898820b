//! Choosing a split from measured rows: the one definition of what can be compared, of limits, of
//! dominance and of the front, which tables, charts and the report ask too. Nothing is run.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::limits::{self, Broken, Limit, Limits};

use crate::choose::scenario::{Modelled, Scenario};
use crate::core::objective::Objective;
use crate::core::pareto::dominators;
use crate::core::units;
use crate::record::exposure::{gives_all_away, least_share};
use crate::record::row::{SplitRow, Status};

/// The criteria of the front, to which the objective is added.
const CRITERIA: [Objective; 4] = [
    Objective::Time,
    Objective::ClientMemory,
    Objective::Bytes,
    Objective::Exposure,
];

/// A split that can be chosen: measured, with status `ok`.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub row: &'a SplitRow,
    pub modelled: Modelled,
    /// As it is held against the limit; `None` where it is not known.
    pub exposure: Option<f64>,
}

/// Why a split cannot be chosen, or should not be.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason<'a> {
    /// It breaks limits: which, in words, and by how much of the limit.
    Limits(Vec<Broken>),
    /// It is known to give the whole model away, and no limit on exposure asks for such.
    GivesAllAway,
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

/// Chooses among rows of one host.
pub fn choose<'a>(
    rows: impl IntoIterator<Item = &'a SplitRow>,
    scenario: &Scenario,
    limits: &Limits,
    objective: Objective,
) -> Choice<'a> {
    let mut choice = Choice {
        objective,
        criteria: Vec::new(),
        ranked: Vec::new(),
        front: Vec::new(),
        rejected: Vec::new(),
        unmeasured: Vec::new(),
        kept_out: None,
    };
    let rows: Vec<&SplitRow> = rows.into_iter().collect();
    let mut open = Vec::new();
    for &row in &rows {
        let Some(modelled) = measured(row, scenario) else {
            choice.unmeasured.push(row);
            continue;
        };
        let candidate = Candidate {
            row,
            modelled,
            exposure: limits.exposure(row),
        };
        if limits.max_exposure.is_none() && gives_all_away(row) {
            choice.rejected.push((row, Reason::GivesAllAway));
            continue;
        }
        let broken = limits.broken(row);
        match broken.as_slice() {
            [] => choice.ranked.push(candidate),
            broken => {
                let least = least_share(row);
                let open_one = Candidate {
                    exposure: least,
                    ..candidate
                };
                open.extend(limits.may_keep(row).then_some(open_one));
                choice.rejected.push((row, Reason::Limits(broken.to_vec())));
            }
        }
    }
    let all = criteria(objective);
    choice.ranked.sort_by(|a, b| a.order(b, &all));
    choice.criteria = all.clone();
    let ranked = &choice.ranked;
    let known = |criterion| ranked.iter().any(|c| c.value(criterion).is_some());
    choice.criteria.retain(|&criterion| match criterion {
        Objective::ClientMemory | Objective::ServerMemory => ranked.is_empty() || known(criterion),
        _ => true,
    });
    choice.judge();
    let at = positions(rows);
    choice
        .rejected
        .sort_by_key(|(row, _)| at[&std::ptr::from_ref(*row)]);
    let best = choice.ranked.first();
    open.sort_by(|a, b| a.order(b, &all));
    open.truncate(1);
    open.retain(|open| best.is_none_or(|best| open.order(best, &[objective]).is_lt()));
    choice.kept_out = open.pop();
    choice
}

/// Returns where each row stands in a table.
pub fn positions<'a>(
    rows: impl IntoIterator<Item = &'a SplitRow>,
) -> HashMap<*const SplitRow, usize> {
    let rows = rows.into_iter().enumerate();
    rows.map(|(at, row)| (std::ptr::from_ref(row), at))
        .collect()
}

/// Returns what an inference of a split costs; `None` where it has no measurement that counts.
pub fn measured(row: &SplitRow, scenario: &Scenario) -> Option<Modelled> {
    let modelled = scenario
        .of_row(row)
        .filter(|_| row.status == Status::Ok.word());
    modelled.filter(|modelled| modelled.time_s.is_finite())
}

/// Returns the criteria of the front, the objective first.
fn criteria(objective: Objective) -> Vec<Objective> {
    let others = CRITERIA.into_iter().filter(|other| *other != objective);
    std::iter::once(objective).chain(others).collect()
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
    fn point(&self, criteria: &[Objective]) -> Vec<f64> {
        let criteria = criteria.iter();
        criteria
            .map(|&criterion| self.value(criterion).unwrap_or(f64::NAN))
            .collect()
    }

    /// Returns which of two comes first by criteria; what is unknown comes last, and where exposure is
    /// the first of them, of unknown ones that of which the least is least.
    fn order(&self, other: &Self, criteria: &[Objective]) -> Ordering {
        let key = |candidate: &Self| {
            let mut key = candidate.point(criteria);
            if criteria.first() == Some(&Objective::Exposure) {
                key.insert(1, least_share(candidate.row).unwrap_or(f64::NAN));
            }
            key
        };
        let (key, others) = (key(self), key(other));
        let mut orders = key.iter().zip(&others).map(|(a, b)| a.total_cmp(b));
        let first = orders.find(|order| order.is_ne());
        first.unwrap_or(Ordering::Equal)
    }
}

impl<'a> Choice<'a> {
    /// Finds the front, and what dominates each of the others.
    fn judge(&mut self) {
        let points = self.ranked.iter().map(|c| c.point(&self.criteria));
        let points: Vec<Vec<f64>> = points.collect();
        for (index, dominator) in dominators(&points).into_iter().enumerate() {
            let row = self.ranked[index].row;
            let Some(other) = dominator else {
                self.front.push(row);
                continue;
            };
            let compared = points[other].iter().zip(&points[index]);
            let better = self.criteria.iter().zip(compared);
            let better = better.filter(|(_, (left, right))| left < right);
            let reason = Reason::Dominated {
                by: self.ranked[other].row,
                better: better.map(|(criterion, _)| *criterion).collect(),
            };
            self.rejected.push((row, reason));
        }
    }

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
                Reason::GivesAllAway | Reason::Dominated { .. } => None,
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
        let rejected = self.rejected.iter();
        rejected
            .filter(|(_, reason)| *reason == Reason::GivesAllAway)
            .count()
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
