//! `splitbench compare`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use crate::core::error::{Error, Result};
use crate::core::units;
use crate::record::compare::{Compared, Comparison, Measured, compare};

#[derive(Debug, Args)]
pub struct CompareArguments {
    /// The results folder to compare with
    first: PathBuf,
    /// The results folder that is compared
    second: PathBuf,
    /// Compare though model, data, bits or parameters differ, and say so first
    #[arg(long)]
    anyway: bool,
}

/// Prints the second sweep's figures as ratios to the first's.
///
/// # Errors
///
/// What reading the tables gives; [`Error::Usage`] where no split is in both, or the sweeps are of
/// different things, by name, and nobody asked for that.
pub fn run(arguments: &CompareArguments) -> Result<()> {
    let (first, second) = (&arguments.first, &arguments.second);
    let comparison = compare(&Measured::read(first)?, &Measured::read(second)?);
    if let Some(difference) = comparison.different.first().filter(|_| !arguments.anyway) {
        let others = match comparison.different.len() - 1 {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        return Err(Error::Usage(format!(
            "{} and {} differ in {difference}{others}; --anyway compares them and says so",
            first.display(),
            second.display()
        )));
    }
    if comparison.splits.is_empty() {
        return Err(Error::Usage(format!(
            "{} and {} have no measured split in common: compare sweeps of one model",
            first.display(),
            second.display()
        )));
    }
    print(lines(
        &comparison,
        &first.display().to_string(),
        &second.display().to_string(),
    ))
}

fn lines(comparison: &Comparison, first: &str, second: &str) -> Vec<String> {
    let lengths = comparison.splits.iter().map(|split| split.placement.len());
    let width = lengths.max().unwrap_or_default().max("placement".len());
    let mut lines = conditions(comparison, first, second);
    lines.push(format!(
        "{:width$}  visits  online  95 % interval   difference        client memory  server memory",
        "placement"
    ));
    lines.extend(comparison.splits.iter().map(|split| line(split, width)));
    lines.push(verdicts(comparison));
    lines.extend(memory_changes(&comparison.splits));
    if !comparison.unmatched.is_empty() {
        lines.push(format!(
            "in one of the two only: {}",
            comparison.unmatched.join(", ")
        ));
    }
    lines
}

/// Says what is compared, on what machines, and how small a difference would be shown.
fn conditions(comparison: &Comparison, first: &str, second: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if !comparison.different.is_empty() {
        let differences = comparison.different.join("; ");
        lines.push(format!("compared though they differ: {differences}"));
    }
    lines.push(format!("ratios of {second} to {first}"));
    if !comparison.is_one_host {
        lines.push("the sweeps ran on different hosts".into());
    }
    lines.push(match comparison.machine {
        Some(machine) => format!(
            "the machine itself changed by up to {} between its reference batches: less is no \
             difference",
            units::percent(machine.change())
        ),
        None => "without reference batches in both: what the machine itself did is not known, and \
                 not allowed for"
            .into(),
    });
    lines.extend(comparison.least_shown().map(|least| {
        format!(
            "with so many visits of so many splits, differences of less than about {} are not shown",
            units::percent(least)
        )
    }));
    lines
}

/// Counts the splits by what their samples tell.
fn verdicts(comparison: &Comparison) -> String {
    let count = |verdict: Option<bool>| {
        comparison
            .splits
            .iter()
            .filter(|split| split.differs == verdict)
            .count()
    };
    format!(
        "{} splits: {} no difference shown, {} different, {} with too few samples to tell",
        comparison.splits.len(),
        count(Some(false)),
        count(Some(true)),
        count(None)
    )
}

/// Says of each party whose memory is known by how much its peak differs.
fn memory_changes(splits: &[Compared]) -> Vec<String> {
    let change = |party: &str, ratio: fn(&Compared) -> Option<f64>| {
        let changes = splits.iter().filter_map(ratio);
        let largest = changes.map(|ratio| (ratio - 1.0).abs()).reduce(f64::max);
        largest.map(|largest| {
            format!(
                "peak memory of the {party} differs by at most {}",
                units::percent(largest)
            )
        })
    };
    let changes = [
        change("client", |split| split.client_memory_ratio),
        change("server", |split| split.server_memory_ratio),
    ];
    changes.into_iter().flatten().collect()
}

fn line(split: &Compared, width: usize) -> String {
    let ratio = |ratio: Option<f64>| ratio.map_or("-".into(), |ratio| units::decimal(ratio, 3));
    let interval = split.interval().map_or("-".into(), |interval| {
        format!(
            "{} to {}",
            units::decimal(interval.low, 3),
            units::decimal(interval.high, 3)
        )
    });
    let verdict = match (split.differs, split.time_ratio) {
        (Some(false), _) => "none shown",
        (Some(true), Some(ratio)) if ratio < 1.0 => "faster",
        (Some(true), _) => "slower",
        (None, _) => "too few samples",
    };
    format!(
        "{:width$}  {:>6}  {:>6}  {:14}  {:16}  {:>13}  {:>13}",
        split.placement,
        format!("{}, {}", split.visits[0], split.visits[1]),
        ratio(split.time_ratio),
        interval,
        verdict,
        ratio(split.client_memory_ratio),
        ratio(split.server_memory_ratio),
    )
}
