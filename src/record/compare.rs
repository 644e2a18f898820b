//! Comparing two sweeps split by split: ratios of geometric means with intervals, and whether they show a
//! difference.
//!
//! A visit of a split, with keys of its own, is one value: the geometric mean of its images' online times.
//! Logarithms of few visits are compared by Student's t, chances over all splits by Holm's correction. A
//! machine also changes between sweeps in ways that no sample of one sweep shows; how much, the
//! reference batches tell, which do the same work in both: less than that is no difference.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::core::error::Result;
use crate::core::statistics::{
    Interval, LogDifference, LogMean, log_mean, log_mean_of_groups, median, percentile_interval,
    unlikely,
};
use crate::core::text::from_json;
use crate::machine::file::{self, MOST_TEXT_BYTES};
use crate::record::host;
use crate::record::results::{ENVIRONMENT, SAMPLES, read_splits, read_table};
use crate::record::row::{SampleRow, SplitRow};

/// Chance that any of all the splits is said to differ though none does.
const ERROR_RATE: f64 = 0.05;

/// A results folder, read back.
#[derive(Debug, Clone)]
pub struct Measured {
    splits: Vec<SplitRow>,
    samples: Vec<SampleRow>,
    /// SHA-256 of the model, of its data and of its bits, where the folder tells.
    model_digest: Option<String>,
}

impl Measured {
    /// Returns tables as a folder has them.
    pub fn of(splits: Vec<SplitRow>, samples: Vec<SampleRow>) -> Self {
        Self {
            splits,
            samples,
            model_digest: None,
        }
    }

    /// Reads the tables of a folder.
    ///
    /// # Errors
    ///
    /// [`crate::core::error::Error::Invalid`] that names the file.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            splits: read_splits(folder)?,
            samples: read_table(folder, SAMPLES)?,
            model_digest: model_digest(folder)?,
        })
    }

    /// Returns the log mean of a split's visits, each the geometric mean of its images' online times.
    fn visits(&self, placement: &str) -> Option<LogMean> {
        let mut visits: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let is_of = |sample: &&SampleRow| sample.placement == placement;
        for sample in self.samples.iter().filter(is_of) {
            visits
                .entry(sample.repeat)
                .or_default()
                .push(sample.online_s);
        }
        log_mean_of_groups(visits.into_values())
    }

    fn calibrations(&self) -> impl Iterator<Item = f64> {
        self.samples
            .iter()
            .filter_map(|row| row.calibration_s)
            .filter(|&seconds| seconds > 0.0)
    }

    fn hosts(&self) -> Vec<&str> {
        different(self.splits.iter().filter_map(|s| s.host.as_deref()))
    }

    /// Returns what the sweep was of: what has to agree for splits to compare; nothing where it does not
    /// tell.
    fn subjects(&self) -> [(&'static str, Vec<&str>); 5] {
        let of_samples = self.samples.iter().map(|row| row.model.as_str());
        let of_splits = self.splits.iter().map(|row| row.model.as_str());
        let of =
            |value: fn(&SplitRow) -> &str| different(measured(self).map(|(_, row)| value(row)));
        let digest = self
            .model_digest
            .as_deref()
            .map(|digest| digest.get(..12).unwrap_or(digest));
        [
            ("model", different(of_splits.chain(of_samples))),
            (
                "SHA-256 of the model, its data and bits",
                different(digest.into_iter()),
            ),
            ("answers that travel", of(|row| &row.download)),
            ("answer", of(|row| &row.answer)),
            ("protection", of(|row| &row.protect)),
        ]
    }
}

/// Returns the SHA-256 of the model that a folder's description names, if it has one.
///
/// # Errors
///
/// What [`file::read`] gives, unless there is no description.
fn model_digest(folder: &Path) -> Result<Option<String>> {
    let bytes = file::read_if_there(&folder.join(ENVIRONMENT), MOST_TEXT_BYTES)?;
    let description: Option<Value> = bytes.and_then(|bytes| from_json(&bytes).ok());
    let digest = |description: Value| {
        let digest = description["settings"]["model_digest"].as_str();
        digest.map(str::to_owned)
    };
    Ok(description.and_then(digest))
}

/// Returns names as a person reads them.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(" and ")
}

