//! Choosing a split from measured rows: the best within limits, the front, and the reason against
//! each of the others. Nothing is run.

use std::collections::BTreeMap;
use std::fmt;

use crate::exposure::{gives_all_away, least_share, share, unknown_words};
use crate::objective::Objective;
use crate::pareto::{dominates, front_of};
use crate::row::{SplitRow, Status};
use crate::scenario::{Modelled, Scenario};
use crate::units;

/// The criteria of the front, to which the objective is added.
const CRITERIA: [Objective; 4] = [
    Objective::Time,
    Objective::ClientMemory,
    Objective::Bytes,
    Objective::Exposure,
];

/// What a split must keep to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    pub max_client_memory: Option<u64>,
    pub max_server_memory: Option<u64>,
    pub max_exposure: Option<f64>,
    pub min_accuracy: Option<f64>,
    /// Whether an exposure that is not known counts as the least that it can be.
    pub counts_handed_over: bool,
}

/// One limit of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    ClientMemory,
    ServerMemory,
    Exposure,
    Accuracy,
}

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
pub enum Reason {
    /// It breaks limits: which, in words, and by how much of the limit.
    Limits(Vec<Broken>),
    /// It is known to give the whole model away, and no limit on exposure asks for such.
    GivesAllAway,
    /// Another split within the limits is no worse in any criterion and better in these.
    Dominated { by: String, better: Vec<Objective> },
}

/// A limit that a split breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    pub limit: Limit,
    pub words: String,
    /// As a share of the limit; of a share, the difference.
    pub excess: f64,
}

/// What came of choosing.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// Within the limits, best first: what has the smallest objective, ties by the other criteria.
    pub ranked: Vec<Candidate<'a>>,
    /// Of those, the placements that no other one dominates, best first.
    pub front: Vec<&'a str>,
    /// In the order of the table.
    pub rejected: Vec<(&'a SplitRow, Reason)>,
    /// Rows without a measurement that counts, in the order of the table.
    pub unmeasured: Vec<&'a SplitRow>,
}

/// Chooses among rows.
pub fn choose<'a>(
    rows: &'a [SplitRow],
    scenario: &Scenario,
    limits: &Limits,
    objective: Objective,
) -> Choice<'a> {
    let mut choice = Choice {
        ranked: Vec::new(),
        front: Vec::new(),
        rejected: Vec::new(),
        unmeasured: Vec::new(),
    };
    for row in rows {
        let measured = scenario.of_row(row);
        match measured.filter(|_| row.status == Status::Ok.word()) {
            None => choice.unmeasured.push(row),
            Some(_) if limits.max_exposure.is_none() && gives_all_away(row) => {
                choice.rejected.push((row, Reason::GivesAllAway));
            }
            Some(modelled) => match limits.broken(row) {
                broken if broken.is_empty() => choice.ranked.push(Candidate {
                    row,
                    modelled,
                    exposure: limits.exposure(row),
                }),
                broken => choice.rejected.push((row, Reason::Limits(broken))),
            },
        }
    }
    let criteria = criteria(objective);
    choice.ranked.sort_by(|a, b| {
        let (a, b) = (a.point(&criteria), b.point(&criteria));
        let pairs = a.iter().zip(&b);
        let mut orders = pairs.map(|(a, b)| a.total_cmp(b));
        let first = orders.find(|order| order.is_ne());
        first.unwrap_or(std::cmp::Ordering::Equal)
    });
    let points: Vec<Vec<f64>> = choice.ranked.iter().map(|c| c.point(&criteria)).collect();
    let front = front_of(&points);
    for (index, candidate) in choice.ranked.iter().enumerate() {
        if front.contains(&index) {
            choice.front.push(&candidate.row.placement);
            continue;
        }
        // The best-ranked of those that dominate it, so that the reason names the one to take.
        let of_front = front.iter().copied();
        let mut dominating = of_front.filter(|&other| dominates(&points[other], &points[index]));
        let Some(other) = dominating.next() else {
            unreachable!("what is not on the front is dominated by a point on it");
        };
        let compared = criteria
            .iter()
            .zip(points[other].iter().zip(&points[index]));
        let better = compared.filter(|(_, (left, right))| left < right);
        let reason = Reason::Dominated {
            by: choice.ranked[other].row.placement.clone(),
            better: better.map(|(criterion, _)| *criterion).collect(),
        };
        choice.rejected.push((candidate.row, reason));
    }
    let position = |row: &SplitRow| rows.iter().position(|other| std::ptr::eq(other, row));
    choice.rejected.sort_by_key(|(row, _)| position(row));
    choice
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
            Objective::ServerMemory => server_memory(self.row).map(|bytes| bytes as f64),
            Objective::Bytes => Some(self.modelled.bytes),
            Objective::Exposure => self.exposure,
            Objective::Money => Some(self.modelled.money_per_1000),
        }
    }

    /// Returns the values of criteria; unknown ones are as bad as can be, but for exposure, of which
    /// nothing can be said: it compares with none.
    fn point(&self, criteria: &[Objective]) -> Vec<f64> {
        let value = |&criterion: &Objective| {
            let unknown = match criterion {
                Objective::Exposure => f64::NAN,
                _ => f64::INFINITY,
            };
            self.value(criterion).unwrap_or(unknown)
        };
        criteria.iter().map(value).collect()
    }
}

