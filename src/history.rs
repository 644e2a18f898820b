//! What a log tells: the visits that ended, with what was measured in each.

use std::collections::{HashMap, HashSet};

use crate::environment::Environment;
use crate::log::{Record, VisitEnd};
use crate::placement::Placement;
use crate::row::Status;
use crate::visit::Visit;
use crate::worker::Sample;

/// A visit that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Visited<'a> {
    /// What it ran in; `None` where the log does not tell.
    pub environment: Option<&'a Environment>,
    pub samples: Vec<&'a Sample>,
    pub end: &'a VisitEnd,
}

/// Returns the visits that ended, in their order; samples of a visit that broke off are not among
/// them.
pub fn visited(records: &[Record]) -> Vec<Visited<'_>> {
    let (mut environment, mut samples) = (None, Vec::new());
    let mut visits = Vec::new();
    for record in records {
        match record {
            Record::Settings(_) => {}
            Record::Environment(of_next) => environment = Some(of_next),
            Record::Start(_) => samples.clear(),
            Record::Sample(sample) => samples.push(sample),
            Record::End(end) => visits.push(Visited {
                environment,
                samples: std::mem::take(&mut samples),
                end,
            }),
        }
    }
    visits
}

/// Returns every environment that a log names, each once.
pub fn environments(records: &[Record]) -> Vec<&Environment> {
    let mut found: Vec<&Environment> = Vec::new();
    for record in records {
        if let Record::Environment(environment) = record
            && !found.contains(&environment)
        {
            found.push(environment);
        }
    }
    found
}

/// Which visits of a sweep are left to do.
#[derive(Debug, Clone, Default)]
pub struct Done<'a> {
    ended: HashSet<&'a Visit>,
    /// Placements with a visit that did not end well: further rounds would end alike.
    broken: HashSet<&'a Placement>,
}

impl<'a> Done<'a> {
    /// Counts the ends of visits.
    pub fn of(ends: impl IntoIterator<Item = &'a VisitEnd>) -> Self {
        let mut done = Self::default();
        for end in ends {
            done.ended.insert(&end.visit);
            if end.status != Status::Ok {
                done.broken.insert(&end.visit.placement);
            }
        }
        done
    }

    /// Returns whether a visit has ended or is not worth making.
    pub fn covers(&self, visit: &Visit) -> bool {
        self.ended.contains(visit) || self.broken.contains(&visit.placement)
    }

    /// Returns whether a split needs no further visit in a sweep of so many rounds.
    pub fn is_over(&self, placement: &Placement, repeats: usize) -> bool {
        (0..repeats).all(|repeat| {
            self.covers(&Visit {
                placement: placement.clone(),
                repeat,
            })
        })
    }
}

/// Returns the visits of each split, in the order of their rounds.
pub fn by_split<'a>(records: &'a [Record]) -> HashMap<&'a Placement, Vec<Visited<'a>>> {
    let mut splits: HashMap<&Placement, Vec<Visited<'_>>> = HashMap::new();
    for visit in visited(records) {
        let placement = &visit.end.visit.placement;
        splits.entry(placement).or_default().push(visit);
    }
    for visits in splits.values_mut() {
        visits.sort_by_key(|visit| visit.end.visit.repeat);
    }
    splits
}
