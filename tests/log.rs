//! Damage to the results log: whatever line is repeated, left out, moved or changed, the log is refused
//! by that line, and nothing but what a sweep measured is ever believed.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::fs;
use std::path::{Path, PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::record::history::visited;
use splitbench::record::log::line::{Chain, remains};
use splitbench::record::log::recover::Damage;
use splitbench::record::log::{self, Log, Record};
use splitbench::record::settings::Settings;
use temporary_folder::{LINEAR_SWEEP as SWEEP, TemporaryFolder};

/// A sweep's log.
struct Truth {
    temp: TemporaryFolder,
    /// Each with its newline.
    lines: Vec<Vec<u8>>,
    records: Vec<Record>,
}

/// What became of a damaged log.
struct Outcome {
    /// The line by which it was refused.
    line: Option<usize>,
    /// What was read of it, after recovery where it was refused.
    records: Vec<Record>,
}

impl Truth {
    fn new() -> Self {
        let temp = TemporaryFolder::linear();
        temp.succeed(&format!("{SWEEP} --out whole"));
        let lines = temp.read("whole/log.jsonl");
        let lines = lines.split_inclusive('\n');
        Self {
            lines: lines.map(|line| line.as_bytes().to_vec()).collect(),
            records: log::read(&temp.path("whole")).unwrap(),
            temp,
        }
    }

    fn settings(&self) -> &Settings {
        match &self.records[0] {
            Record::Settings(settings) => settings,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the lines in the older form.
    fn older(&self) -> Vec<Vec<u8>> {
        let lines = self.lines.iter().map(|line| {
            let json = remains(line).unwrap();
            format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes()
        });
        lines.collect()
    }

    /// Reads a log of these bytes, and where it is refused, recovers it.
    fn read(&self, text: &[u8]) -> Outcome {
        self.temp.write("damaged/log.jsonl", text);
        let folder = self.temp.path("damaged");
        let line = match log::read(&folder) {
            Ok(_) => None,
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("--recover"), "{error}");
                let line = error.split("log.jsonl: line ").nth(1).unwrap();
                Some(line.split(':').next().unwrap().parse().unwrap())
            }
        };
        let damage = Damage::find(&folder).unwrap();
        assert_eq!(damage.is_some(), line.is_some());
        if let Some(damage) = damage {
            let dropped = damage.mend(self.settings()).unwrap();
            assert_eq!(Some(dropped.fault.line), line);
            assert_eq!(fs::read(&dropped.kept).unwrap(), text);
            fs::remove_file(dropped.kept).unwrap();
        }
        let records = log::read(&folder).unwrap();
        Outcome { line, records }
    }

    /// Asserts that a damaged log is refused by a line, and that what stands before it is kept.
    fn assert_refused(&self, lines: &[Vec<u8>], line: usize, what: &str) {
        let outcome = self.read(&lines.concat());
        assert_eq!(outcome.line, Some(line), "{what}");
        // The settings of the sweep that goes on stand in for those that were lost.
        let kept = (line - 1).max(1);
        assert!(outcome.records == self.records[..kept], "{what}");
    }

    /// Returns the lines with another JSON in one of them, under the checksum that it should have.
    fn with_json(&self, index: usize, json: &str) -> Vec<Vec<u8>> {
        let mut chain = Chain::default();
        for line in &self.lines[..index] {
            chain.open(line).unwrap();
        }
        let mut lines = self.lines.clone();
        lines[index] = chain.seal(json).into_bytes();
        lines
    }
}

/// Returns a line in which one digit behind its head is another.
fn edited(line: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let start = line.iter().position(|&byte| byte == b'{').unwrap();
    let digits = (start..line.len()).filter(|&index| line[index].is_ascii_digit());
    let digits: Vec<usize> = digits.collect();
    let mut line = line.to_vec();
    let place = digits[random.random_range(0..digits.len())];
    line[place] = match line[place] {
        b'9' => b'8',
        digit => digit + 1,
    };
    line
}

#[test]
fn repeated_missing_moved_and_edited_lines_are_refused_by_line() {
    let truth = Truth::new();
    let count = truth.lines.len();
    assert_eq!(count, 34);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for index in 0..count {
        let number = index + 1;
        let mut repeated = truth.lines.clone();
        repeated.insert(index, truth.lines[index].clone());
        truth.assert_refused(&repeated, number + 1, &format!("line {number} repeated"));

        let mut missing = truth.lines.clone();
        missing.remove(index);
        if number < count {
            truth.assert_refused(&missing, number, &format!("line {number} missing"));
        } else {
            // It looks like a sweep that has not come so far.
            let outcome = truth.read(&missing.concat());
            assert_eq!((outcome.line, outcome.records.len()), (None, count - 1));
        }

        let mut changed = truth.lines.clone();
        changed[index] = edited(&truth.lines[index], &mut random);
        truth.assert_refused(&changed, number, &format!("line {number} edited"));
    }
    for first in 0..count {
        for second in first + 1..count {
            let mut moved = truth.lines.clone();
            moved.swap(first, second);
            let what = format!("lines {} and {} swapped", first + 1, second + 1);
            truth.assert_refused(&moved, first + 1, &what);
        }
    }
}

#[test]
fn an_edit_under_its_own_new_checksum_is_told_by_the_next_line() {
    let truth = Truth::new();
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for index in 0..truth.lines.len() - 1 {
        for _ in 0..10 {
            let line = edited(&truth.lines[index], &mut random);
            let lines = truth.with_json(index, remains(&line).unwrap());
            let outcome = truth.read(&lines.concat());
            let number = index + 1;
            // An edit that makes no sense is told at once.
            let is_told = [Some(number), Some(number + 1)].contains(&outcome.line);
            assert!(is_told, "line {number} edited: {:?}", outcome.line);
            let before = &truth.records[..index];
            assert!(outcome.records.starts_with(before) || index == 0);
        }
    }
}

#[test]
fn flipped_bits_and_random_edits_are_never_believed() {
    let truth = Truth::new();
    let text = truth.lines.concat();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let last = text.len() - 1;
    let flips = (0..200).map(|_| random.random_range(0..=last));
    let flips: Vec<usize> = flips.chain([0, last - 1, last]).collect();
    for place in flips {
        let mut flipped = text.clone();
        flipped[place] ^= 1 << random.random_range(0..8);
        let number = text[..place].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let outcome = truth.read(&flipped);
        // A last line without its newline is a torn one.
        let expected = (place != last).then_some(number);
        assert_eq!(outcome.line, expected, "bit in byte {place}");
        assert!(outcome.records == truth.records[..(number - 1).max(1)]);
    }
    for _ in 0..100 {
        let index = random.random_range(0..truth.lines.len());
        let mut lines = truth.lines.clone();
        let line = &mut lines[index];
        let place = random.random_range(0..line.len() - 1);
        match random.random_range(0..3) {
            0 => *line = edited(line, &mut random),
            1 => drop(line.remove(place)),
            _ => line.insert(place, b"0,\"}"[random.random_range(0..4)]),
        }
        // A repeated letter may stand where it stood.
        if lines != truth.lines {
            truth.assert_refused(&lines, index + 1, &format!("line {} edited", index + 1));
        }
    }
}

#[test]
fn a_line_torn_anywhere_is_cut_off() {
    let truth = Truth::new();
    let text = truth.lines.concat();
    for cut in (0..text.len()).step_by(7) {
        let outcome = truth.read(&text[..cut]);
        let whole = text[..cut].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(outcome.line, None, "cut at {cut}");
        assert!(outcome.records == truth.records[..whole], "cut at {cut}");
    }
}

#[test]
fn logs_of_the_older_form_are_read_and_gone_on_with_in_the_other() {
    let truth = Truth::new();
    truth.temp.write("older/log.jsonl", truth.older().concat());
    let folder = truth.temp.path("older");
    assert!(log::read(&folder).unwrap() == truth.records);
    let (_, records) = Log::resume(&folder).unwrap();
    assert!(records == truth.records);
    let resumed = fs::read(folder.join(log::FILE_NAME)).unwrap();
    assert!(
        resumed == truth.lines.concat(),
        "the same, in the other form"
    );

    // The same by the program, with visits left to make.
    let first: Vec<Vec<u8>> = truth.older().drain(..15).collect();
    truth.temp.write("half/log.jsonl", first.concat());
    truth.temp.succeed(&format!("{SWEEP} --out half --resume"));
    truth.temp.assert_same_rows("half", "whole", "gone on with");
    assert!(truth.temp.read("half/log.jsonl").starts_with("1 "));
    truth.temp.write("older/log.jsonl", truth.older().concat());
    truth.temp.succeed("merge older --out merged");
    truth.temp.assert_same_rows("merged", "whole", "merged");
}

/// Lines of the older form know nothing of each other: what their records tell is all there is.
#[test]
fn a_damaged_log_of_the_older_form_is_refused_or_tells_the_truth() {
    let truth = Truth::new();
    let older = truth.older();
    let measured = visited(&truth.records);
    let mut refused = 0;
    let mut check = |lines: Vec<Vec<u8>>, what: String| {
        let outcome = truth.read(&lines.concat());
        refused += usize::from(outcome.line.is_some());
        let told = visited(&outcome.records);
        assert!(told.iter().all(|visit| measured.contains(visit)), "{what}");
    };
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let count = older.len();
    for index in 0..count {
        let mut repeated = older.clone();
        repeated.insert(index, older[index].clone());
        check(repeated, format!("line {} repeated", index + 1));
        let mut missing = older.clone();
        missing.remove(index);
        check(missing, format!("line {} missing", index + 1));
        let mut changed = older.clone();
        changed[index] = edited(&older[index], &mut random);
        check(changed, format!("line {} edited", index + 1));
        for other in index + 1..count {
            let mut moved = older.clone();
            moved.swap(index, other);
            check(
                moved,
                format!("lines {} and {} swapped", index + 1, other + 1),
            );
        }
    }
    // But for a second environment that says the same, and the last line, all are seen.
    assert_eq!(refused, 3 * count + count * (count - 1) / 2 - 2);
}

#[test]
fn a_record_that_cannot_come_next_is_refused_under_the_right_checksum_too() {
    let truth = Truth::new();
    let reasons = [
        (1, r#""environment":"#, r#""settings":"#, "another version"),
        (
            2,
            r#""placement":""#,
            r#""placement":"C"#,
            "no placement in the settings",
        ),
        (2, r#""repeat":0"#, r#""repeat":2"#, "repeats are 2"),
        (
            3,
            r#""repeat":0"#,
            r#""repeat":1"#,
            "(repeat 1) in the visit of",
        ),
        (3, r#""image_index":0"#, r#""image_index":1"#, "image 1 of"),
        (3, r#""layers":["#, r#""layers":[[3,1.0],"#, "layer 3 of"),
        (
            5,
            r#""status":"ok""#,
            r#""status":"skipped""#,
            "no visit ends as skipped",
        ),
        (
            5,
            r#""status":"ok""#,
            r#""status":"mismatch""#,
            "0 samples outside",
        ),
        (
            5,
            r#""status":"ok""#,
            r#""status":"failed""#,
            "tells of its split",
        ),
        (
            5,
            r#""live_ciphertexts":["#,
            r#""live_ciphertexts":[[7,1],"#,
            "layer 7 of",
        ),
        (
            4,
            r#""encrypted_agreement":true"#,
            r#""encrypted_agreement":false"#,
            "",
        ),
    ];
    for (index, word, by, reason) in reasons {
        let json = remains(&truth.lines[index]).unwrap();
        let changed = json.replacen(word, by, 1).replace("[3,1.0],]", "[3,1.0]]");
        let changed = changed.replace("[7,1],]", "[7,1]]");
        assert_ne!(changed, json, "{word}");
        let text = truth.with_json(index, &changed).concat();
        truth.temp.write("changed/log.jsonl", text);
        let error = log::read(&truth.temp.path("changed"))
            .unwrap_err()
            .to_string();
        let line = if reason.is_empty() {
            index + 2
        } else {
            index + 1
        };
        assert!(error.contains(&format!("line {line}: ")), "{by}: {error}");
        assert!(error.contains(reason), "{by}: {error}");
    }
}

#[test]
fn a_damaged_sweep_is_recovered_on_request_and_ends_with_the_same_rows() {
    let truth = Truth::new();
    let temp = &truth.temp;
    for (index, line) in [0, 4, 12, 33].into_iter().enumerate() {
        let folder = format!("damaged-{index}");
        let mut lines = truth.lines.clone();
        let place = lines[line].len() / 2;
        lines[line][place] ^= 1;
        temp.write(&format!("{folder}/log.jsonl"), lines.concat());
        let named = format!("log.jsonl: line {}: ", line + 1);
        for option in ["", "--resume", "--retry"] {
            temp.refuse(
                3,
                &format!("{SWEEP} --out {folder} {option}"),
                &[&named, "checksum", "--recover", "another folder"],
            );
        }
        let ran = temp.succeed(&format!("{SWEEP} --out {folder} --recover"));
        let told = ran.stderr.lines().next().unwrap();
        let dropped = truth.lines.len() - line;
        for word in [
            &named,
            &format!("dropped {dropped} line"),
            "log.jsonl.damaged",
        ] {
            assert!(told.contains(word), "{told}");
        }
        // Its last line is the end of a visit of the second round.
        assert!(told.contains("(repeat 1)"), "{told}");
        temp.assert_same_rows(&folder, "whole", "recovered");
        let kept = fs::read(temp.path(&format!("{folder}/log.jsonl.damaged"))).unwrap();
        assert!(kept == lines.concat());
        // A sound log is left as it is.
        let before = temp.read(&format!("{folder}/log.jsonl"));
        temp.succeed(&format!("{SWEEP} --out {folder} --recover"));
        assert_eq!(temp.read(&format!("{folder}/log.jsonl")), before);
    }
    // What was kept once is not overwritten.
    temp.write("damaged-1/log.jsonl", truth.lines[1..].concat());
    temp.succeed(&format!("{SWEEP} --out damaged-1 --recover"));
    let second = temp.read("damaged-1/log.jsonl.damaged-2");
    assert!(second.as_bytes() == truth.lines[1..].concat());
}

#[test]
fn what_is_not_this_sweep_is_not_recovered() {
    let truth = Truth::new();
    let temp = &truth.temp;
    temp.write("foreign/log.jsonl", "{\"a\": 1}\nb\n");
    let mut lines = truth.lines.clone();
    lines.swap(5, 6);
    temp.write("other/log.jsonl", lines.concat());
    let recover = format!("{SWEEP} --recover --out");
    temp.refuse(
        2,
        &format!("{recover} foreign"),
        &["foreign/log.jsonl", "--out"],
    );
    temp.refuse(
        2,
        &format!("{recover} other --seed 7"),
        &["its seed is 0, not 7"],
    );
}

#[test]
fn damaged_logs_that_were_once_believed_are_refused_by_line() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    let data = std::env::var_os("SPLITBENCH_DATA").map(PathBuf::from);
    let folder = data.map_or(beside, |data| data.join("cases"));
    let folder = folder.join("hostile/log");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: no cases in {}", folder.display());
        return;
    };
    let temp = TemporaryFolder::new();
    let mut count = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        temp.write("hostile/log.jsonl", fs::read(&path).unwrap());
        let refused = log::read(&temp.path("hostile")).map(|_| ());
        let error = refused.expect_err(&path.display().to_string()).to_string();
        assert!(error.contains("hostile/log.jsonl: line "), "{error}");
        temp.refuse(
            3,
            "merge hostile --out all",
            &["log.jsonl: line ", "--recover"],
        );
        count += 1;
    }
    assert!(count >= 10, "{count} cases");
}

#[test]
fn the_results_that_come_with_the_program_are_sound() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let folders = fs::read_dir(results).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let with_log = folders.filter(|folder| folder.join(log::FILE_NAME).exists());
    let ends = with_log.map(|folder| visited(&log::read(&folder).unwrap()).len());
    let ends: Vec<usize> = ends.collect();
    assert!(ends.len() >= 7 && !ends.contains(&0), "{ends:?}");
}
