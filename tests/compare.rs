//! Comparisons of sweeps of which it is known what differs, and intervals of times that are known.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "compare/simulated.rs"]
mod simulated;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use simulated::{DRIFTS, Drift, Scatter, Trial, recorded};
use splitbench::core::statistics::log_mean;

/// Returns the fraction that `runs` of a true fraction exceed in one of a thousand cases.
fn most(fraction: f64, runs: usize) -> f64 {
    fraction + 3.1 * (fraction * (1.0 - fraction) / runs as f64).sqrt()
}

#[test]
fn equal_sweeps_hardly_ever_show_a_difference() {
    let (strays, calibrations) = recorded();
    let scatters = [
        (Scatter::Normal(0.03), Scatter::Normal(0.01)),
        (Scatter::Recorded(strays), Scatter::Recorded(calibrations)),
    ];
    let mut failures = Vec::new();
    for (scatter, machine) in scatters {
        for drift in DRIFTS {
            for splits in [1, 32, 256] {
                for visits in [2, 3, 5, 10] {
                    let trial = Trial {
                        splits,
                        visits,
                        scatter: scatter.clone(),
                        machine: machine.clone(),
                        drift,
                        slower: 1.0,
                    };
                    let runs = 6400 / splits.max(32);
                    let (any, _) = trial.fractions(runs, 1);
                    if any > most(0.05, runs) {
                        let recorded = matches!(scatter, Scatter::Recorded(_));
                        failures.push((recorded, drift, splits, visits, any));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn real_differences_among_many_splits_are_shown() {
    for (visits, slower) in [(5, 1.2), (3, 1.5)] {
        for slower in [slower, 1.0 / slower] {
            let trial = Trial {
                splits: 32,
                visits,
                scatter: Scatter::Normal(0.03),
                machine: Scatter::Normal(0.01),
                drift: Drift::None,
                slower,
            };
            let (_, first) = trial.fractions(300, 2);
            assert!(first >= 0.9, "{visits} visits, {slower} times: {first}");
        }
    }
}

#[test]
fn intervals_hold_the_true_time_as_often_as_they_say() {
    let (strays, _) = recorded();
    for (name, scatter) in [
        ("log-normal", Scatter::Normal(0.1)),
        ("recorded", Scatter::Recorded(strays)),
    ] {
        for visits in [3, 5] {
            let mut random = ChaCha8Rng::seed_from_u64(3);
            let runs = 4000;
            let holds = |_: &usize| {
                let times: Vec<f64> = (0..visits)
                    .map(|_| scatter.draw(&mut random).exp())
                    .collect();
                let interval = log_mean(times).unwrap().interval(0.95).unwrap();
                interval.low <= 1.0 && 1.0 <= interval.high
            };
            let held = (0..runs).filter(holds).count() as f64 / runs as f64;
            assert!(
                1.0 - held <= most(0.05, runs),
                "{name}, {visits} visits: {held}"
            );
        }
    }
}