/// Returns every name once, in order; an empty one tells nothing.
fn different<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What two sweeps say of one split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared {
    pub placement: String,
    /// Visits of the first and of the second sweep.
    pub visits: [usize; 2],
    /// Second online time ÷ first, of geometric means over the visits.
    pub time_ratio: Option<f64>,
    /// What the visits say of that; none where there are too few to tell.
    pub difference: Option<LogDifference>,
    /// Whether the times differ; `None` where there are too few samples to tell.
    pub differs: Option<bool>,
    /// Second ÷ first peak of each party.
    pub client_memory_ratio: Option<f64>,
    pub server_memory_ratio: Option<f64>,
}

/// All splits that both sweeps measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub splits: Vec<Compared>,
    /// Placements that only one of the two measured.
    pub unmatched: Vec<String>,
    /// What the machine itself did, by its reference batches; `None` where a sweep has none, and
    /// nothing is allowed for.
    pub machine: Option<Machine>,
    /// Whether the sweeps ran on one and the same host.
    pub is_one_host: bool,
    /// In what the sweeps themselves differ, first and second: model, data, bits, parameters.
    pub different: Vec<String>,
}

fn are_of_one_host(first: &Measured, second: &Measured) -> bool {
    match (&first.hosts()[..], &second.hosts()[..]) {
        ([], []) => true,
        ([one], [other]) => host::is_same(one, other),
        _ => false,
    }
}

/// Compares the second sweep with the first, whatever they are of.
pub fn compare(first: &Measured, second: &Measured) -> Comparison {
    let mut different = differing(first, second);
    let is_one_host = are_of_one_host(first, second);
    let machine = Machine::of(first, second, is_one_host);
    let of_second: BTreeMap<&str, &SplitRow> = measured(second).collect();
    let of_first: BTreeMap<&str, &SplitRow> = measured(first).collect();
    let common: Vec<(&str, &SplitRow)> = measured(first)
        .filter(|(placement, _)| of_second.contains_key(placement))
        .collect();
    different.extend(common.iter().filter_map(|(placement, row)| {
        let (one, other) = (&row.parameter_set, &of_second[placement].parameter_set);
        (one != other).then(|| format!("parameters of {placement}: {one:?}, {other:?}"))
    }));
    let means: Vec<[Option<LogMean>; 2]> = common
        .iter()
        .map(|(placement, _)| [first, second].map(|sweep| sweep.visits(placement)))
        .collect();
    let differences: Vec<Option<LogDifference>> = means
        .iter()
        .map(|[a, b]| LogDifference::of(a.as_ref()?, b.as_ref()?))
        .collect();
    let told = differences.iter().flatten();
    let allowed = machine.unwrap_or_default();
    let chances: Vec<f64> = told.map(|split| allowed.chance(split)).collect();
    let mut verdicts = unlikely(&chances, ERROR_RATE).into_iter();
    let found = common.iter().zip(&means).zip(&differences);
    let splits = found.map(|(((placement, row), means), difference)| {
        let ratio = |value: fn(&SplitRow) -> Option<u64>| {
            Some(value(of_second[placement])? as f64 / value(row)? as f64)
        };
        let [Some(before), Some(after)] = means else {
            return Compared {
                placement: (*placement).to_owned(),
                client_memory_ratio: ratio(|row| row.client_peak_rss_bytes),
                server_memory_ratio: ratio(|row| row.server_peak_rss_bytes),
                ..Compared::default()
            };
        };
        Compared {
            placement: (*placement).to_owned(),
            visits: [before.n, after.n],
            time_ratio: Some((after.mean - before.mean).exp()),
            difference: *difference,
            differs: difference.and_then(|_| verdicts.next()),
            client_memory_ratio: ratio(|row| row.client_peak_rss_bytes),
            server_memory_ratio: ratio(|row| row.server_peak_rss_bytes),
        }
    });
    let only_first = of_first.keys().filter(|p| !of_second.contains_key(*p));
    let only_second = of_second.keys().filter(|p| !of_first.contains_key(*p));
    let unmatched = only_first.chain(only_second);
    Comparison {
        splits: splits.collect(),
        unmatched: unmatched.map(|&placement| placement.to_owned()).collect(),
        machine,
        is_one_host,
        different,
    }
}

impl Compared {
    /// Returns the 95 % interval of the ratio, for this split alone.
    pub fn interval(&self) -> Option<Interval> {
        Some(self.difference?.interval(0.95))
    }
}

