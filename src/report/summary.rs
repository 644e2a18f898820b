//! What a sweep found, in words.

use std::collections::BTreeMap;

use serde_json::Value;

use super::html::escape;
use super::plot::hosts;
use crate::choose::dominance::{self, Dominance, dominances, is_ok, unlimited};
use crate::core::objective::Objective;
use crate::core::placement::Placement;
use crate::core::units;
use crate::record::exposure;
use crate::record::finished::is_long;
use crate::record::provenance::Provenance;
use crate::record::row::{SplitRow, Status};

/// Returns the paragraphs and the cards of the splits that stand out.
pub(crate) fn summary(rows: &[SplitRow], environment: &Value) -> String {
    let mut html = format!("<p>{}</p>\n", measured(rows, &Provenance::of(environment)));
    if !rows.iter().any(is_ok) {
        html += "<p>None of them ran to the end, so that there is nothing to choose from: the \
                 table tells why.</p>\n";
        return html;
    }
    for words in not_ok(rows).into_iter().chain(noisy(rows)) {
        html += &format!("<p>{words}</p>\n");
    }
    let hosts = hosts(rows);
    for host in &hosts {
        if hosts.len() > 1 {
            html += &format!("<h3>{}</h3>\n", escape(host));
        }
        let of_host = rows.iter().filter(|row| row.host.as_deref() == Some(*host));
        html += &cards(&of_host.collect::<Vec<_>>());
    }
    if hosts.is_empty() {
        html += &cards(&rows.iter().collect::<Vec<_>>());
    }
    html + &format!("<p>{}</p>\n", undominated(rows))
}

/// Returns `1 split`, `2 splits`.
pub(crate) fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Returns how many layers of a placement are not pinned to the client.
fn free_layers(placement: &str) -> usize {
    let free = placement.chars().filter(|&letter| letter != 'c');
    free.count()
}

/// Says what was measured, on what.
fn measured(rows: &[SplitRow], provenance: &Provenance) -> String {
    let Some(first) = rows.first() else {
        return "This folder holds no splits.".into();
    };
    let free = free_layers(&first.placement);
    let pinned = first.placement.chars().count() - free;
    let layers = match pinned {
        0 => count(free, "placeable layer"),
        _ => format!(
            "{}, of which {pinned} can run on the client alone (c)",
            count(free + pinned, "layer")
        ),
    };
    let all = if free > Placement::MOST_ENUMERATED_LAYERS {
        ""
    } else if rows.len() == 1 << free {
        ", all that are possible"
    } else {
        &format!(" of {} possible", 1_u64 << free)
    };
    let samples = match first.images * first.repeats {
        1 => "one inference (a single figure has no spread)".to_owned(),
        many => format!("{many} inferences"),
    };
    let listed = |list: &[String]| match list {
        [] => "a machine that is not named".to_owned(),
        list => escape(&list.join("; ")),
    };
    let build = match provenance.builds.as_slice() {
        [] => String::new(),
        builds => format!(", by {}", escape(&builds.join("; "))),
    };
    let is_warmed = |row: &SplitRow| !is_long(row.bootstrap_count.unwrap_or(0));
    let warmed = if rows.iter().all(is_warmed) {
        "after a warm-up"
    } else {
        "after a warm-up where they are short"
    };
    format!(
        "<b>{}</b> is a network of {}. This folder holds {}{all}, each measured over {samples} \
         {warmed}, on {}{build}.",
        escape(&first.model),
        layers,
        count(rows.len(), "split"),
        listed(&provenance.machines),
    )
}

/// Says how many splits did not end well, and how.
fn not_ok(rows: &[SplitRow]) -> Option<String> {
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.status != Status::Ok.word()) {
        *by_status.entry(&row.status).or_default() += 1;
    }
    if by_status.is_empty() {
        return None;
    }
    let words: Vec<String> = by_status
        .iter()
        .map(|(status, count)| format!("{} {count}", escape(status)))
        .collect();
    Some(format!(
        "Not every split ended well: {}. They are in the table with their reasons and take no part \
         in any comparison.",
        words.join(", ")
    ))
}

/// Names the splits beside which the machine strayed.
fn noisy(rows: &[SplitRow]) -> Option<String> {
    let names: Vec<String> = rows
        .iter()
        .filter(|row| row.noisy == Some(true))
        .map(|row| escape(&row.placement))
        .collect();
    if names.is_empty() {
        return None;
    }
    Some(format!(
        "Noisy: {}. Beside {} a fixed batch of bootstraps strayed by more than a tenth, so that \
         these times may be the machine’s; answers are checked all the same.",
        names.join(", "),
        if names.len() == 1 { "it" } else { "them" }
    ))
}

