//! Tables, wishes and the right verdicts, worked out by hand.

use splitbench::choose::Limits;
use splitbench::choose::scenario::Scenario;
use splitbench::core::link::Link;
use splitbench::record::copy::{Agreement, USUAL_QUERIES};
use splitbench::record::row::SplitRow;

use super::verdict::{Conditions, Verdict, unlimited};

const TWO_GB: u64 = 2_000_000_000;

pub struct Case {
    pub name: &'static str,
    pub rows: Vec<SplitRow>,
    pub conditions: Conditions,
    pub expected: Verdict,
}

/// Returns a split that takes so many milliseconds, of which the client none, and has so many mebibytes
/// there.
fn row(placement: &str, milliseconds: f64, mebibytes: u64, exposure: Option<f64>) -> SplitRow {
    SplitRow {
        model: "toy".into(),
        placement: placement.into(),
        status: "ok".into(),
        host: Some("one CPU".into()),
        online_s_median: Some(milliseconds / 1e3),
        online_s_n: Some(5),
        client_compute_s_median: Some(0.0),
        encrypt_s_median: Some(0.0),
        decrypt_s_median: Some(0.0),
        serialise_s_median: Some(0.0),
        deserialise_s_median: Some(0.0),
        upload_bytes: Some(1000),
        download_bytes: Some(1000),
        evaluation_key_bytes: Some(0),
        rounds: Some(placement.matches("CS").count() + usize::from(placement.starts_with('S'))),
        client_peak_rss_bytes: Some(mebibytes << 20),
        exposed_weight_share: exposure,
        exposed_weight_share_least: exposure,
        exposure_is: exposure.map_or("not mounted", |_| "closed form").into(),
        simulated_accuracy: Some(0.97),
        ..SplitRow::default()
    }
}

/// Returns a split of unknown exposure, of which the client has so much at least.
fn unknown(placement: &str, milliseconds: f64, least: f64) -> SplitRow {
    SplitRow {
        exposed_weight_share_least: Some(least),
        ..row(placement, milliseconds, 10, None)
    }
}

fn within(limits: Limits) -> Conditions {
    Conditions {
        limits,
        ..Conditions::default()
    }
}

fn exposing(most: f64) -> Limits {
    Limits {
        max_exposure: Some(most),
        ..unlimited()
    }
}

fn agreeing(most: f64) -> Limits {
    Limits {
        max_copy_agreement: Some(most),
        ..unlimited()
    }
}

/// Returns the split with copies that agree so far.
fn copied(row: SplitRow, copy: f64) -> SplitRow {
    let copies = Agreement {
        copy,
        ..Agreement::handed_over(USUAL_QUERIES)
    };
    SplitRow {
        copies: Some(copies),
        ..row
    }
}

