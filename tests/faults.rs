//! Faults: the sweep is killed, the disk fills, files are damaged or belong to something else. No
//! finished split is lost, and none appears that did not finish.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "desk/desk.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod desk;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Instant;

use desk::Desk;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::log::{self, Log, Record, Storage, VisitEnd};
use splitbench::row::Status;
use splitbench::visit::Visit;

/// Splits without look-ups, milliseconds each, so that kills hit between them as well as in them.
const SPLITS: &str = r#"{
    "name": "linear", "why": "Quick.", "model": "digits-mlp", "images": 2, "repeats": 2,
    "placements": ["CCC", "CCS", "SCC", "SCS"]
}"#;
const SWEEP: &str = "sweep --splits linear.json";
/// Kills in all, and in one folder.
const KILLS: usize = 24;
const KILLS_EACH: usize = 4;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("linear.json", SPLITS);
    desk
}

#[test]
fn a_sweep_that_is_killed_again_and_again_ends_with_the_same_rows() {
    let desk = desk();
    let start = Instant::now();
    desk.succeed(&format!("{SWEEP} --out whole"));
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
            let mut sweep = desk.command(&arguments);
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
            let log = fs::read(desk.path(&format!("{folder}/log.jsonl")));
            lengths.push(log.map_or(0, |log| log.len()));
        }
        desk.succeed(&arguments);
        desk.assert_same_rows(&folder, "whole", "after kills");
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() > 4, "kills at all stages: {lengths:?}");
}

#[test]
fn a_log_that_had_hardly_begun_is_begun_again() {
    let desk = desk();
    desk.succeed(&format!("{SWEEP} --out whole"));
    let log = desk.read("whole/log.jsonl");
    let first_line = log.find('\n').unwrap() + 1;
    for cut in [0, 1, 8, 9, 40, first_line - 1, first_line] {
        for option in ["", "--resume"] {
            desk.write("cut/log.jsonl", &log[..cut]);
            desk.succeed(&format!("{SWEEP} --out cut {option}"));
            desk.assert_same_rows("cut", "whole", &format!("cut at {cut} {option}"));
            fs::remove_dir_all(desk.path("cut")).unwrap();
        }
    }
    // Someone else's file of the same name is left alone.
    desk.write("foreign/log.jsonl", "a");
    desk.refuse(
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

/// Returns the records of a split and a half.
fn some_records() -> Vec<Record> {
    let visit = |letters: &str| Visit {
        placement: letters.parse().unwrap(),
        repeat: 0,
    };
    vec![
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
    let desk = desk();
    desk.succeed(&format!("{SWEEP} --out whole"));
    for blocks in [0, 1, 2, 4, 6, 8, 10, 12, 16, 40] {
        // Files may not grow beyond so many blocks: as good as a full disk.
        let program = env!("CARGO_BIN_EXE_splitbench");
        let limited =
            format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} {SWEEP} --out full");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &limited]).current_dir(desk.path(""));
        let ran = desk::Ran::from(command.output().unwrap());
        assert_eq!(ran.code, Some(6), "{blocks} blocks: {}", ran.stderr);
        let last_line = ran.stderr.lines().last().unwrap();
        assert!(last_line.starts_with("splitbench: cannot "), "{last_line}");
        assert!(last_line.contains("full/"), "{last_line}");
        desk.succeed(&format!("{SWEEP} --out full --resume"));
        desk.assert_same_rows("full", "whole", &format!("{blocks} blocks"));
        fs::remove_dir_all(desk.path("full")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let desk = desk();
    desk.succeed(&format!("{SWEEP} --out done"));
    let allow = |path: &str, mode| {
        fs::set_permissions(desk.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    let before = desk.files("");
    fs::create_dir(desk.path("locked")).unwrap();
    for (path, mode) in [("", 0o755), ("locked", 0o555), ("done", 0o555)] {
        allow(path, mode);
    }
    let is_root = fs::write(desk.path("locked/probe"), "").is_ok();
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
            .current_dir(desk.path(""));
        if is_root {
            // Permissions do not bind root.
            command.uid(65534).gid(65534);
        }
        let ran = desk::Ran::from(command.output().unwrap());
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
    fs::remove_dir_all(desk.path("locked")).unwrap();
    assert!(desk.files("") == before);
}

#[test]
fn what_is_not_this_sweep_is_refused_and_stays() {
    let desk = desk();
    desk.succeed(&format!("{SWEEP} --out done"));
    desk.write("file", "text");
    desk.copy("done", "damaged");
    let log = desk.read("done/log.jsonl");
    let middle = log.match_indices('\n').nth(4).unwrap().0 + 30;
    let mut bytes = log.into_bytes();
    bytes[middle] ^= 1;
    desk.write("damaged/log.jsonl", bytes);
    desk.copy("done", "retrained");
    desk.rewrite_log("retrained", r#""model_digest":""#, r#""model_digest":"00"#);
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
        desk.refuse(code, &format!("{SWEEP} {options}"), words);
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
