//! `splitbench choose`.

use std::path::PathBuf;

use clap::Args;

use super::print::print;
use super::scenario::ScenarioArguments;
use super::typed::{fraction, size};
use crate::choose::scenario::{Prices, Scenario};
use crate::choose::{Candidate, Choice, Limits, Reason, choose};
use crate::core::error::{Error, Result};
use crate::core::objective::Objective;
use crate::core::units;
use crate::record::copy::{USUAL_QUERIES, WHOLE_MODEL};
use crate::record::exposure;
use crate::record::results::{read_copy_agreements, read_splits};
use crate::record::row::SplitRow;
use crate::report::plot::hosts;

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
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    max_exposure: Option<f64>,
    /// Where exposure is unknown, count the least that it can be: what is handed over, solved and found; where copies
    /// are, let them pass
    #[arg(long)]
    count_handed_over: bool,
    /// The least simulated accuracy, such as 95% or 0.95
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    min_accuracy: Option<f64>,
    /// The most labels of a copy that may be the server's, such as 90%, as `splitbench attack` found it; a split
    /// of which it is not known does not pass
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    max_copy_agreement: Option<f64>,
    /// After how many queries copies are judged [default: 1000, where `splitbench attack` learnt some]
    #[arg(long, value_name = "N")]
    queries: Option<usize>,
    /// Only rows whose host holds these words: times of different hosts do not compare
    #[arg(long, value_name = "WORDS")]
    host: Option<String>,
    /// Say of each of the other splits why it is not the one
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    scenario: ScenarioArguments,
}

/// Chooses and prints; fails where nothing is left.
pub fn run(arguments: &ChooseArguments) -> Result<()> {
    let mut rows = of_host(read_splits(&arguments.folder)?, arguments)?;
    // Where nobody asks about copies, there need be none.
    if arguments.max_copy_agreement.is_some() || arguments.queries.is_some() {
        let queries = arguments.queries.unwrap_or(USUAL_QUERIES);
        read_copy_agreements(&arguments.folder, queries, &mut rows)?;
    }
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
        max_copy_agreement: arguments.max_copy_agreement,
        counts_handed_over: arguments.count_handed_over,
        counts_whole_copies: true,
    };
    let choice = choose(&rows, &scenario, &limits, arguments.minimise);
    print(lines(&choice, &scenario, &limits, arguments.why))?;
    if choice.ranked.is_empty() {
        return Err(Error::NothingLeft(why_nothing(&choice)));
    }
    Ok(())
}

