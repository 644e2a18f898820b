//! `splitbench choose`.

use std::path::PathBuf;

use clap::Args;

use super::scenario::ScenarioArguments;
use super::{print, read_splits};
use crate::choose::{Candidate, Choice, Limits, choose};
use crate::error::{Error, Result};
use crate::exposure;
use crate::objective::Objective;
use crate::plot::hosts;
use crate::row::SplitRow;
use crate::scenario::{Prices, Scenario};
use crate::units;

/// Runners-up that are shown.
const RUNNERS_UP: usize = 3;

/// What a person says of a choice.
#[derive(Debug, Args)]
pub struct ChooseArguments {
    /// A results folder
    folder: PathBuf,
    /// What to make small
    #[arg(long, value_enum, value_name = "WHAT", default_value = "time")]
    minimise: Objective,
    /// The most that the client's process may take, such as 2GB or 512MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_client_memory: Option<u64>,
    /// The most that the server's process may take
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_server_memory: Option<u64>,
    /// The most of the model that the client may end up with, such as 20% or 0.2
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_exposure: Option<f64>,
    /// Where exposure is unknown, count the least that it can be: what is handed over, solved and found
    #[arg(long)]
    count_handed_over: bool,
    /// The least simulated accuracy, such as 95% or 0.95
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_accuracy: Option<f64>,
    /// Only rows whose host holds these words: times of different hosts do not compare
    #[arg(long, value_name = "WORDS")]
    host: Option<String>,
    #[command(flatten)]
    scenario: ScenarioArguments,
}

fn size(text: &str) -> std::result::Result<u64, String> {
    units::parse_bytes(text).ok_or_else(|| "give a size with its unit, such as 2GB".into())
}

pub(super) fn share(text: &str) -> std::result::Result<f64, String> {
    units::parse_share(text).ok_or_else(|| "give a share from 0 to 1, or 0% to 100%".into())
}

/// Chooses and prints; fails where nothing is left.
pub fn run(arguments: &ChooseArguments) -> Result<()> {
    let rows = of_host(read_splits(&arguments.folder)?, arguments)?;
    let scenario = arguments.scenario.scenario()?;
    if arguments.minimise == Objective::Money && scenario.prices == Prices::default() {
        let reason = "--minimise money needs a price: give --price-server-hour, --price-gb or both";
        return Err(Error::Usage(reason.into()));
    }
    let limits = Limits {
        max_client_memory: arguments.max_client_memory,
        max_server_memory: arguments.max_server_memory,
        max_exposure: arguments.max_exposure,
        min_accuracy: arguments.min_accuracy,
        counts_handed_over: arguments.count_handed_over,
    };
    let choice = choose(&rows, &scenario, &limits, arguments.minimise);
    print(lines(&choice, &scenario, arguments.minimise))?;
    match choice.ranked.is_empty() {
        true => Err(Error::NothingLeft(why_nothing(&choice))),
        false => Ok(()),
    }
}

/// Returns the rows that can be compared with each other.
fn of_host(rows: Vec<SplitRow>, arguments: &ChooseArguments) -> Result<Vec<SplitRow>> {
    let place = arguments.folder.display();
    let rows = match &arguments.host {
        None => rows,
        Some(words) => {
            let is_of = |row: &SplitRow| row.host.as_ref().is_some_and(|h| h.contains(words));
            let known: Vec<&str> = hosts(&rows).into_iter().collect();
            if !rows.iter().any(is_of) {
                let known = known.join("; ");
                let reason = format!("no row of {place} is of host {words:?}: there are {known}");
                return Err(Error::Usage(reason));
            }
            rows.iter().filter(|row| is_of(row)).cloned().collect()
        }
    };
    let found: Vec<&str> = hosts(&rows).into_iter().collect();
    if found.len() > 1 {
        let found = found.join("; ");
        return Err(Error::Usage(format!(
            "{place} holds times of several hosts, which do not compare: choose one of them with \
             --host ({found})"
        )));
    }
    Ok(rows)
}