/// Returns the server's peak; zero where nothing runs on it.
fn server_memory(row: &SplitRow) -> Option<u64> {
    match row.rounds {
        Some(0) => Some(0),
        _ => row.server_peak_rss_bytes,
    }
}

impl Limits {
    /// Returns the exposure of a row that counts; `None` where it is not known.
    fn exposure(&self, row: &SplitRow) -> Option<f64> {
        match self.counts_handed_over {
            true => least_share(row),
            false => share(row),
        }
    }

    /// Returns the limits that a row breaks; one whose figure is not known counts as broken.
    fn broken(&self, row: &SplitRow) -> Vec<Broken> {
        let memory = |limit, found: Option<u64>, most: Option<u64>, party: &str| {
            let most = most?;
            let bytes = units::decimal_bytes;
            let (words, excess) = match found {
                Some(found) if found <= most => return None,
                Some(found) => (
                    format!(
                        "needs {} on the {party}, {} allowed",
                        bytes(found),
                        bytes(most)
                    ),
                    found as f64 / most.max(1) as f64 - 1.0,
                ),
                None => (
                    format!("its memory on the {party} is not known"),
                    f64::INFINITY,
                ),
            };
            Some(Broken {
                limit,
                words,
                excess,
            })
        };
        let exposure = self.max_exposure.and_then(|most| {
            let found = self.exposure(row);
            let allowed = units::percent(most);
            let (words, excess) = match found {
                Some(found) if found <= most => return None,
                Some(found) => (
                    match share(row) {
                        Some(_) => {
                            format!("gives away {}, {allowed} allowed", units::percent(found))
                        }
                        None => {
                            let found = units::percent(found);
                            format!("gives away at least {found}, {allowed} allowed")
                        }
                    },
                    found - most,
                ),
                None => (unknown_words(row).into(), f64::INFINITY),
            };
            Some(Broken {
                limit: Limit::Exposure,
                words,
                excess,
            })
        });
        let accuracy = self.min_accuracy.and_then(|least| {
            let wanted = units::percent(least);
            let (words, excess) = match row.simulated_accuracy {
                Some(share) if share >= least => return None,
                Some(share) => (
                    format!("is right in {}, {wanted} wanted", units::percent(share)),
                    least - share,
                ),
                None => ("its accuracy is not known".into(), f64::INFINITY),
            };
            Some(Broken {
                limit: Limit::Accuracy,
                words,
                excess,
            })
        });
        let client = memory(
            Limit::ClientMemory,
            row.client_peak_rss_bytes,
            self.max_client_memory,
            "client",
        );
        let server = memory(
            Limit::ServerMemory,
            server_memory(row),
            self.max_server_memory,
            "server",
        );
        let broken = [client, server, exposure, accuracy].into_iter();
        broken.flatten().collect()
    }
}

impl Choice<'_> {
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

impl fmt::Display for Limit {
    /// Writes the option that sets the limit.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ClientMemory => "--max-client-memory",
            Self::ServerMemory => "--max-server-memory",
            Self::Exposure => "--max-exposure",
            Self::Accuracy => "--min-accuracy",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(broken) => {
                let words: Vec<&str> = broken.iter().map(|b| b.words.as_str()).collect();
                formatter.write_str(&words.join("; "))
            }
            Self::GivesAllAway => formatter.write_str("gives the whole model away"),
            Self::Dominated { by, better } => {
                let words: Vec<&str> = better.iter().map(|worse| worse.worse()).collect();
                write!(formatter, "dominated by {by}: {}", list(&words))
            }
        }
    }
}

/// Returns `a`, `a and b`, or `a, b and c`.
fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
