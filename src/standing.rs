//! Which splits beat which: in online time, client memory, bytes and exposure at once.
//!
//! Only splits that ran to the end and gave right answers are compared, and only with those of the
//! same host, because times of different hosts do not compare.

use std::collections::BTreeSet;

use crate::exposure;
use crate::pareto;
use crate::row::{SplitRow, Status};

/// What a split has little of when it is good, by name.
pub const OBJECTIVES: [(&str, Objective); 4] = [
    ("online time", |row| row.online_s_median),
    ("client memory", client_memory),
    ("bytes", bytes),
    (EXPOSURE, exposure::share),
];

const EXPOSURE: &str = "exposure";

/// A figure of a row.
pub type Objective = fn(&SplitRow) -> Option<f64>;

/// How a split stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No split beats it.
    Front,
    /// The split with this index is no worse in anything and better in something.
    DominatedBy(usize),
    /// It uses no server and others do: it is there for comparison, beats none and is on no front.
    Reference,
    /// It has no figures, or none to trust.
    NotCompared,
}

/// The largest resident set of the client alone.
pub fn client_memory(row: &SplitRow) -> Option<f64> {
    row.client_peak_rss_bytes.map(|bytes| bytes as f64)
}

/// Bytes that one inference sends and receives; keys are not among them.
pub fn bytes(row: &SplitRow) -> Option<f64> {
    Some((row.upload_bytes? + row.download_bytes?) as f64)
}

/// Whether a split ran to the end with answers within the error model.
pub fn is_ok(row: &SplitRow) -> bool {
    row.status == Status::Ok.word() && row.online_s_median.is_some_and(f64::is_finite)
}

/// Returns the names of the objectives that decide: those known of every split that is `ok`, and
/// exposure where it is known of any. The others, memory on some systems, decide nothing.
pub fn objectives_known(rows: &[SplitRow]) -> Vec<&'static str> {
    let known = OBJECTIVES
        .iter()
        .filter(|(name, of)| decides(rows, name, *of));
    known.map(|(name, _)| *name).collect()
}

fn decides(rows: &[SplitRow], name: &str, of: Objective) -> bool {
    let mut compared = rows.iter().filter(|row| is_ok(row));
    let is_known = |row: &SplitRow| of(row).is_some_and(f64::is_finite);
    match name {
        EXPOSURE => compared.any(is_known),
        _ => compared.all(is_known),
    }
}

/// Returns how each split stands in the objectives that decide. A split whose exposure is not known
/// beats none and is beaten by none: what it gives away may be less or more.
pub fn standings(rows: &[SplitRow]) -> Vec<Standing> {
    // An objective that does not decide is the same for all.
    let objectives = OBJECTIVES.map(|(name, of)| decides(rows, name, of).then_some(of));
    let point =
        |row: &SplitRow| objectives.map(|of| of.map_or(0.0, |of| of(row).unwrap_or(f64::NAN)));
    let mut standings = vec![Standing::NotCompared; rows.len()];
    for all in compared_by_host(rows) {
        all.iter()
            .for_each(|&at| standings[at] = Standing::Reference);
        let indices = with_server(rows, all);
        let points: Vec<[f64; 4]> = indices.iter().map(|&index| point(&rows[index])).collect();
        for (&index, dominator) in indices.iter().zip(pareto::dominators(&points)) {
            standings[index] = match dominator {
                Some(other) => Standing::DominatedBy(indices[other]),
                None => Standing::Front,
            };
        }
    }
    standings
}

/// Returns the splits that no other beats in both online time and one more figure, by rising time.
pub fn front_against_time(rows: &[SplitRow], of: Objective) -> Vec<usize> {
    let mut front = Vec::new();
    for all in compared_by_host(rows) {
        let indices = with_server(rows, all);
        let figure = |of: Objective, index: usize| of(&rows[index]).unwrap_or(f64::NAN);
        let points = indices.iter().map(|&index| {
            let online_s = figure(|row| row.online_s_median, index);
            (online_s, figure(of, index))
        });
        let points: Vec<(f64, f64)> = points.collect();
        front.extend(pareto::front(&points).into_iter().map(|at| indices[at]));
    }
    front
}