/// Returns the cards of the splits that stand out among those of one host.
fn cards(rows: &[&SplitRow]) -> String {
    let best = |objective: Objective| {
        let choice = unlimited(rows.iter().copied(), objective);
        let best = choice.ranked.into_iter().next();
        best.filter(|best| best.value(objective).is_some())
    };
    let compared = unlimited(rows.iter().copied(), Objective::Time).ranked;
    let least_exposed = if compared.iter().all(|c| c.exposure.is_some()) {
        "Least exposed, fastest of these"
    } else {
        "Least exposed of those known, fastest of these"
    };
    let all_at = |other: char| {
        rows.iter()
            .filter(|row| is_ok(row))
            .find(|row| !row.placement.contains(other))
            .copied()
    };
    let row = |objective| best(objective).map(|best| best.row);
    let all_server = all_at('C');
    let is_pinned = all_server.is_some_and(|row| row.placement.contains('c'));
    let most = if is_pinned {
        "All that can be on the server"
    } else {
        "Everything on the server"
    };
    let found = [
        ("Fastest", row(Objective::Time)),
        ("Smallest client", row(Objective::ClientMemory)),
        ("Fewest bytes", row(Objective::Bytes)),
        (least_exposed, row(Objective::Exposure)),
        (most, all_server),
        ("Everything on the client, for comparison", all_at('S')),
    ];
    // A split that stands out in several ways has one card.
    let mut cards: Vec<(String, &SplitRow)> = Vec::new();
    for (title, row) in found {
        let Some(row) = row else { continue };
        match cards.iter_mut().find(|(_, of)| std::ptr::eq(*of, row)) {
            Some((titles, _)) => *titles += &format!("; {}", title.to_lowercase()),
            None => cards.push((title.to_owned(), row)),
        }
    }
    if cards.is_empty() {
        return String::new();
    }
    let items: String = cards.iter().map(|(title, row)| card(title, row)).collect();
    format!("<ul class=\"cards\">\n{items}</ul>\n")
}

fn card(title: &str, row: &SplitRow) -> String {
    let spread = match (row.online_s_min, row.online_s_max, row.online_s_n) {
        (Some(min), Some(max), Some(n @ 2..)) => format!(
            " ({} to {}, least and most of {n})",
            units::seconds(min),
            units::seconds(max)
        ),
        _ => String::new(),
    };
    let figures = [
        row.online_s_median
            .map(|online_s| format!("{} online{spread}", units::seconds(online_s))),
        row.client_peak_rss_bytes
            .map(|bytes| format!("client {}", units::bytes(bytes))),
        row.upload_bytes
            .zip(row.download_bytes)
            .map(|(up, down)| format!("{} up, {} down", units::bytes(up), units::bytes(down))),
        exposed(row),
        row.copies
            .filter(|_| row.rounds != Some(0))
            .map(|copies| format!("copies agree in {copies}")),
        row.simulated_accuracy
            .map(|fraction| format!("accuracy {} (simulated)", units::percent(fraction))),
        row.failure_words(),
    ];
    let spans: String = figures
        .into_iter()
        .flatten()
        .map(|words| format!("<span>{}</span> ", escape(&unbroken(&words))))
        .collect();
    format!(
        "<li><h4>{title}</h4><b class=\"placement\">{}</b><p>{}</p></li>\n",
        escape(&row.placement),
        spans.trim_end()
    )
}

/// Says what the client ends up with; where no attack ran to its end, the least of it.
fn exposed(row: &SplitRow) -> Option<String> {
    match (exposure::fraction(row), exposure::least_fraction(row)) {
        (Some(0.0), _) => Some(format!("exposure {}, none recovered", units::percent(0.0))),
        (Some(fraction), _) => Some(format!("exposure {}", units::percent(fraction))),
        (None, Some(least)) => Some(format!(
            "exposure unknown, at least {}",
            units::percent(least)
        )),
        (None, None) => None,
    }
}

/// Keeps numbers and their units on one line.
fn unbroken(words: &str) -> String {
    let mut unbroken = String::with_capacity(words.len());
    let mut before = ' ';
    for letter in words.chars() {
        let joins = letter == ' ' && before.is_ascii_digit();
        unbroken.push(if joins { '\u{a0}' } else { letter });
        before = letter;
    }
    unbroken
}

/// Says how many splits are left when the dominated ones are gone.
fn undominated(rows: &[SplitRow]) -> String {
    let dominances = dominances(rows);
    let apart = [Dominance::NotCompared, Dominance::GivesAllAway];
    let compared: Vec<_> = rows
        .iter()
        .zip(&dominances)
        .filter(|(_, at)| !apart.contains(at))
        .collect();
    let front = compared.iter().filter(|(_, at)| **at == Dominance::Front);
    let unknown = compared
        .iter()
        .filter(|(row, _)| exposure::fraction(row).is_none());
    let (front, unknown) = (front.count(), unknown.count());
    let figures = units::listed(&dominance::criteria(rows));
    let words = match compared.len() {
        0 => {
            return "Every split that was measured is known to give the whole model away: there is \
                    nothing to choose."
                .into();
        }
        1 => return "One split is compared.".into(),
        compared if front == compared => {
            format!("Of the {compared} splits compared none dominates another in {figures}.")
        }
        compared => format!(
            "Of the {} compared, {} not dominated: for each of the others there is one that is no worse \
             in {figures}, and better in one of them.",
            count(compared, "split"),
            match front {
                1 => "one is".to_owned(),
                many => format!("{many} are"),
            },
        ),
    };
    match unknown {
        0 => words,
        1 => format!("{words} The exposure of one of them is not known: it compares with none."),
        many => {
            format!("{words} The exposure of {many} of them is not known: these compare with none.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::contents;

    #[test]
    fn a_summary_says_what_stands_out() {
        let contents = contents(4);
        let summary = summary(&contents.splits, &contents.environment);
        insta::assert_snapshot!(summary);
    }

    #[test]
    fn hosts_are_told_apart() {
        let mut contents = contents(2);
        contents.splits[3].host = Some("A <slower> one".into());
        let summary = summary(&contents.splits, &contents.environment);
        assert_eq!(summary.matches("<h4>Fastest").count(), 2);
        assert!(
            summary.contains("<h3>A &lt;slower&gt; one</h3>"),
            "{summary}"
        );
    }

    #[test]
    fn one_and_many_are_counted_rightly() {
        assert_eq!(count(1, "split"), "1 split");
        assert_eq!(count(0, "split"), "0 splits");
    }
}
