//! Choosing a split from measured rows: the one definition of what can be compared, of limits, of
//! dominance and of the front, which tables, charts and the report ask too. Nothing is run.

use super::candidate::{Candidate, measured, positions};
use super::choice::{Choice, Reason};
use super::limits::Limits;
use super::scenario::Scenario;
use crate::core::objective::Objective;
use crate::core::pareto::dominators;
use crate::record::exposure::{gives_all_away, least_fraction};
use crate::record::row::SplitRow;

/// The criteria of the front, to which the objective is added.
const CRITERIA: [Objective; 4] = [
    Objective::Time,
    Objective::ClientMemory,
    Objective::Bytes,
    Objective::Exposure,
];

/// Chooses among rows of one host.
pub fn choose<'a>(
    rows: impl IntoIterator<Item = &'a SplitRow>,
    scenario: &Scenario,
    limits: &Limits,
    objective: Objective,
) -> Choice<'a> {
    let rows: Vec<&SplitRow> = rows.into_iter().collect();
    let all = criteria(objective);
    let (mut choice, open) = sorted_out(&rows, scenario, limits, objective);
    choice.ranked.sort_by(|a, b| a.order(b, &all));
    choice.criteria = deciding(&all, &choice.ranked);
    judge(&mut choice);
    let at = positions(rows);
    choice
        .rejected
        .sort_by_key(|(row, _)| at[&std::ptr::from_ref(*row)]);
    choice.kept_out = kept_out(open, &all, choice.ranked.first());
    choice
}

/// Returns what is within the limits, not yet in order, what is not and why, and what is not measured;
/// beside it those splits that may keep the limits, with the least exposure that they can have.
fn sorted_out<'a>(
    rows: &[&'a SplitRow],
    scenario: &Scenario,
    limits: &Limits,
    objective: Objective,
) -> (Choice<'a>, Vec<Candidate<'a>>) {
    let mut choice = Choice {
        objective,
        criteria: Vec::new(),
        ranked: Vec::new(),
        front: Vec::new(),
        rejected: Vec::new(),
        unmeasured: Vec::new(),
        kept_out: None,
    };
    let mut open = Vec::new();
    for &row in rows {
        let Some(modelled) = measured(row, scenario) else {
            choice.unmeasured.push(row);
            continue;
        };
        if limits.max_exposure.is_none() && gives_all_away(row) {
            choice.rejected.push((row, Reason::GivesAllAway));
            continue;
        }
        let candidate = |exposure| Candidate {
            row,
            modelled,
            exposure,
        };
        let broken = limits.broken(row);
        if broken.is_empty() {
            // Of those that keep the limits, so that a limit on copies takes in all that are counted here.
            match limits.whole_copies(row) {
                Some(copies) => choice.rejected.push((row, Reason::WholeCopies(copies))),
                None => choice.ranked.push(candidate(limits.exposure(row))),
            }
            continue;
        }
        if limits.may_keep(row) {
            open.push(candidate(least_fraction(row)));
        }
        choice.rejected.push((row, Reason::Limits(broken)));
    }
    (choice, open)
}

/// Returns the criteria that decide: a memory does where it is known of any split within the limits.
fn deciding(criteria: &[Objective], ranked: &[Candidate<'_>]) -> Vec<Objective> {
    let known = |criterion| ranked.iter().any(|c| c.value(criterion).is_some());
    let decides = |criterion: &Objective| match criterion {
        Objective::ClientMemory | Objective::ServerMemory => ranked.is_empty() || known(*criterion),
        _ => true,
    };
    criteria.iter().copied().filter(decides).collect()
}

/// Finds the front of the ranked splits, and what dominates each of the others.
fn judge(choice: &mut Choice<'_>) {
    let points: Vec<Vec<f64>> = choice
        .ranked
        .iter()
        .map(|candidate| candidate.point(&choice.criteria))
        .collect();
    for (index, dominator) in dominators(&points).into_iter().enumerate() {
        let row = choice.ranked[index].row;
        let Some(other) = dominator else {
            choice.front.push(row);
            continue;
        };
        let compared = points[other].iter().zip(&points[index]);
        let better = choice
            .criteria
            .iter()
            .zip(compared)
            .filter(|(_, (left, right))| left < right)
            .map(|(criterion, _)| *criterion);
        let reason = Reason::Dominated {
            by: choice.ranked[other].row,
            better: better.collect(),
        };
        choice.rejected.push((row, reason));
    }
}

/// Returns the first of those that may keep the limits, where the objective puts it before the best.
fn kept_out<'a>(
    mut open: Vec<Candidate<'a>>,
    criteria: &[Objective],
    best: Option<&Candidate<'a>>,
) -> Option<Candidate<'a>> {
    open.sort_by(|a, b| a.order(b, criteria));
    let first = open.into_iter().next()?;
    // The objective is the first of the criteria.
    let precedes = best.is_none_or(|best| first.order(best, &criteria[..1]).is_lt());
    precedes.then_some(first)
}

/// Returns the criteria of the front, the objective first.
fn criteria(objective: Objective) -> Vec<Objective> {
    let others = CRITERIA.into_iter().filter(|other| *other != objective);
    std::iter::once(objective).chain(others).collect()
}
