//! What a person wants to know first of a results folder.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use crate::core::units;
use crate::record::results::{self, Tables};
use crate::record::row::SplitRow;
use crate::report::plot::hosts;

/// Returns what a person wants to know first, and where the rest is.
pub fn summary(tables: &Tables, folder: &Path) -> Vec<String> {
    let times = |row: &&SplitRow| row.online_s_median.is_some();
    let by_time = |a: &&SplitRow, b: &&SplitRow| {
        let order = a.online_s_median.partial_cmp(&b.online_s_median);
        order.unwrap_or(Ordering::Equal)
    };
    let describe = |name: &str, row: &SplitRow| {
        format!(
            "{name} {}: {} online, {} up, {} down, {} at peak, accuracy {}{}",
            row.placement,
            row.online_s_median.map_or("-".into(), units::seconds),
            row.upload_bytes.map_or("-".into(), units::bytes),
            row.download_bytes.map_or("-".into(), units::bytes),
            row.peak_rss_bytes.map_or("-".into(), units::bytes),
            row.simulated_accuracy.map_or("-".into(), units::percent),
            row.failure_words()
                .map_or(String::new(), |words| format!(", {words}")),
        )
    };
    let is_one_host = hosts(&tables.splits).len() < 2;
    let rows = || tables.splits.iter().filter(times).filter(|_| is_one_host);
    let fastest = rows().filter(|row| row.rounds > Some(0)).min_by(by_time);
    let all_server = rows().find(|row| !row.placement.contains('C'));
    let mut lines = Vec::new();
    lines.extend(fastest.map(|row| describe("fastest with a server ", row)));
    lines.extend(all_server.map(|row| {
        let is_pinned = row.placement.contains('c');
        let words = if is_pinned {
            "most on a server      "
        } else {
            "everything on a server"
        };
        describe(words, row)
    }));
    lines.extend(time_spent(tables));
    lines.push(format!(
        "tables  {}",
        folder.join(results::SPLITS).display()
    ));
    lines.push(format!(
        "charts  {}",
        folder
            .join(if is_one_host {
                results::CHARTS.to_owned()
            } else {
                format!("{}-*", results::CHARTS)
            })
            .display()
    ));
    let report = folder.join(results::REPORT);
    lines.push(format!("report  {}", report.display()));
    lines
}

/// Returns what the time of all visits went to, the longest stage first; nothing where that is unknown.
fn time_spent(tables: &Tables) -> Option<String> {
    let mut stages: BTreeMap<&str, f64> = BTreeMap::new();
    for row in &tables.stages {
        *stages.entry(&row.stage).or_default() += row.seconds;
    }
    let total: f64 = stages.values().sum();
    let mut stages: Vec<(&str, f64)> = stages.into_iter().collect();
    stages.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let words: Vec<String> = stages
        .iter()
        .map(|(stage, seconds)| {
            let fraction = (100.0 * seconds / total).round();
            format!("{stage} {fraction} %")
        })
        .collect();
    let total = units::rough_seconds(total);
    (!words.is_empty()).then(|| format!("time    {total}: {}", words.join(", ")))
}
