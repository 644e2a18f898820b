//! Copies of the splits of a results folder, as a person asks for them.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use temporary_folder::TemporaryFolder;

/// A sweep without a look-up: two linear segments.
const SWEEP: &str =
    "sweep --model digits-mlp --placement CCC --placement SCS --placement CCS --images 1 --quick";

fn swept() -> TemporaryFolder {
    let temp = TemporaryFolder::new();
    temp.succeed(&format!("{SWEEP} --out results"));
    temp
}

/// Returns the table without times.
fn copies(temp: &TemporaryFolder) -> Vec<BTreeMap<String, String>> {
    let mut rows = temp.rows("results/copies.csv");
    for row in &mut rows {
        row.remove("copy_s");
    }
    rows
}

#[test]
fn an_attack_that_goes_on_leaves_what_one_attack_does() {
    let attack = "attack results --seeds 2 --replay 4 --queries";
    let (once, twice) = (swept(), swept());
    let ran = once.succeed(&format!("{attack} 10,100"));
    assert!(
        ran.stdout.contains("answered within the error model"),
        "{}",
        ran.stdout
    );
    twice.succeed(&format!("{attack} 10"));
    twice.succeed(&format!("{attack} 10,100"));
    assert_eq!(copies(&once), copies(&twice));
    let rows = copies(&once);
    assert_eq!(
        rows.len(),
        4,
        "two splits with a server, two numbers of queries"
    );
    for row in &rows {
        let agreement: f64 = row["copy_agreement"].parse().unwrap();
        let enough = if row["queries"] == "100" { 0.95 } else { 0.0 };
        assert!((enough..=1.0).contains(&agreement), "{row:?}");
        assert_eq!((&*row["seeds"], &*row["reason"]), ("2", ""));
    }
    let log = once.read("results/log.jsonl");
    let table = once.read("results/copies.csv");
    once.succeed(&format!("{attack} 10,100"));
    assert_eq!(
        once.read("results/log.jsonl"),
        log,
        "nothing is learnt twice"
    );
    assert_eq!(once.read("results/copies.csv"), table);
    once.succeed(&format!("{SWEEP} --out results --resume"));
    assert_eq!(
        once.read("results/copies.csv"),
        table,
        "a sweep that goes on keeps copies"
    );
}

#[test]
fn a_sweep_learns_copies_of_what_it_did_not_find() {
    let temp = TemporaryFolder::new();
    let sweep = "sweep --model digits-mlp --placement SSS --placement CCS --images 1 --attack-budget 3s --out results";
    let ran = temp.succeed(sweep);
    let rows = copies(&temp);
    let [row] = &rows[..] else {
        panic!("CCS is known to give all away: {rows:?}");
    };
    assert_eq!((&*row["placement"], &*row["queries"]), ("SSS", "1000"));
    // A slow machine learns none in the time.
    match row["copy_agreement"].parse::<f64>() {
        Ok(agreement) => assert!((0.9..=1.0).contains(&agreement), "{row:?}"),
        Err(_) => assert!(row["reason"].contains("splitbench attack"), "{row:?}"),
    }
    assert!(ran.stderr.contains("SSS  1000 queries"), "{}", ran.stderr);
    let quick =
        temp.succeed(&sweep.replace("--attack-budget 3s --out results", "--quick --out quick"));
    assert!(!quick.stderr.contains("queries"), "{}", quick.stderr);
    assert!(!temp.path("quick/copies.csv").exists());
}

#[test]
fn columns_are_documented() {
    let temp = swept();
    temp.succeed("attack results --queries 10 --seeds 1 --replay 0 --budget 0s");
    let text = temp.read("results/copies.csv");
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let columns = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/COLUMNS.md");
    let columns = fs::read_to_string(columns).unwrap();
    let section = columns.split("## copies.csv\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: Vec<&str> = cells.map(|(name, _)| name).collect();
    assert_eq!(documented, header);
    for row in copies(&temp) {
        assert_eq!(
            (&*row["copy_agreement"], &*row["queries_until_90"]),
            ("", "")
        );
        assert!(row["reason"].contains("--budget"), "{row:?}");
    }
}

#[test]
fn what_cannot_be_attacked_is_named() {
    let temp = swept();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits-mlp");
    for entry in fs::read_dir(model).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        temp.write(
            &format!("other/{}", entry.file_name().to_string_lossy()),
            bytes,
        );
    }
    let json = temp
        .read("other/model.json")
        .replace("Two dense", "2 dense");
    temp.write("other/model.json", json);
    for (arguments, code, words) in [
        ("attack nowhere", 3, "log.jsonl"),
        ("attack results --queries 1", 2, "--queries 1"),
        ("attack results --seeds 0", 2, "--seeds 0"),
        ("attack results --placement SSS", 2, "--placement SSS"),
        ("attack results --placement SS", 2, "SS"),
        ("attack results --model other", 3, "digest"),
        ("attack results --model digits-cnn", 3, "digest"),
    ] {
        temp.refuse(code, arguments, &[words]);
    }
}

#[test]
fn a_choice_may_ask_how_far_copies_agree() {
    let temp = swept();
    let ask = "choose results --max-exposure 100% --max-copy-agreement";
    temp.refuse(3, &format!("{ask} 90%"), &["splitbench attack results"]);
    temp.succeed("attack results --queries 10,1000 --seeds 1 --replay 0");
    temp.refuse(3, &format!("{ask} 90% --queries 100"), &["10, 1000"]);
    let all = temp.succeed(&format!("{ask} 100%"));
    assert!(
        all.stdout.contains("copies agree in 100.0 %"),
        "{}",
        all.stdout
    );
    let few = temp.succeed(&format!("{ask} 80% --queries 10"));
    assert!(
        few.stdout.contains("take SCS") || few.stdout.contains("take CCS"),
        "{}",
        few.stdout
    );
    let none = temp.run(&format!("{ask} 50%"));
    assert_eq!(none.code, Some(7), "{}", none.stderr);
    let words = "--max-copy-agreement excludes 3 of 3";
    assert!(none.stderr.contains(words), "{}", none.stderr);
}
