//! The visits of a split, and what they say together.

use crate::core::statistics::{Summary, summarise};
use crate::record::finished::{Finished, Sample};
use crate::record::history::Visited;
use crate::record::row::{SampleRow, Status};
use crate::record::settings::Settings;

/// The visits of a split, in the order of their rounds.
pub(super) struct Split<'a> {
    pub visits: Vec<Visited<'a>>,
    pub settings: &'a Settings,
}

impl Split<'_> {
    /// Returns the samples of all visits.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        let visits = self.visits.iter();
        visits.flat_map(|visit| &visit.samples).copied()
    }

    /// Returns what is known of the split after its first visit.
    pub fn finished(&self) -> Option<&Finished> {
        self.visits
            .iter()
            .find_map(|visit| visit.end.finished.as_ref())
    }

    /// Returns the status and the reason of the first visit that did not end well.
    pub fn status(&self) -> (Status, Option<&String>) {
        let not_ok = self
            .visits
            .iter()
            .map(|visit| visit.end)
            .find(|end| end.status != Status::Ok);
        match not_ok {
            Some(end) => (end.status, end.reason.as_ref()),
            None if self.visits.is_empty() => (Status::Skipped, None),
            None if self.visits.len() < self.settings.repeats => (Status::Partial, None),
            None => (Status::Ok, None),
        }
    }

    /// Returns the digests of the environments that the visits ran in, each once, joined by `+`.
    pub fn environment(&self) -> Option<String> {
        let mut digests: Vec<String> = Vec::new();
        for environment in self.visits.iter().filter_map(|visit| visit.environment) {
            let digest = environment.digest();
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        (!digests.is_empty()).then(|| digests.join("+"))
    }

    /// Returns the median of a figure over all samples, and its spread; none without samples.
    pub fn over(&self, value: impl Fn(&SampleRow) -> f64) -> Option<Summary> {
        summarise(self.samples().map(|sample| value(&sample.row)))
    }

    /// Returns the fraction of samples that hold; none without samples.
    pub fn fraction(&self, holds: impl Fn(&SampleRow) -> bool) -> Option<f64> {
        let total = self.samples().count();
        let count = self.samples().filter(|sample| holds(&sample.row)).count();
        (total > 0).then(|| count as f64 / total as f64)
    }
}