impl Comparison {
    /// Returns the least fraction by which half of the splits would have to differ to be told; none where
    /// there are too few visits to tell of any.
    pub fn least_shown(&self) -> Option<f64> {
        let told: Vec<LogDifference> = self
            .splits
            .iter()
            .filter_map(|split| split.difference)
            .collect();
        let level = 1.0 - ERROR_RATE / told.len().max(1) as f64;
        let machine = self.machine.unwrap_or_default();
        let least = told.iter().map(|split| machine.least_shown(split, level));
        median(least).map(|log| log.exp() - 1.0)
    }
}

/// Returns in what the subjects of two sweeps differ, where both tell.
fn differing(first: &Measured, second: &Measured) -> Vec<String> {
    let pairs = first.subjects().into_iter().zip(second.subjects());
    let different = pairs.filter(|((_, one), (_, other))| {
        let both_tell = !one.is_empty() && !other.is_empty();
        both_tell && (one != other || one.len() > 1)
    });
    different
        .map(|((name, one), (_, other))| format!("{name}: {}, {}", listed(&one), listed(&other)))
        .collect()
}

/// Returns the splits with times, in the order of their table.
fn measured(sweep: &Measured) -> impl Iterator<Item = (&str, &SplitRow)> {
    sweep
        .splits
        .iter()
        .filter(|row| row.online_s_median.is_some())
        .map(|row| (row.placement.as_str(), row))
}

/// What the machine did while both sweeps ran, in logarithms of times.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Machine {
    /// By how much reference batches stray within the sweeps, in 19 of 20 cases, or between them, whichever
    /// is more.
    change: f64,
    /// Variance of what lies between them.
    variance: f64,
}

impl Machine {
    /// Reads the reference batches of two sweeps. Between different hosts they are meant to differ.
    fn of(first: &Measured, second: &Measured, is_one_host: bool) -> Option<Self> {
        let of_first = log_mean(first.calibrations())?;
        let of_second = log_mean(second.calibrations())?;
        let strays = |sweep: &Measured, pace: &LogMean| {
            let strays = sweep.calibrations().map(|time| time.ln() - pace.mean);
            let middle = percentile_interval(strays.collect(), 0.95);
            middle.map_or(0.0, |middle| middle.high.max(-middle.low))
        };
        let within = strays(first, &of_first).max(strays(second, &of_second));
        let between = (of_second.mean - of_first.mean).abs();
        let variance = |pace: &LogMean| pace.variance / pace.n as f64;
        Some(Self {
            change: if is_one_host {
                within.max(between)
            } else {
                within
            },
            variance: variance(&of_first) + variance(&of_second),
        })
    }

    /// Returns the fraction by which it changed.
    pub fn change(&self) -> f64 {
        self.change.exp() - 1.0
    }

    /// Returns the chance of a difference that large, where all that happened is what the machine did.
    fn chance(&self, split: &LogDifference) -> f64 {
        self.blurred(split).chance_beyond(self.change)
    }

    /// Returns the least difference that would be told at a confidence.
    fn least_shown(&self, split: &LogDifference, level: f64) -> f64 {
        self.change + self.blurred(split).reach(level)
    }

