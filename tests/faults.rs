//! Faults: signals come, the disk fills, files are damaged or belong to something else. No
//! finished split is lost, and none appears that did not finish.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::record::environment::Environment;
use splitbench::record::finished::Sample;
use splitbench::record::learnt::Learnt;
use splitbench::record::log::{self, Log, Record, Storage, VisitEnd};
use splitbench::record::row::Status;
use splitbench::record::settings::Settings;
#[cfg(unix)]
use splitbench::record::stage::Begin;
use splitbench::record::visit::Visit;
#[cfg(unix)]
use splitbench::sweep::advance::Advance;
use splitbench::sweep::watch::{Ended, Limits, Listener, watch};
use splitbench::sweep::worker::Job;
use temporary_folder::{LINEAR_SWEEP as SWEEP, Ran, TemporaryFolder};

#[test]
fn a_log_that_had_hardly_begun_is_begun_again() {
    let temp = TemporaryFolder::linear();
    temp.succeed(&format!("{SWEEP} --out whole"));
    let log = temp.read("whole/log.jsonl");
    let first_line = log.find('\n').unwrap() + 1;
    for cut in [0, 1, 8, 9, 40, first_line - 1, first_line] {
        for option in ["", "--resume"] {
            temp.write("cut/log.jsonl", &log[..cut]);
            temp.succeed(&format!("{SWEEP} --out cut {option}"));
            temp.assert_same_rows("cut", "whole", &format!("cut at {cut} {option}"));
            fs::remove_dir_all(temp.path("cut")).unwrap();
        }
    }
    // Someone else's file of the same name is left alone.
    temp.write("foreign/log.jsonl", "a");
    temp.refuse(
        2,
        &format!("{SWEEP} --out foreign --resume"),
        &["foreign is no results folder"],
    );
}

/// A disk that fails.
struct Failing {
    written: Vec<u8>,
    /// Bytes that it takes.
    room: usize,
    /// Bytes that it takes at once.
    most: usize,
    /// Interrupts every so many calls.
    interrupts: usize,
    calls: usize,
    fails_to_sync: bool,
}