/// Returns the rows that can be compared with each other.
fn of_host(rows: Vec<SplitRow>, arguments: &ChooseArguments) -> Result<Vec<SplitRow>> {
    let place = arguments.folder.display();
    let rows = match &arguments.host {
        None => rows,
        Some(words) => {
            // A whole name may be the beginning of another.
            let is_name = rows.iter().any(|row| row.host.as_ref() == Some(words));
            let is_of = |row: &SplitRow| match &row.host {
                Some(host) if is_name => host == words,
                Some(host) => host.contains(words),
                None => false,
            };
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
fn lines(choice: &Choice<'_>, scenario: &Scenario, limits: &Limits, why: bool) -> Vec<String> {
    let mut lines = vec![format!("modelled from measured rows: {scenario}")];
    let words = limits.words();
    if !words.is_empty() {
        lines.push(format!("within {}", words.join(", ")));
    }
    lines.push(format!("least {} first", choice.objective.word()));
    let count = choice.giving_all_away();
    if count > 0 {
        lines.push(format!(
            "without {count} that are known to give the whole model away; --max-exposure 100% takes them in"
        ));
    }
    lines.extend(without_wholly_copied(choice));
    if let Some(best) = choice.ranked.first() {
        lines.extend([String::new(), recommendation(best, scenario)]);
    }
    let caveats = choice.caveats();
    lines.extend(caveats.iter().map(|caveat| format!("  note: {caveat}")));
    lines.extend(tables(choice, &More::of(choice, scenario)));
    lines.push(String::new());
    lines.extend(if why { reasons(choice) } else { others(choice) });
    lines
}

/// Counts the splits that are left out because of their copies.
fn without_wholly_copied(choice: &Choice<'_>) -> Option<String> {
    let copied = choice.wholly_copied();
    let (_, copies) = copied.first()?;
    Some(format!(
        "without {} whose copies agree in {}; --max-copy-agreement 100% takes them in",
        copied.len(),
        whole_model_words(copies.queries),
    ))
}

/// Returns `99 % or more after 1,000 queries`.
fn whole_model_words(queries: usize) -> String {
    let most = units::decimal(100.0 * WHOLE_MODEL, 0);
    format!("{most} % or more after {} queries", units::grouped(queries))
}

/// Returns the sentence that says which split to take.
fn recommendation(best: &Candidate<'_>, scenario: &Scenario) -> String {
    let bytes = |objective| {
        let bytes = best.value(objective);
        bytes.map(|bytes| units::bytes(bytes.round() as u64))
    };
    let figures = [
        Some(format!(
            "{} per inference",
            units::seconds(best.modelled.time_s)
        )),
        bytes(Objective::ClientMemory).map(|bytes| format!("{bytes} at the client")),
        bytes(Objective::ServerMemory).map(|bytes| format!("{bytes} at the server")),
        bytes(Objective::Bytes).map(|bytes| format!("{bytes} sent and received")),
        Some(match exposure::fraction(best.row) {
            Some(fraction) => format!("exposure {}", units::percent(fraction)),
            None => format!("exposure {}", exposure::unknown_words(best.row)),
        }),
        best.row
            .simulated_accuracy
            .map(|fraction| format!("accuracy {} (simulated)", units::percent(fraction))),
        best.row
            .copies
            .map(|copies| format!("copies agree in {copies}")),
        (scenario.prices != Prices::default())
            .then(|| format!("{:.4} for 1,000", best.modelled.money_per_1000)),
    ];
    let figures: Vec<String> = figures.into_iter().flatten().collect();
    format!("take {}: {}", best.row.placement, figures.join(", "))
}

/// Returns the runners-up and the front.
fn tables(choice: &Choice<'_>, more: &More) -> Vec<String> {
    let lengths = choice.ranked.iter().map(|c| c.row.placement.len());
    let width = lengths.max().unwrap_or(0).max("runners-up".len() - 2);
    let mut lines = Vec::new();
    let mut table = |title: &str, candidates: Vec<&Candidate<'_>>| {
        if !candidates.is_empty() {
            lines.extend([String::new(), header(title, width, more)]);
            lines.extend(candidates.into_iter().map(|c| row(c, width, more)));
        }
    };
    let front = |candidate: &&Candidate<'_>| {
        choice
            .front
            .iter()
            .any(|row| std::ptr::eq(*row, candidate.row))
    };
    let others = choice.ranked.iter().skip(1);
    table("best", choice.ranked.iter().take(1).collect());
    table("runners-up", others.take(RUNNERS_UP).collect());
    table("front", choice.ranked.iter().filter(front).collect());
    let failure = choice
        .ranked
        .first()
        .and_then(|best| best.row.failure_words());
    if let Some(words) = failure {
        lines.extend([String::new(), format!("of the best: {words}")]);
    }
    lines
}

/// Returns why each of the other splits is not the one.
fn reasons(choice: &Choice<'_>) -> Vec<String> {
    let rejected = choice.rejected.iter().map(|(row, _)| *row);
    let rows = rejected.chain(choice.unmeasured.iter().copied());
    let width = rows.map(|row| row.placement.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    if !choice.rejected.is_empty() {
        lines.push("rejected".into());
        let reasons = choice.rejected.iter();
        lines.extend(reasons.map(|(row, reason)| format!("  {:width$}  {reason}", row.placement)));
    }
    if !choice.unmeasured.is_empty() {
        lines.push("not measured".into());
    }
    lines.extend(choice.unmeasured.iter().map(|row| {
        let reason = row
            .reason
            .as_deref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        format!("  {:width$}  {}{reason}", row.placement, row.status)
    }));
    lines
}

/// Counts the other splits.
fn others(choice: &Choice<'_>) -> Vec<String> {
    let dominated =
        |(_, reason): &&(&SplitRow, Reason<'_>)| matches!(reason, Reason::Dominated { .. });
    let over = |(_, reason): &&(&SplitRow, Reason<'_>)| matches!(reason, Reason::Limits(_));
    let counts = [
        (
            choice.rejected.iter().filter(over).count(),
            "over the limits",
        ),
        (
            choice.rejected.iter().filter(dominated).count(),
            "dominated",
        ),
        (choice.unmeasured.len(), "not measured"),
    ];
    let words: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match words.as_slice() {
        [] => Vec::new(),
        words => vec![format!("{}: --why says why", words.join(", "))],
    }
}

/// Returns what the client ends up with; where that is not known, the least of it.
fn exposure_words(candidate: &Candidate<'_>) -> String {
    match exposure::fraction(candidate.row) {
        Some(fraction) => units::percent(fraction),
        None => exposure::unknown_fraction_words(candidate.row),
    }
}

/// Columns that a table has where there is something to say.
struct More {
    price: bool,
    copies: bool,
}

impl More {
    fn of(choice: &Choice<'_>, scenario: &Scenario) -> Self {
        Self {
            price: scenario.prices != Prices::default(),
            copies: choice.ranked.iter().any(|c| c.row.copies.is_some()),
        }
    }
}

fn header(title: &str, width: usize, more: &More) -> String {
    let price = if more.price { "  money for 1000" } else { "" };
    let copies = if more.copies { "  copies agree" } else { "" };
    let width = width + 2;
    format!(
        "{title:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>18}  {:>8}  {:>9}  {:>12}{copies}{price}",
        "time", "client", "server", "bytes", "given away", "accuracy", "failure", "out of range"
    )
}

fn row(candidate: &Candidate<'_>, width: usize, more: &More) -> String {
    let unknown = || "-".to_owned();
    let value = |objective: Objective| candidate.value(objective);
    let bytes = |objective| {
        let bytes = value(objective).map(|bytes| units::bytes(bytes.round() as u64));
        bytes.unwrap_or_else(unknown)
    };
    let price = if more.price {
        format!("  {:>14.4}", candidate.modelled.money_per_1000)
    } else {
        String::new()
    };
    let copies = if more.copies {
        let copies = candidate
            .row
            .copies
            .map(|copies| units::percent(copies.copy));
        format!("  {:>12}", copies.unwrap_or_else(unknown))
    } else {
        String::new()
    };
    let accuracy = candidate.row.simulated_accuracy;
    let failure = candidate.row.log2_p_fail.map(units::power_of_two);
    let out_of_range = candidate.row.out_of_range_count;
    format!(
        "  {:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>18}  {:>8}  {:>9}  {:>12}{copies}{price}",
        candidate.row.placement,
        units::seconds(candidate.modelled.time_s),
        bytes(Objective::ClientMemory),
        bytes(Objective::ServerMemory),
        bytes(Objective::Bytes),
        exposure_words(candidate),
        accuracy.map_or_else(unknown, units::percent),
        failure.unwrap_or_else(unknown),
        out_of_range.map_or_else(unknown, |count| count.to_string()),
    )
}

/// Returns which limit excludes how many, and the split that is nearest to them.
fn why_nothing(choice: &Choice<'_>) -> String {
    let total = choice.over_count();
    let Some((row, broken)) = choice.nearest() else {
        return why_none_by_default(choice);
    };
    let counted: Vec<String> = choice
        .excluded()
        .into_iter()
        .map(|(limit, count)| format!("{limit} excludes {count} of {total}"))
        .collect();
    let words: Vec<&str> = broken.iter().map(|broken| broken.words.as_str()).collect();
    let unknown = match choice.of_unknown_exposure() {
        0 => String::new(),
        count => format!(
            "; the exposure of {count} is not known, and --count-handed-over takes it for the least \
             that it can be"
        ),
    };
    let copied = without_wholly_copied(choice).map(|words| format!("; {words}"));
    let copied = copied.unwrap_or_default();
    format!(
        "{}; the nearest is {}: {}{unknown}{copied}",
        counted.join(", "),
        row.placement,
        words.join(" and ")
    )
}

/// Returns how all splits give the whole model away, and what takes which of them in.
fn why_none_by_default(choice: &Choice<'_>) -> String {
    let known = choice.giving_all_away();
    let copied = choice.wholly_copied();
    let least = copied.iter().min_by(|a, b| a.1.copy.total_cmp(&b.1.copy));
    let Some((row, copies)) = least else {
        return match known {
            0 => "no row is measured with status ok".into(),
            count => format!(
                "all {count} measured splits are known to give the whole model away: --max-exposure 100% \
                 takes them in"
            ),
        };
    };
    let others = match known {
        0 => String::new(),
        count => format!("without {count} that are known to give the whole model away, "),
    };
    // Rounded up, so that the limit lets the split pass.
    let most = (1000.0 * copies.copy).ceil() / 10.0;
    format!(
        "{others}copies of {} agree in {}; those of {} agree least, in {}: --max-copy-agreement {most}% \
         takes it in",
        copied.len(),
        whole_model_words(copies.queries),
        row.placement,
        units::percent(copies.copy),
    )
}
