//! Kills: the sweep, a worker, or a party's process is gone from one moment to the next. No finished
//! split is lost, none appears that did not finish, and the rest runs again.

#![cfg(feature = "engine")]
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};
use temporary_folder::{LINEAR_SWEEP as SWEEP, Ran, TemporaryFolder, children};

/// Kills of the sweep in all, and in one folder.
const KILLS: usize = 24;
const KILLS_EACH: usize = 4;
/// Kills of workers, and of parties' processes.
const WORKER_KILLS: usize = 18;

#[test]
fn a_sweep_that_is_killed_again_and_again_ends_with_the_same_rows() {
    let temp = TemporaryFolder::linear();
    let start = Instant::now();
    temp.succeed(&format!("{SWEEP} --out whole"));
    let mut whole = start.elapsed();
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let mut lengths = Vec::new();
    for index in 0.. {
        if lengths.len() >= KILLS {
            break;
        }
        let folder = format!("killed-{index}");
        let arguments = format!("{SWEEP} --out {folder} --resume");
        for _ in 0..KILLS_EACH {
            let mut sweep = temp.command(&arguments);
            sweep.stdout(Stdio::null()).stderr(Stdio::null());
            let start = Instant::now();
            let mut sweep = sweep.spawn().unwrap();
            sleep(whole.mul_f64(random.random_range(0.0..0.8)));
            if sweep.try_wait().unwrap().is_some() {
                // The machine is less busy than it was.
                whole = whole.min(start.elapsed());
                break;
            }
            // SIGKILL: nothing is tidied up.
            sweep.kill().unwrap();
            sweep.wait().unwrap();
            let log = fs::read(temp.path(&format!("{folder}/log.jsonl")));
            lengths.push(log.map_or(0, |log| log.len()));
        }
        temp.succeed(&arguments);
        temp.assert_same_rows(&folder, "whole", "after kills");
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() > 4, "kills at all stages: {lengths:?}");
}

/// Waits for a process below a sweep, its worker or one of the worker's own; none once the sweep is
/// over.
fn below(sweep: &mut Child, generations: usize) -> Option<u32> {
    while sweep.try_wait().unwrap().is_none() {
        let mut processes = vec![sweep.id()];
        for _ in 0..generations {
            processes = processes.into_iter().flat_map(children).collect();
        }
        if let Some(process) = processes.pop() {
            return Some(process);
        }
        sleep(Duration::from_millis(1));
    }
    None
}

/// Kills processes below a sweep at random moments, and asserts what is left.
fn kill_below(temp: &TemporaryFolder, generations: usize, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut kills, mut folders) = (0, 0);
    while kills < WORKER_KILLS {
        let folder = format!("below-{generations}-{folders}");
        folders += 1;
        assert!(folders <= 6 * WORKER_KILLS, "kills hit");
        let mut sweep = temp.command(&format!("{SWEEP} --out {folder}"));
        sweep.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut sweep = sweep.spawn().unwrap();
        let mut struck = 0;
        while let Some(process) = below(&mut sweep, generations) {
            sleep(Duration::from_micros(random.random_range(0..20_000)));
            let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
            struck += usize::from(kill_process(process, Signal::KILL).is_ok());
            // Some visits shall end well.
            sleep(Duration::from_millis(random.random_range(0..300)));
        }
        let ran = Ran::from(sweep.wait_with_output().unwrap());
        let statuses = temp.column(&folder, "status");
        let broken = statuses.iter().filter(|status| *status != "ok").count();
        let is_right = statuses
            .iter()
            .all(|status| ["ok", "oom"].contains(&&**status));
        assert!(is_right, "{statuses:?}: {}", ran.stderr);
        // One that was over already is not hit.
        assert!(broken <= struck, "{statuses:?} by {struck} kills");
        let code = if broken == 0 { 0 } else { 4 };
        assert_eq!(ran.code, Some(code), "{statuses:?}: {}", ran.stderr);
        for row in temp.rows(&format!("{folder}/splits.csv")) {
            if row["status"] == "oom" {
                assert!(row["reason"].contains("most likely for want of memory"));
            }
        }
        kills += broken;
        temp.succeed(&format!("{SWEEP} --out {folder} --retry"));
        temp.assert_same_rows(&folder, "whole", "after kills");
    }
}

#[test]
fn workers_and_parties_that_are_killed_leave_a_row_each_and_run_again() {
    let temp = TemporaryFolder::linear();
    temp.succeed(&format!("{SWEEP} --out whole"));
    kill_below(&temp, 1, 22);
    kill_below(&temp, 2, 23);
}