/// Returns the cases of tables with copies.
fn of_copies() -> Vec<Case> {
    let case = |name, rows: &[SplitRow], limits, expected| Case {
        name,
        rows: rows.to_vec(),
        conditions: within(limits),
        expected,
    };
    let fast = copied(row("CSC", 20.0, 10, Some(0.3)), 0.99);
    let slow = copied(row("SSC", 30.0, 10, Some(0.2)), 0.989);
    let open = row("SSS", 40.0, 10, Some(0.0));
    let hidden = copied(unknown("CSS", 10.0, 0.0), 1.0);
    let without_server = copied(row("CCC", 1.0, 9, Some(1.0)), 1.0);
    let rows = [without_server, fast.clone(), slow.clone(), open.clone()];
    let by_default: (&str, &[&str]) = ("CSC", &["whole copies"]);
    let all_away: (&str, &[&str]) = ("CCC", &["all away"]);
    vec![
        case(
            "copies that agree in 99 % count as the whole model, and what is unknown does not",
            &rows,
            unlimited(),
            verdict(&["SSC", "SSS"], &[all_away, by_default], &[]),
        ),
        case(
            "not where exposure is limited, which a caveat says",
            &rows[1..],
            exposing(0.3),
            verdict(&["CSC", "SSC", "SSS"], &[], &["whole copies CSC"]),
        ),
        case(
            "a limit on copies takes in what it allows, and nothing that is unknown",
            &rows,
            agreeing(0.99),
            nearest(
                "SSS",
                verdict(
                    &["CSC", "SSC"],
                    &[all_away, ("SSS", &["copies"])],
                    &["whole copies CSC"],
                ),
            ),
        ),
        case(
            "nothing that agrees in more, of which the nearest is named",
            &[fast.clone(), slow.clone()],
            agreeing(0.989),
            nearest("CSC", verdict(&["SSC"], &[("CSC", &["copies"])], &[])),
        ),
        case(
            "of an unknown exposure both are said",
            &[hidden.clone(), open],
            Limits {
                counts_handed_over: true,
                ..exposing(0.5)
            },
            verdict(&["CSS", "SSS"], &[], &["unknown CSS", "whole copies CSS"]),
        ),
        case(
            "a table of nothing else has no answer, and nothing is near",
            &[fast, hidden.clone()],
            unlimited(),
            verdict(&[], &[by_default, ("CSS", &["whole copies"])], &[]),
        ),
        case(
            "what breaks a limit too is not taken in by one on copies",
            &[rows[1].clone(), slow.clone()],
            Limits {
                max_client_memory: Some(1),
                ..unlimited()
            },
            nearest(
                "CSC",
                verdict(&[], &[("CSC", &["memory"]), ("SSC", &["memory"])], &[]),
            ),
        ),
        case(
            "what copies keep out is not kept out by its exposure alone",
            &[slow, hidden],
            Limits {
                max_copy_agreement: Some(0.99),
                ..exposing(0.5)
            },
            nearest(
                "CSS",
                verdict(&["SSC"], &[("CSS", &["unknown", "copies"])], &[]),
            ),
        ),
    ]
}

fn verdict(ranked: &[&str], rejected: &[(&str, &[&str])], caveats: &[&str]) -> Verdict {
    let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
    Verdict {
        ranked: words(ranked),
        rejected: rejected
            .iter()
            .map(|(split, limits)| ((*split).to_owned(), words(limits)))
            .collect(),
        caveats: words(caveats),
        nearest: None,
    }
}

fn nearest(split: &str, verdict: Verdict) -> Verdict {
    Verdict {
        nearest: Some(split.into()),
        ..verdict
    }
}