/// Returns those of the splits that use a server, or all where none does.
///
/// A split without a server pays for no encryption and gives the whole model away: it would be alone
/// on most fronts.
fn with_server(rows: &[SplitRow], all: Vec<usize>) -> Vec<usize> {
    let uses_server = |index: &usize| rows[*index].rounds != Some(0);
    if !all.iter().any(uses_server) {
        return all;
    }
    all.into_iter().filter(uses_server).collect()
}

/// Returns the indices of the splits to compare, one list for each host.
fn compared_by_host(rows: &[SplitRow]) -> Vec<Vec<usize>> {
    let compared = || (0..rows.len()).filter(|&index| is_ok(&rows[index]));
    let hosts: BTreeSet<Option<&str>> = compared().map(|at| rows[at].host.as_deref()).collect();
    let of_host = |host| compared().filter(move |&at| rows[at].host.as_deref() == host);
    hosts
        .into_iter()
        .map(|host| of_host(host).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(placement: &str, online_s: f64, memory: u64, exposure: f64) -> SplitRow {
        SplitRow {
            placement: placement.into(),
            status: "ok".into(),
            online_s_median: Some(online_s),
            client_peak_rss_bytes: Some(memory),
            upload_bytes: Some(10),
            download_bytes: Some(5),
            rounds: Some(placement.matches('S').count()),
            exposed_weight_share: Some(exposure),
            ..SplitRow::default()
        }
    }

    #[test]
    fn a_split_that_is_slower_and_larger_is_beaten() {
        let rows = [
            row("CSC", 2.0, 20, 0.5),
            row("SSC", 1.0, 10, 0.5),
            row("SSS", 3.0, 10, 0.0),
        ];
        let expected = [Standing::DominatedBy(1), Standing::Front, Standing::Front];
        assert_eq!(standings(&rows), expected);
        assert_eq!(front_against_time(&rows, exposure::share), [1, 2]);
        assert_eq!(front_against_time(&rows, client_memory), [1]);
    }

    #[test]
    fn splits_of_other_hosts_and_with_wrong_answers_beat_nothing() {
        let mut rows = [
            row("CSC", 1.0, 10, 0.5),
            row("SSC", 2.0, 20, 0.5),
            row("SSS", 3.0, 30, 0.5),
        ];
        rows[0].status = "mismatch".into();
        rows[1].host = Some("another".into());
        let expected = [Standing::NotCompared, Standing::Front, Standing::Front];
        assert_eq!(standings(&rows), expected);
    }

    #[test]
    fn what_is_unknown_somewhere_decides_nothing() {
        let mut rows = [row("CSC", 1.0, 50, 0.5), row("SSC", 2.0, 20, 0.5)];
        assert_eq!(standings(&rows), [Standing::Front; 2]);
        rows[0].client_peak_rss_bytes = None;
        let expected = [Standing::Front, Standing::DominatedBy(0)];
        assert_eq!(standings(&rows), expected);
        assert_eq!(
            objectives_known(&rows),
            ["online time", "bytes", "exposure"]
        );
    }

    #[test]
    fn unknown_exposure_neither_beats_nor_is_beaten() {
        let mut rows = [
            row("CSC", 1.0, 10, 0.5),
            row("SSC", 2.0, 20, 0.5),
            row("SSS", 3.0, 30, 0.5),
        ];
        rows[1].exposed_weight_share = None;
        let expected = [Standing::Front, Standing::Front, Standing::DominatedBy(0)];
        assert_eq!(standings(&rows), expected);
    }

    #[test]
    fn the_split_without_a_server_is_on_a_front_only_when_alone() {
        let rows = [row("CC", 0.1, 1, 1.0), row("CS", 1.0, 10, 0.5)];
        assert_eq!(front_against_time(&rows, client_memory), [1]);
        assert_eq!(standings(&rows), [Standing::Reference, Standing::Front]);
        assert_eq!(front_against_time(&rows[..1], client_memory), [0]);
        assert_eq!(standings(&rows[..1]), [Standing::Front]);
    }
}
