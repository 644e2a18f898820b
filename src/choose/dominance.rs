//! How each split of a table stands among those of its host, as [`crate::choose`] judges them as
//! measured, without limits: what tables, charts and the report call the front.

use std::collections::BTreeSet;

use super::candidate::{measured, positions};
use super::choice::{Choice, Reason};
use super::judge::choose;
use super::limits::Limits;
use super::scenario::Scenario;
use crate::core::objective::Objective;
use crate::record::row::SplitRow;

/// How a split stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dominance {
    /// No split beats it.
    Front,
    /// The split with this index is no worse in anything and better in something.
    DominatedBy(usize),
    /// It is known to give the whole model away: it is there for comparison, beats none and is on no
    /// front.
    GivesAllAway,
    /// It has no figures, or none to trust.
    NotCompared,
}

/// Returns whether a split ran to the end with answers within the error model, so that it is compared.
pub fn is_ok(row: &SplitRow) -> bool {
    measured(row, &Scenario::default()).is_some()
}

/// Returns the choice among rows of one host that nothing limits, as measured.
pub fn unlimited<'a>(
    rows: impl IntoIterator<Item = &'a SplitRow>,
    objective: Objective,
) -> Choice<'a> {
    choose(rows, &Scenario::default(), &Limits::default(), objective)
}

/// Returns the rows to compare with each other, one list for each host that they name; where they name
/// one, or none, all of them.
pub fn by_host(rows: &[SplitRow]) -> Vec<Vec<&SplitRow>> {
    let hosts: BTreeSet<Option<&str>> = rows.iter().map(|row| row.host.as_deref()).collect();
    if hosts.iter().flatten().count() < 2 {
        return vec![rows.iter().collect()];
    }
    let of_host = |host| rows.iter().filter(move |row| row.host.as_deref() == host);
    hosts
        .into_iter()
        .map(|host| of_host(host).collect())
        .collect()
}

/// Returns the names of the criteria that decide on any of the fronts.
pub fn criteria(rows: &[SplitRow]) -> Vec<&'static str> {
    let choices: Vec<Choice<'_>> = by_host(rows)
        .into_iter()
        .map(|rows| unlimited(rows, Objective::Time))
        .collect();
    let most = choices.iter().max_by_key(|choice| choice.criteria.len());
    let criteria = most.map_or(&[][..], |choice| &choice.criteria);
    criteria.iter().map(|criterion| criterion.word()).collect()
}

/// Returns how each split stands.
pub fn dominances(rows: &[SplitRow]) -> Vec<Dominance> {
    let at = positions(rows);
    let mut dominances = vec![Dominance::NotCompared; rows.len()];
    for of_host in by_host(rows) {
        let choice = unlimited(of_host, Objective::Time);
        for &row in &choice.front {
            dominances[at[&std::ptr::from_ref(row)]] = Dominance::Front;
        }
        for (row, reason) in &choice.rejected {
            dominances[at[&std::ptr::from_ref(*row)]] = match *reason {
                Reason::Dominated { by, .. } => Dominance::DominatedBy(at[&std::ptr::from_ref(by)]),
                Reason::GivesAllAway => Dominance::GivesAllAway,
                Reason::WholeCopies(_) | Reason::Limits(_) => {
                    unreachable!("nothing limits this choice")
                }
            };
        }
    }
    dominances
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::row::Status;

    fn row(placement: &str, online_s: f64, memory: u64, exposure: f64) -> SplitRow {
        SplitRow {
            placement: placement.into(),
            status: Status::Ok.word().into(),
            online_s_median: Some(online_s),
            client_compute_s_median: Some(0.0),
            encrypt_s_median: Some(0.0),
            decrypt_s_median: Some(0.0),
            serialise_s_median: Some(0.0),
            deserialise_s_median: Some(0.0),
            client_peak_rss_bytes: Some(memory),
            upload_bytes: Some(10),
            download_bytes: Some(5),
            evaluation_key_bytes: Some(0),
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
        let expected = [
            Dominance::DominatedBy(1),
            Dominance::Front,
            Dominance::Front,
        ];
        assert_eq!(dominances(&rows), expected);
    }

    #[test]
    fn splits_of_other_hosts_and_with_wrong_answers_beat_nothing() {
        let mut rows = [
            row("CSC", 1.0, 10, 0.5),
            row("SSC", 2.0, 20, 0.5),
            row("SSS", 3.0, 30, 0.5),
        ];
        rows[0].status = "mismatch".into();
        rows[1].host = Some("one".into());
        // Where one host is named, rows that name none are of it.
        let expected = [
            Dominance::NotCompared,
            Dominance::Front,
            Dominance::DominatedBy(1),
        ];
        assert_eq!(dominances(&rows), expected);
        rows[2].host = Some("another".into());
        let expected = [Dominance::NotCompared, Dominance::Front, Dominance::Front];
        assert_eq!(dominances(&rows), expected);
    }

    #[test]
    fn what_is_unknown_of_all_decides_nothing() {
        let mut rows = [row("CSC", 1.0, 50, 0.5), row("SSC", 2.0, 20, 0.5)];
        assert_eq!(dominances(&rows), [Dominance::Front; 2]);
        rows[0].client_peak_rss_bytes = None;
        assert_eq!(dominances(&rows), [Dominance::Front; 2]);
        rows[1].client_peak_rss_bytes = None;
        let expected = [Dominance::Front, Dominance::DominatedBy(0)];
        assert_eq!(dominances(&rows), expected);
        assert_eq!(criteria(&rows), ["time", "bytes", "exposure"]);
    }

    #[test]
    fn unknown_exposure_neither_beats_nor_is_beaten() {
        let mut rows = [
            row("CSC", 1.0, 10, 0.5),
            row("SSC", 2.0, 20, 0.5),
            row("SSS", 3.0, 30, 0.5),
        ];
        rows[1].exposed_weight_share = None;
        let expected = [
            Dominance::Front,
            Dominance::Front,
            Dominance::DominatedBy(0),
        ];
        assert_eq!(dominances(&rows), expected);
    }

    #[test]
    fn what_gives_everything_away_is_on_no_front() {
        let rows = [
            row("CC", 0.1, 1, 1.0),
            row("CS", 1.0, 10, 0.5),
            row("SS", 0.5, 5, 1.0),
        ];
        let all_given = Dominance::GivesAllAway;
        assert_eq!(dominances(&rows), [all_given, Dominance::Front, all_given]);
        assert_eq!(dominances(&rows[..1]), [all_given]);
    }
}