impl Failing {
    fn with_room(room: usize) -> Self {
        Self {
            written: Vec::new(),
            room,
            most: usize::MAX,
            interrupts: usize::MAX,
            calls: 0,
            fails_to_sync: false,
        }
    }
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(self.interrupts) {
            return Err(ErrorKind::Interrupted.into());
        }
        let taken = bytes
            .len()
            .min(self.most)
            .min(self.room - self.written.len());
        if taken == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.written.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Failing {
    fn sync(&mut self) -> io::Result<()> {
        if self.fails_to_sync {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// Returns the settings of two splits.
fn settings() -> Settings {
    let settings = serde_json::json!({
        "name": "two", "model": "m", "model_digest": "0", "placements": ["CSC", "SSS"],
        "images": 1, "repeats": 1, "seed": 0, "parameters": "auto", "step_noise": 0.5,
        "log2_p_fail_lookup": -64.0, "download": "plain",
        "cost": {"rotation_ns": 1.0, "keyswitch_ns": 1.0}
    });
    serde_json::from_value(settings).unwrap()
}

/// Returns the records of a split and a half.
fn some_records() -> Vec<Record> {
    let visit = |letters: &str| Visit {
        placement: letters.parse().unwrap(),
        repeat: 0,
    };
    vec![
        Record::Settings(settings()),
        Record::Environment(Environment::default()),
        Record::Start(visit("CSC")),
        Record::End(VisitEnd {
            visit: visit("CSC"),
            status: Status::Failed,
            reason: Some("a \"reason\"\nof two lines".into()),
            stages: Vec::new(),
            calibration_s: None,
            finished: None,
        }),
        Record::Start(visit("SSS")),
    ]
}

/// Appends records while that works, then tries once more, and returns how many were taken and what
/// the disk holds.
fn append_all(storage: Failing) -> (usize, Vec<u8>) {
    let mut log = Log::on(Path::new("log.jsonl"), storage);
    let records = some_records();
    let taken = records
        .iter()
        .take_while(|record| log.append(record).is_ok())
        .count();
    if taken < records.len() {
        // What was to be freed in between does not help: half a line may stand there.
        let error = log.append(&records[0]).unwrap_err().to_string();
        assert!(error.contains("cannot write log.jsonl"), "{error}");
    }
    (taken, log.into_storage().written)
}

#[test]
fn a_disk_that_is_full_after_any_byte_leaves_whole_records_only() {
    let records = some_records();
    let (taken, whole) = append_all(Failing::with_room(usize::MAX));
    assert_eq!(taken, records.len());
    let folder = tempfile::tempdir().unwrap();
    for room in 0..=whole.len() {
        for most in [usize::MAX, 7, 1] {
            let (taken, written) = append_all(Failing {
                most,
                ..Failing::with_room(room)
            });
            assert_eq!(written, whole[..room], "no byte behind the failure");
            fs::write(folder.path().join(log::FILE_NAME), &written).unwrap();
            let read = log::read(folder.path()).unwrap();
            assert_eq!(read, records[..taken], "room for {room}, {most} at once");

            let (mut log, resumed) = Log::resume(folder.path()).unwrap();
            assert_eq!(resumed, read);
            records[taken..]
                .iter()
                .for_each(|record| log.append(record).unwrap());
            let after = fs::read(folder.path().join(log::FILE_NAME)).unwrap();
            assert_eq!(after, whole, "room for {room}, {most} at once");
        }
    }
}

#[test]
fn short_and_interrupted_writes_are_gone_on_with() {
    let (_, whole) = append_all(Failing::with_room(usize::MAX));
    for most in 1..=64 {
        for interrupts in [2, 3, 5] {
            let (taken, written) = append_all(Failing {
                most,
                interrupts,
                ..Failing::with_room(usize::MAX)
            });
            assert_eq!((taken, written), (some_records().len(), whole.clone()));
        }
    }
}

#[test]
fn a_record_that_the_disk_did_not_confirm_is_not_counted() {
    let (taken, written) = append_all(Failing {
        fails_to_sync: true,
        ..Failing::with_room(usize::MAX)
    });
    assert_eq!(taken, 0);
    assert_eq!(written.iter().filter(|&&byte| byte == b'\n').count(), 1);
}

#[cfg(unix)]
#[test]
fn a_sweep_on_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let temp = TemporaryFolder::linear();
    temp.succeed(&format!("{SWEEP} --out whole"));
    for blocks in [0, 1, 2, 4, 6, 8, 10, 12, 16, 40] {
        // Files may not grow beyond so many blocks: as good as a full disk.
        let program = env!("CARGO_BIN_EXE_splitbench");
        let limited =
            format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} {SWEEP} --out full");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &limited]).current_dir(temp.path(""));
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, Some(6), "{blocks} blocks: {}", ran.stderr);
        let last_line = ran.stderr.lines().last().unwrap();
        assert!(last_line.starts_with("splitbench: cannot "), "{last_line}");
        assert!(last_line.contains("full/"), "{last_line}");
        temp.succeed(&format!("{SWEEP} --out full --resume"));
        temp.assert_same_rows("full", "whole", &format!("{blocks} blocks"));
        fs::remove_dir_all(temp.path("full")).unwrap();
    }
}

/// Waits until a sweep's log holds so many lines; returns whether the sweep still runs.
#[cfg(unix)]
fn has_lines(temp: &TemporaryFolder, log: &str, lines: usize, sweep: &mut Child) -> bool {
    let count = || fs::read_to_string(temp.path(log)).map_or(0, |log| log.lines().count());
    while sweep.try_wait().unwrap().is_none() {
        if count() >= lines {
            return true;
        }
        sleep(Duration::from_millis(2));
    }
    false
}

/// Starts a sweep whose standard error is kept, at the head of a process group.
#[cfg(unix)]
fn start_group(temp: &TemporaryFolder, arguments: &str) -> Child {
    use std::os::unix::process::CommandExt;
    let mut sweep = temp.command(arguments);
    sweep.stdout(Stdio::piped()).stderr(Stdio::piped());
    sweep.process_group(0).spawn().unwrap()
}

#[cfg(unix)]
#[test]
fn signals_that_ask_for_an_end_leave_no_split_as_failed() {
    let temp = TemporaryFolder::linear();
    let mut random = ChaCha8Rng::seed_from_u64(21);
    let (mut stopped, mut index) = (0, 0);
    while stopped < 12 {
        // To the sweep alone, and to its workers too.
        for (signal, group) in [("TERM", ""), ("TERM", "-"), ("INT", "-"), ("HUP", "-")] {
            let folder = format!("stopped-{index}");
            index += 1;
            let lines = random.random_range(3..20);
            let mut sweep = start_group(&temp, &format!("{SWEEP} --out {folder}"));
            let id = sweep.id();
            if !has_lines(&temp, &format!("{folder}/log.jsonl"), lines, &mut sweep) {
                continue;
            }
            sleep(Duration::from_millis(random.random_range(0..60)));
            let kill = format!("kill -{signal} {group}{id}");
            let mut shell = std::process::Command::new("sh");
            let is_sent = shell.args(["-c", &kill]).status().unwrap().success();
            let ran = Ran::from(sweep.wait_with_output().unwrap());
            if !is_sent {
                continue;
            }
            let statuses = temp.column(&folder, "status");
            let words = ["ok", "partial", "skipped"];
            let is_right = statuses.iter().all(|status| words.contains(&&**status));
            assert!(is_right, "{kill}: {statuses:?} {}", ran.stderr);
            if ran.code == Some(0) {
                continue;
            }
            assert_eq!(ran.code, Some(130), "{kill}: {}", ran.stderr);
            stopped += 1;
        }
        assert!(index < 100, "signals reach running sweeps");
    }
}

/// Hears nothing, and stops when told to.
#[cfg(unix)]
struct Until<'a>(&'a dyn Fn() -> bool);