/// Returns what a person reads.
fn lines(choice: &Choice<'_>, scenario: &Scenario, objective: Objective) -> Vec<String> {
    let priced = scenario.prices != Prices::default();
    let width = choice
        .ranked
        .iter()
        .map(|candidate| candidate.row.placement.len())
        .chain(choice.rejected.iter().map(|(row, _)| row.placement.len()))
        .chain(choice.unmeasured.iter().map(|row| row.placement.len()))
        .max()
        .unwrap_or(0)
        .max("split".len());
    let mut lines = vec![
        format!("modelled from measured rows: {scenario}"),
        format!("least {} first", objective.word()),
    ];
    let count = choice.giving_all_away();
    if count > 0 {
        lines.push(format!(
            "without {count} that are known to give the whole model away; --max-exposure 100% takes them in"
        ));
    }
    lines.push(String::new());
    if let Some((best, others)) = choice.ranked.split_first() {
        let front =
            |candidate: &&Candidate<'_>| choice.front.contains(&candidate.row.placement.as_str());
        let table = |candidates: Vec<&Candidate<'_>>| {
            let rows = candidates.into_iter();
            rows.map(|candidate| row(candidate, width, priced))
                .collect::<Vec<_>>()
        };
        lines.push(header("best", width, priced));
        lines.extend(table(vec![best]));
        let failure = best.row.failure_words();
        lines.extend(failure.map(|words| format!("  {:width$}  {words}", "")));
        if !others.is_empty() {
            lines.push(String::new());
            lines.push(header("runners-up", width, priced));
            lines.extend(table(others.iter().take(RUNNERS_UP).collect()));
        }
        lines.push(String::new());
        lines.push(header("front", width, priced));
        lines.extend(table(choice.ranked.iter().filter(front).collect()));
    }
    if !choice.rejected.is_empty() {
        lines.push(String::new());
        lines.push("rejected".into());
        for (row, reason) in &choice.rejected {
            lines.push(format!("  {:width$}  {reason}", row.placement));
        }
    }
    if !choice.unmeasured.is_empty() {
        lines.push(String::new());
        lines.push("not measured".into());
        for row in &choice.unmeasured {
            let reason = row.reason.as_deref().map(|reason| format!(": {reason}"));
            let reason = reason.unwrap_or_default();
            lines.push(format!(
                "  {:width$}  {}{reason}",
                row.placement, row.status
            ));
        }
    }
    lines
}

fn header(title: &str, width: usize, priced: bool) -> String {
    let price = if priced { "  money for 1000" } else { "" };
    let width = width + 2;
    format!(
        "{title:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>11}  {:>8}  {:>9}  {:>12}{price}",
        "time", "client", "server", "bytes", "given away", "accuracy", "failure", "out of range"
    )
}

fn row(candidate: &Candidate<'_>, width: usize, priced: bool) -> String {
    let unknown = || "-".to_owned();
    let value = |objective: Objective| candidate.value(objective);
    let bytes = |objective| {
        let bytes = value(objective).map(|bytes| units::decimal_bytes(bytes.round() as u64));
        bytes.unwrap_or_else(unknown)
    };
    let price = match priced {
        true => format!("  {:>14.4}", candidate.modelled.money_per_1000),
        false => String::new(),
    };
    let exposure = match exposure::share(candidate.row) {
        Some(share) => units::percent(share),
        None => exposure::least_share(candidate.row)
            .map_or_else(unknown, |least| format!("≥ {}", units::percent(least))),
    };
    let accuracy = candidate.row.simulated_accuracy;
    let failure = candidate.row.log2_p_fail.map(units::power_of_two);
    let out_of_range = candidate.row.out_of_range_count;
    format!(
        "  {:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>11}  {:>8}  {:>9}  {:>12}{price}",
        candidate.row.placement,
        units::seconds(candidate.modelled.time_s),
        bytes(Objective::ClientMemory),
        bytes(Objective::ServerMemory),
        bytes(Objective::Bytes),
        exposure,
        accuracy.map_or_else(unknown, units::percent),
        failure.unwrap_or_else(unknown),
        out_of_range.map_or_else(unknown, |count| count.to_string()),
    )
}

/// Returns which limit excludes how many, and the split that is nearest to them.
fn why_nothing(choice: &Choice<'_>) -> String {
    let total = choice.rejected.len();
    let Some((row, broken)) = choice.nearest() else {
        return match choice.giving_all_away() {
            0 => "no row is measured with status ok".into(),
            count => format!(
                "all {count} measured splits are known to give the whole model away: --max-exposure 100% \
                 takes them in"
            ),
        };
    };
    let counted = choice
        .excluded()
        .into_iter()
        .map(|(limit, count)| format!("{limit} excludes {count} of {total}"));
    let counted: Vec<String> = counted.collect();
    let words: Vec<&str> = broken.iter().map(|broken| broken.words.as_str()).collect();
    let unknown = match choice.of_unknown_exposure() {
        0 => String::new(),
        count => format!(
            "; the exposure of {count} is not known, and --count-handed-over takes it for the least \
             that it can be"
        ),
    };
    format!(
        "{}; the nearest is {}, which {}{unknown}",
        counted.join(", "),
        row.placement,
        words.join(" and ")
    )
}