pub fn cases() -> Vec<Case> {
    let case = |name, rows: &[SplitRow], conditions, expected| Case {
        name,
        rows: rows.to_vec(),
        conditions,
        expected,
    };
    let all_away = row("CCC", 1.0, 9, Some(1.0));
    let linear = row("CCS", 2.0, 9, Some(1.0));
    let few = row("SSC", 30.0, 10, Some(0.042));
    let more = row("CSC", 20.0, 10, Some(0.0424));
    let mut single = row("SCC", 31.0, 10, Some(0.2));
    single.online_s_n = Some(1);
    let mut noisy = row("CSS", 20.0, 10, Some(0.2));
    noisy.noisy = Some(true);
    let mut failed = row("SSS", 1.0, 1, Some(0.0));
    failed.status = "mismatch".into();
    let mut untimed = row("SCS", 1.0, 1, Some(0.0));
    untimed.decrypt_s_median = None;
    let open = unknown("SSS", 10.0, 0.0);
    let heavy = SplitRow {
        client_peak_rss_bytes: Some(TWO_GB + 1),
        ..row("CSC", 1.0, 0, Some(0.0))
    };
    let full = SplitRow {
        client_peak_rss_bytes: Some(TWO_GB),
        ..row("SSC", 2.0, 0, Some(0.0))
    };
    let two_gb = Limits {
        max_client_memory: Some(TWO_GB),
        ..Limits::default()
    };
    let chatty = row("SCS", 5.0, 10, Some(0.1));
    let wan = Conditions {
        scenario: Scenario {
            network: Link::profiles().into_iter().find(|n| n.name == "wan"),
            ..Scenario::default()
        },
        limits: two_gb,
    };
    let mut cases = of_copies();
    cases.extend([
        case(
            "without limits, what is known to give everything away is left out",
            &[all_away.clone(), linear.clone(), few.clone(), more.clone()],
            Conditions::default(),
            verdict(
                &["CSC", "SSC"],
                &[("CCC", &["all away"]), ("CCS", &["all away"])],
                &[],
            ),
        ),
        case(
            "where that is asked for, it is the fastest",
            &[all_away.clone(), linear.clone(), few.clone()],
            within(exposing(1.0)),
            verdict(&["CCC", "CCS", "SSC"], &[], &[]),
        ),
        case(
            "a table of nothing else has no answer",
            &[all_away.clone(), linear],
            Conditions::default(),
            verdict(&[], &[("CCC", &["all away"]), ("CCS", &["all away"])], &[]),
        ),
        case(
            "a limit is what is written, neither more nor less",
            &[all_away, few.clone(), more.clone()],
            within(exposing(0.042)),
            nearest(
                "CSC",
                verdict(
                    &["SSC"],
                    &[("CCC", &["exposure"]), ("CSC", &["exposure"])],
                    &[],
                ),
            ),
        ),
        case(
            "memory too",
            &[heavy.clone(), full],
            within(two_gb),
            nearest("CSC", verdict(&["SSC"], &[("CSC", &["memory"])], &[])),
        ),
        case(
            "what is unknown passes no limit, and is named where it would be the one",
            &[few.clone(), open.clone()],
            within(exposing(0.5)),
            nearest(
                "SSS",
                verdict(&["SSC"], &[("SSS", &["unknown"])], &["kept out SSS"]),
            ),
        ),
        case(
            "not where it would be slower",
            &[few.clone(), unknown("SSS", 40.0, 0.0)],
            within(exposing(0.5)),
            nearest("SSS", verdict(&["SSC"], &[("SSS", &["unknown"])], &[])),
        ),
        case(
            "nor where it breaks the limit however little it is",
            &[few.clone(), unknown("SSS", 10.0, 0.6)],
            within(exposing(0.5)),
            nearest("SSS", verdict(&["SSC"], &[("SSS", &["unknown"])], &[])),
        ),
        case(
            "counted as the least that it can be, it passes and is said to be unknown",
            &[few.clone(), open.clone()],
            within(Limits {
                counts_handed_over: true,
                ..exposing(0.5)
            }),
            verdict(&["SSS", "SSC"], &[], &["unknown SSS"]),
        ),
        case(
            "without limits it stays, and is said to be unknown",
            &[few.clone(), open],
            Conditions::default(),
            verdict(&["SSS", "SSC"], &[], &["unknown SSS"]),
        ),
        case(
            "a single sample and one that is close",
            &[few.clone(), single],
            Conditions::default(),
            verdict(&["SSC", "SCC"], &[], &["close SCC"]),
        ),
        case(
            "noisy times of the best",
            &[few.clone(), noisy],
            Conditions::default(),
            verdict(&["CSS", "SSC"], &[], &["noisy CSS"]),
        ),
        case(
            "wrong answers and missing phases are no measurements",
            &[failed, untimed, few.clone()],
            Conditions::default(),
            verdict(&["SSC"], &[], &[]),
        ),
        case(
            "of equals the one with the smaller client",
            &[row("SCC", 30.0, 11, Some(0.0)), few.clone()],
            Conditions::default(),
            verdict(&["SSC", "SCC"], &[], &[]),
        ),
        case(
            "on a network rounds decide",
            &[chatty, few.clone(), heavy],
            wan,
            nearest(
                "CSC",
                verdict(&["SSC", "SCS"], &[("CSC", &["memory"])], &[]),
            ),
        ),
        case(
            "where nothing is left, the nearest is named",
            &[few, more],
            within(Limits {
                min_accuracy: Some(0.98),
                ..exposing(0.01)
            }),
            nearest(
                "SSC",
                verdict(
                    &[],
                    &[
                        ("CSC", &["exposure", "accuracy"]),
                        ("SSC", &["exposure", "accuracy"]),
                    ],
                    &[],
                ),
            ),
        ),
    ]);
    cases
}