#[cfg(unix)]
impl Listener for Until<'_> {
    fn sample(&mut self, _: Sample) -> splitbench::core::error::Result<()> {
        Ok(())
    }

    fn begin(&mut self, _: Begin) {}

    fn advance(&mut self, _: &Advance) {}

    fn stop(&self) -> bool {
        (self.0)()
    }
}

#[cfg(unix)]
#[test]
fn a_worker_that_is_ended_alone_is_a_failed_visit() {
    use std::os::unix::fs::PermissionsExt;

    let temp = TemporaryFolder::new();
    // A worker that ends as if it had been told to.
    temp.write("worker", "#!/bin/sh\nkill -TERM $$\n");
    let worker = temp.path("worker");
    fs::set_permissions(&worker, fs::Permissions::from_mode(0o755)).unwrap();
    let Some(Record::Start(visit)) = some_records().into_iter().nth(2) else {
        panic!("a visit begins");
    };
    let settings = settings();
    let known = Learnt::default();
    let job = Job {
        settings,
        visit,
        known,
    };
    let watched = |stop: &dyn Fn() -> bool| {
        watch(&worker, &job, Limits::default(), &mut Until(stop)).unwrap()
    };
    let start = Instant::now();
    let late = || start.elapsed() > Duration::from_millis(500);
    assert_eq!(watched(&late), Ended::Stopped);
    let Ended::Broken { status, reason } = watched(&|| false) else {
        panic!("the visit is broken");
    };
    assert_eq!(status, Status::Failed);
    assert!(reason.contains("SIGTERM"), "{reason}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_vanishes_while_the_sweep_runs_is_told_at_the_next_line() {
    let temp = TemporaryFolder::linear();
    let whole = "whole";
    temp.succeed(&format!("{SWEEP} --out {whole}"));
    for taken in ["removed", "moved", "replaced"] {
        let mut sweep = start_group(&temp, &format!("{SWEEP} --repeats 40 --out out"));
        assert!(has_lines(&temp, "out/log.jsonl", 4, &mut sweep));
        match taken {
            // Drafts may come up while it is removed.
            "removed" => while fs::remove_dir_all(temp.path("out")).is_err() {},
            _ => fs::rename(temp.path("out"), temp.path("away")).unwrap(),
        }
        if taken == "replaced" {
            temp.copy(whole, "out");
        }
        let before = temp.files("");
        let ran = Ran::from(sweep.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(6), "{taken}: {}", ran.stderr);
        let last_line = ran.stderr.lines().last().unwrap();
        for word in ["cannot write out/log.jsonl", "--resume", "--out"] {
            assert!(last_line.contains(word), "{taken}: {last_line}");
        }
        let out = |files: BTreeMap<String, Vec<u8>>| {
            let files = files.into_iter();
            let files = files.filter(|(name, _)| name.starts_with("out/"));
            files.collect::<Vec<_>>()
        };
        assert!(out(temp.files("")) == out(before), "{taken}: files changed");
        if taken == "moved" {
            // Put back, it goes on.
            fs::rename(temp.path("away"), temp.path("out")).unwrap();
            log::read(&temp.path("out")).unwrap();
            fs::rename(temp.path("out"), temp.path("away")).unwrap();
        }
        let _ = fs::remove_dir_all(temp.path("out"));
        let _ = fs::remove_dir_all(temp.path("away"));
    }
}

#[test]
fn drafts_that_a_kill_left_are_gone_after_the_next_run() {
    let temp = TemporaryFolder::linear();
    temp.write("out/.tmpAbCdE1", "half");
    temp.succeed(&format!("{SWEEP} --out out"));
    temp.write("out/.tmpAbCdE2", "half");
    temp.write("out/charts/.tmpAbCdE3", "half");
    temp.write("out/.tmp-mine", "whole");
    temp.succeed(&format!("{SWEEP} --out out --resume"));
    let files = temp.files("out").into_keys();
    let hidden: Vec<String> = files.filter(|name| name.contains(".tmp")).collect();
    assert_eq!(hidden, ["out/.tmp-mine"]);
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let temp = TemporaryFolder::linear();
    temp.succeed(&format!("{SWEEP} --out done"));
    let allow = |path: &str, mode| {
        fs::set_permissions(temp.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    let before = temp.files("");
    fs::create_dir(temp.path("locked")).unwrap();
    for (path, mode) in [("", 0o755), ("locked", 0o555), ("done", 0o555)] {
        allow(path, mode);
    }
    let is_root = fs::write(temp.path("locked/probe"), "").is_ok();
    // A copy that others may run: the build folder may be private.
    let program = tempfile::tempdir().unwrap();
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = program.path().join("splitbench");
    fs::copy(env!("CARGO_BIN_EXE_splitbench"), &binary).unwrap();
    for folder in ["locked/new", "done --resume"] {
        let mut command = std::process::Command::new(&binary);
        command.args(SWEEP.split_whitespace()).arg("--out");
        command
            .args(folder.split_whitespace())
            .current_dir(temp.path(""));
        if is_root {
            // Permissions do not bind root.
            command.uid(65534).gid(65534);
        }
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, Some(6), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("cannot write ") && ran.stderr.contains("--out"),
            "{}",
            ran.stderr
        );
    }
    allow("locked", 0o755);
    allow("done", 0o755);
    fs::remove_dir_all(temp.path("locked")).unwrap();
    assert!(temp.files("") == before);
}

#[test]
fn what_is_not_this_sweep_is_refused_and_stays() {
    let temp = TemporaryFolder::linear();
    temp.succeed(&format!("{SWEEP} --out done"));
    temp.write("file", "text");
    temp.copy("done", "damaged");
    let log = temp.read("done/log.jsonl");
    let middle = log.match_indices('\n').nth(4).unwrap().0 + 30;
    let mut bytes = log.into_bytes();
    bytes[middle] ^= 1;
    temp.write("damaged/log.jsonl", bytes);
    temp.copy("done", "retrained");
    temp.rewrite_log("retrained", r#""model_digest":""#, r#""model_digest":"00"#);
    let refused: [(i32, &str, &[&str]); 8] = [
        (6, "--out file", &["cannot write file", "--out"]),
        (6, "--out file/below", &["cannot write file/below", "--out"]),
        (
            2,
            "--out done --resume --model digits-cnn --placement CCCCC",
            &["done holds a sweep", "its model is"],
        ),
        (
            2,
            "--out done --resume --parameters fast",
            &["its parameters is \"auto\", not \"fast\"", "--out"],
        ),
        (
            2,
            "--out done --resume --log2-p-fail -40",
            &["its log2_p_fail_lookup is -64.0, not -40.0"],
        ),
        (
            2,
            "--out done --resume --shard 1/2",
            &["its shard is null, not \"1/2\"", "--out"],
        ),
        (
            2,
            "--out retrained --resume",
            &["its model_digest is \"00", "--out"],
        ),
        (
            3,
            "--out damaged --resume",
            &["damaged/log.jsonl: line 6", "checksum", "another folder"],
        ),
    ];
    for (code, options, words) in refused {
        temp.refuse(code, &format!("{SWEEP} {options}"), words);
    }
}

#[test]
fn the_wrong_cpu_is_told_in_one_line() {
    let missing = "avx512f, avx512vnni".into();
    let error = splitbench::Error::WrongCpu { missing };
    let text = error.to_string();
    assert!(
        text.lines().count() == 1 && text.contains("avx512vnni"),
        "{text}"
    );
    assert_eq!(error.exit_code(), 6);
}
