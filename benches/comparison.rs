//! The long form of the simulations behind `splitbench compare`: how often sweeps that differ in nothing
//! show a difference, and how often one that is there is shown. Ends with 1 where a fraction exceeds what it
//! promises by more than chance.

#![allow(clippy::unwrap_used, reason = "a panic is how a simulation fails")]

#[path = "../tests/compare/simulated.rs"]
mod simulated;

use std::process::ExitCode;

use simulated::{DRIFTS, Drift, Scatter, Trial, recorded};

/// Comparisons of 32 splits for each line; in the tests they are a hundredth.
const RUNS: usize = 20_000;
/// Comparisons of more splits take longer.
const SPLITS: [usize; 3] = [1, 32, 256];
const VISITS: [usize; 4] = [2, 3, 5, 10];

fn main() -> ExitCode {
    let (strays, calibrations) = recorded();
    let scatters = [
        ("3 %", Scatter::Normal(0.03), Scatter::Normal(0.01)),
        (
            "recorded",
            Scatter::Recorded(strays),
            Scatter::Recorded(calibrations),
        ),
    ];
    println!(
        "| scatter | drift | splits | visits | slower | comparisons | any difference shown | the true one shown |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut kept = true;
    for (name, scatter, machine) in &scatters {
        for drift in DRIFTS {
            for splits in SPLITS {
                for visits in VISITS {
                    let trial = Trial {
                        splits,
                        visits,
                        scatter: scatter.clone(),
                        machine: machine.clone(),
                        drift,
                        slower: 1.0,
                    };
                    kept &= line(name, &trial, |any, _, chance| any <= 0.05 + chance);
                }
            }
        }
    }
    for (visits, slower) in [(5, 1.2), (3, 1.5)] {
        let trial = Trial {
            splits: 32,
            visits,
            scatter: Scatter::Normal(0.03),
            machine: Scatter::Normal(0.01),
            drift: Drift::None,
            slower,
        };
        kept &= line("3 %", &trial, |_, shown, chance| shown >= 0.9 - chance);
    }
    match kept {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Simulates and prints one line; returns whether its fractions keep a promise, given what chance adds to
/// them in one of a thousand lines.
fn line(scatter: &str, trial: &Trial, promise: impl Fn(f64, f64, f64) -> bool) -> bool {
    let runs = RUNS * 32 / trial.splits.max(32);
    let (any, shown) = trial.fractions(runs, 1);
    let chance = 3.1 * (0.05 * 0.95 / runs as f64).sqrt();
    let kept = promise(any, shown, chance);
    println!(
        "| {scatter} | {:?} | {} | {} | {:.2} | {runs} | {:.2} % | {:.1} % |{}",
        trial.drift,
        trial.splits,
        trial.visits,
        trial.slower,
        100.0 * any,
        100.0 * shown,
        if kept { "" } else { " not as promised" }
    );
    kept
}