    /// Returns a difference that is known no better than what the machine did.
    fn blurred(&self, split: &LogDifference) -> LogDifference {
        LogDifference {
            variance: split.variance + self.variance,
            ..*split
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, LogNormal};

    /// Returns a sweep of 50 splits whose times scatter by `noise` around `online_s`, on a machine
    /// whose reference batches scatter by a hundredth around `pace`.
    fn sweep(seed: u64, online_s: f64, noise: f64, pace: f64) -> Measured {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let scatter = LogNormal::new(0.0, noise).expect("finite");
        let machine = LogNormal::new(0.0, 0.01).expect("finite");
        let mut splits = Vec::new();
        let mut samples = Vec::new();
        for index in 0..50 {
            let placement = format!("{index:06b}").replace('0', "C").replace('1', "S");
            for repeat in 0..5 {
                samples.push(SampleRow {
                    placement: placement.clone(),
                    repeat,
                    online_s: online_s * scatter.sample(&mut random),
                    calibration_s: Some(pace * machine.sample(&mut random)),
                    ..SampleRow::default()
                });
            }
            splits.push(SplitRow {
                placement,
                host: Some("one".into()),
                online_s_median: Some(online_s),
                client_peak_rss_bytes: Some(1000),
                ..SplitRow::default()
            });
        }
        Measured::of(splits, samples)
    }

    fn different(first: &Measured, second: &Measured) -> usize {
        let splits = compare(first, second).splits;
        assert_eq!(splits.len(), 50);
        splits.iter().filter(|s| s.differs == Some(true)).count()
    }

    #[test]
    fn the_same_measured_twice_shows_no_difference() {
        for seed in 0..10 {
            let first = sweep(2 * seed, 0.1, 0.05, 1e-3);
            let second = sweep(2 * seed + 1, 0.1, 0.05, 1e-3);
            assert!(different(&first, &second) <= 2, "seed {seed}");
        }
    }

    #[test]
    fn a_real_difference_is_shown_with_its_size() {
        let first = sweep(1, 0.1, 0.02, 1e-3);
        let slower = sweep(2, 0.15, 0.02, 1e-3);
        assert_eq!(different(&first, &slower), 50);
        assert_eq!(different(&slower, &first), 50);
        for split in compare(&first, &slower).splits {
            let interval = split.interval().expect("five visits each");
            assert!(interval.low > 1.35 && interval.high < 1.65, "{split:?}");
            assert_eq!(split.client_memory_ratio, Some(1.0));
            assert_eq!(split.server_memory_ratio, None, "unknown");
        }
    }

    #[test]
    fn what_the_machine_itself_did_is_no_difference() {
        let first = sweep(1, 0.1, 0.02, 1e-3);
        // All of it a fifth slower, reference batches too.
        let second = sweep(2, 0.12, 0.02, 1.2e-3);
        assert_eq!(different(&first, &second), 0);
        let comparison = compare(&first, &second);
        assert!((comparison.machine.expect("calibrations").change() - 0.2).abs() < 0.03);
        // On another host the same figures are a difference of hosts.
        let mut other = second;
        other
            .splits
            .iter_mut()
            .for_each(|row| row.host = Some("two".into()));
        assert!(!compare(&first, &other).is_one_host);
        assert_eq!(different(&first, &other), 50);
    }

    #[test]
    fn one_sample_each_is_too_few_to_tell() {
        let mut first = sweep(1, 0.1, 0.02, 1e-3);
        first.samples.retain(|sample| sample.repeat == 0);
        let comparison = compare(&first, &first);
        let untold = comparison
            .splits
            .iter()
            .filter(|split| split.differs.is_none());
        assert_eq!(untold.count(), 50);
        let mut fewer = first.clone();
        fewer.splits.truncate(10);
        let comparison = compare(&first, &fewer);
        assert_eq!(comparison.unmatched.len(), 40);
    }

    #[test]
    fn what_sweeps_are_of_is_compared_too() {
        let of = |model: &str, set: &str, digest: &str| {
            let mut sweep = sweep(1, 0.1, 0.02, 1e-3);
            let rows = sweep.splits.iter_mut().map(|row| &mut row.model);
            let names = rows.chain(sweep.samples.iter_mut().map(|row| &mut row.model));
            names.for_each(|name| *name = model.into());
            sweep.splits[0].parameter_set = set.into();
            sweep.model_digest = Some(digest.into());
            sweep
        };
        let different = |one: &Measured, other: &Measured| compare(one, other).different;
        let lenet = of("lenet", "fast", "ab12");
        assert_eq!(different(&lenet, &lenet), [] as [&str; 0]);
        let resnet = of("resnet", "fast", "ab12");
        assert_eq!(different(&lenet, &resnet), ["model: \"lenet\", \"resnet\""]);
        let finer = of("lenet", "accurate", "cd34");
        let found = different(&lenet, &finer);
        assert!(found[0].contains("\"ab12\", \"cd34\""), "{found:?}");
        assert_eq!(found[1], "parameters of CCCCCC: \"fast\", \"accurate\"");
        // Folders from before do not tell.
        let mut silent = finer;
        silent.model_digest = None;
        assert_eq!(different(&lenet, &silent).len(), 1);
        let mut older = lenet.clone();
        older
            .splits
            .iter_mut()
            .for_each(|row| row.answer = "logits".into());
        assert_eq!(different(&lenet, &older), [] as [&str; 0]);
        let named = of("cats and dogs", "fast", "ab12");
        assert_eq!(different(&named, &named), [] as [&str; 0]);
        // Two models in one folder are no better.
        let mut both = of("lenet", "fast", "ab12");
        both.splits.extend(resnet.splits);
        assert_eq!(different(&both, &both).len(), 1);
    }
}
