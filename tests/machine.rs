//! What a machine may lack: threads, address space, memory. It is told in one line, before anything is
//! lost, and the processes that take most go first.

#![cfg(feature = "engine")]
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{CWD, FallocateFlags, FileType, Mode};
use temporary_folder::{Ran, TemporaryFolder};

/// Runs the program in a shell that has set limits.
fn run_limited(temp: &TemporaryFolder, limits: &str, arguments: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_splitbench");
    let mut shell = Command::new("sh");
    // More threads take more room, on a machine that has them.
    let threads = "export RAYON_NUM_THREADS=${RAYON_NUM_THREADS:-2}";
    shell.args([
        "-c",
        &format!("{limits}; {threads}; exec {program} {arguments}"),
    ]);
    Ran::from(shell.current_dir(temp.path("")).output().unwrap())
}

fn assert_refused(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    let last = ran.stderr.lines().last().unwrap();
    assert!(last.starts_with("splitbench: "), "{}", ran.stderr);
    for word in words {
        assert!(last.contains(word), "no {word:?} in {last}");
    }
}

#[test]
fn threads_that_there_are_not_are_an_error() {
    let temp = TemporaryFolder::new();
    let limits = "export RAYON_NUM_THREADS=2000; ulimit -v 500000";
    for arguments in [
        "list",
        "choose results",
        "sweep --model digits-mlp --out out",
    ] {
        let ran = run_limited(&temp, limits, arguments);
        assert_refused(&ran, 6, &["cannot start a thread", "RAYON_NUM_THREADS"]);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    assert!(temp.files("").is_empty());
}

#[test]
fn address_space_counts_and_is_told() {
    let temp = TemporaryFolder::new();
    let sweep = "sweep --model digits-mlp --placement SSS --skip-attacks --skip-party-memory";
    for limit in [250_000, 350_000, 420_000] {
        let ran = run_limited(
            &temp,
            &format!("ulimit -v {limit}"),
            &format!("{sweep} --out out"),
        );
        assert_refused(
            &ran,
            2,
            &["projected to take", "ulimit -v must be", "--force"],
        );
        assert!(temp.files("").is_empty(), "nothing is left of it");
    }
    let ran = run_limited(&temp, "ulimit -v 900000", &format!("{sweep} --out out"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told = ran
        .stderr
        .lines()
        .any(|line| line.starts_with("memory: ") && line.contains("ulimit -v leaves each process"));
    assert!(told, "{}", ran.stderr);
}

#[test]
fn files_that_memory_does_not_hold_are_refused() {
    let temp = TemporaryFolder::new();
    let sweep = "sweep --model digits-mlp --placement SSS";
    temp.write("taken/log.jsonl", "");
    let file = File::create(temp.path("taken/log.jsonl")).unwrap();
    // Space that is set apart is no hole.
    let length = 900 << 20;
    if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length).is_err() {
        eprintln!("skipped: this file system sets no space apart");
        return;
    }
    let ran = run_limited(&temp, "ulimit -v 600000", &format!("{sweep} --out taken"));
    assert_refused(
        &ran,
        6,
        &["not enough memory for taken/log.jsonl", "ulimit -v"],
    );
}

#[test]
fn a_lock_that_is_a_pipe_or_a_link_is_refused() {
    let temp = TemporaryFolder::new();
    fs::create_dir(temp.path("out")).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    let pipe = temp.path("out/.lock");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
    let ran = temp.run("sweep --model digits-mlp --placement CCC --out out");
    assert_refused(&ran, 3, &["out/.lock", "remove it"]);
    // Nor is another file emptied.
    fs::remove_file(&pipe).unwrap();
    temp.write("mine", "text");
    std::os::unix::fs::symlink("../mine", &pipe).unwrap();
    let ran = temp.run("sweep --model digits-mlp --placement CCC --out out");
    assert_refused(&ran, 3, &["out/.lock", "remove it"]);
    assert_eq!(temp.read("mine"), "text");
}

#[test]
fn where_memory_ends_workers_go_before_the_sweep_and_parties_before_workers() {
    let temp = TemporaryFolder::new();
    let mut sweep = temp.command("sweep --model digits-mlp --placement SCS --repeats 4 --out out");
    let mut sweep = sweep
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let score = |process: u32| -> Option<i32> {
        let text = fs::read_to_string(format!("/proc/{process}/oom_score_adj"));
        text.ok()?.trim().parse().ok()
    };
    let own = score(sweep.id()).unwrap();
    let (mut worker, mut party) = (own, own);
    while sweep.try_wait().unwrap().is_none() {
        for child in temporary_folder::children(sweep.id()) {
            worker = worker.max(score(child).unwrap_or(own));
            for grandchild in temporary_folder::children(child) {
                party = party.max(score(grandchild).unwrap_or(own));
            }
        }
        sleep(Duration::from_millis(1));
    }
    if own < 400 {
        assert_eq!((worker - own, party - own), (300, 600));
    }
    assert!(worker >= own && party >= worker);
    assert!(sweep.wait().unwrap().success());
}
