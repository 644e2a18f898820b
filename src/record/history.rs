//! What a log tells: the visits that ended, with what was measured in each.

use std::collections::{HashMap, HashSet};

use crate::core::placement::Placement;
use crate::record::environment::Environment;
use crate::record::finished::Sample;
use crate::record::log::{Record, VisitEnd};
use crate::record::row::Status;
use crate::record::visit::Visit;

/// A visit that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Visited<'a> {
    /// What it ran in; `None` where the log does not tell.
    pub environment: Option<&'a Environment>,
    pub samples: Vec<&'a Sample>,
    pub end: &'a VisitEnd,
}

/// Returns the visits that ended, in their order; samples of a visit that broke off are not among
/// them. A visit that was made again counts as it ended last.
pub fn visited(records: &[Record]) -> Vec<Visited<'_>> {
    let (mut environment, mut samples) = (None, Vec::new());
    let mut visits: Vec<Visited<'_>> = Vec::new();
    let mut places: HashMap<&Visit, usize> = HashMap::new();
    for record in records {
        match record {
            Record::Settings(_) | Record::Copy(_) | Record::Replay(_) => {}
            Record::Environment(of_next) => environment = Some(of_next),
            Record::Start(_) => samples.clear(),
            Record::Sample(sample) => samples.push(sample),
            Record::End(end) => {
                let visit = Visited {
                    environment,
                    samples: std::mem::take(&mut samples),
                    end,
                };
                match places.get(&end.visit) {
                    Some(&place) => visits[place] = visit,
                    None => {
                        places.insert(&end.visit, visits.len());
                        visits.push(visit);
                    }
                }
            }
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
    /// Counts the ends of visits; of a visit that was made again, the last.
    pub fn of(ends: impl IntoIterator<Item = &'a VisitEnd>) -> Self {
        Self::that_count(ends, |_| true)
    }

    /// As [`Self::of`], without those that may end otherwise next time: they are to be made again.
    pub fn to_retry(ends: impl IntoIterator<Item = &'a VisitEnd>) -> Self {
        Self::that_count(ends, |status| !status.may_pass())
    }

    fn that_count(
        ends: impl IntoIterator<Item = &'a VisitEnd>,
        counts: impl Fn(Status) -> bool,
    ) -> Self {
        let last: HashMap<&Visit, Status> = ends
            .into_iter()
            .map(|end| (&end.visit, end.status))
            .collect();
        let mut done = Self::default();
        for (visit, status) in last.into_iter().filter(|(_, status)| counts(*status)) {
            done.ended.insert(visit);
            if status != Status::Ok {
                done.broken.insert(&visit.placement);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn end(repeat: usize, status: Status) -> VisitEnd {
        VisitEnd {
            visit: Visit {
                placement: "CS".parse().expect("letters"),
                repeat,
            },
            status,
            reason: None,
            calibration_s: None,
            stages: Vec::new(),
            finished: None,
        }
    }

    #[test]
    fn a_visit_counts_as_it_ended_last() {
        let records = [Status::Timeout, Status::Ok].map(|status| Record::End(end(0, status)));
        let ends: Vec<Status> = visited(&records).iter().map(|v| v.end.status).collect();
        assert_eq!(ends, [Status::Ok]);
    }

    #[test]
    fn what_ended_at_a_limit_is_over_but_for_a_retry() {
        for (status, is_over) in [
            (Status::Ok, true),
            (Status::Mismatch, true),
            (Status::Failed, false),
            (Status::Timeout, false),
            (Status::Oom, false),
        ] {
            let ends = [end(0, status)];
            let visit = &ends[0].visit;
            assert!(Done::of(&ends).covers(visit));
            assert_eq!(Done::to_retry(&ends).covers(visit), is_over, "{status:?}");
        }
        // Once it has passed, its further rounds are made.
        let ends = [end(0, Status::Timeout), end(0, Status::Ok)];
        assert!(!Done::of(&ends).covers(&end(1, Status::Ok).visit));
    }
}
