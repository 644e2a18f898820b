//! Sweeps in shards, and their merge.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::fs;

use fs4::fs_std::FileExt;
use temporary_folder::TemporaryFolder;

/// Four splits without look-ups, so that a sweep takes a fraction of a second.
const SWEEP: &str = "sweep --model digits-mlp --placement SCS CCC SCC CCS --images 2";

/// Returns a folder with the three shards of the sweep where they lie by default.
fn with_shards() -> TemporaryFolder {
    let temp = TemporaryFolder::new();
    for index in 1..=3 {
        temp.succeed(&format!("{SWEEP} --shard {index}/3"));
    }
    temp
}

fn shard(index: usize) -> String {
    format!("results/digits-mlp/shard-{index}-of-3")
}

#[test]
fn merged_shards_are_the_rows_of_one_sweep() {
    let temp = with_shards();
    temp.succeed(&format!("{SWEEP} --out whole"));
    // Sorted, every third: the order on the command line is that of the whole alone.
    assert_eq!(temp.column(&shard(1), "placement"), ["CCC", "SCS"]);
    assert_eq!(temp.column(&shard(3), "placement"), ["SCC"]);

    let named = format!("merge {} {} {}", shard(3), shard(1), shard(2));
    temp.succeed(&format!("{named} --out named"));
    let ran = temp.succeed("merge results/digits-mlp --out results/all");
    assert!(
        ran.stdout.contains("results/all/splits.csv"),
        "{}",
        ran.stdout
    );
    for merged in ["named", "results/all"] {
        temp.assert_same_rows(merged, "whole", "merged");
        let names = |folder: &str| {
            let files = temp.files(folder).into_keys();
            let names = files.map(|name| name[folder.len()..].to_owned());
            names.filter(|name| name != "/.lock").collect::<Vec<_>>()
        };
        assert_eq!(names(merged), names("whole"));
    }
    let environment: serde_json::Value =
        serde_json::from_str(&temp.read("results/all/environment.json")).unwrap();
    let environments = environment["environments"].as_array().unwrap();
    assert_eq!(environments.len(), 3, "each shard had a command of its own");
    let of_rows = temp.column("results/all", "environment");
    for described in environments {
        let digest = described["digest"].as_str().unwrap();
        assert!(of_rows.iter().any(|of_row| of_row == digest), "{digest}");
    }
    assert_eq!(environment["settings"]["shard"], serde_json::Value::Null);

    // The merged folder is one like any other: a sweep goes on with it, and has nothing to do.
    temp.succeed(&format!("{SWEEP} --out named --resume"));
    temp.assert_same_rows("named", "whole", "resumed");
    assert_eq!(
        temp.read("named/log.jsonl"),
        temp.read("results/all/log.jsonl")
    );
}

#[test]
fn a_shard_is_resumed_as_that_shard_only() {
    let temp = with_shards();
    let out = format!("--out {}", shard(1));
    temp.succeed(&format!("{SWEEP} --shard 1/3 {out} --resume"));
    for (arguments, words) in [
        (
            format!("{SWEEP} --shard 2/3 {out} --resume"),
            ["its shard is \"1/3\", not \"2/3\"", "--out"],
        ),
        (
            format!("{SWEEP} {out} --resume"),
            ["its shard is \"1/3\", not null", "--out"],
        ),
        (
            format!("{SWEEP} --shard 1/3"),
            ["--resume", "2 of 2 splits done"],
        ),
        (
            format!("{SWEEP} --shard 5/5"),
            ["shard 5/5 is empty", "at most 4 shards"],
        ),
        (
            format!("{SWEEP} --shard 0/3"),
            ["\"0/3\" is no shard", "1/3"],
        ),
    ] {
        temp.refuse(2, &arguments, &words);
    }
}

#[test]
fn parts_that_do_not_go_together_are_refused() {
    let temp = with_shards();
    let (first, second) = (shard(1), shard(2));
    temp.succeed(&format!("{SWEEP} --seed 7 --shard 2/3 --out seeded"));
    temp.succeed("sweep --model digits-cnn --placement CCCCC --out cnn");
    temp.succeed(&format!("{SWEEP} --shard 1/3 --out again"));
    temp.copy(&second, "old");
    temp.rewrite_log(
        "old",
        r#""splitbench_version":""#,
        r#""splitbench_version":"0.0.0-"#,
    );
    temp.copy(&second, "damaged");
    let log = temp.read("damaged/log.jsonl");
    temp.write("damaged/log.jsonl", log.replacen("\"CCS\"", "\"CSS\"", 2));
    temp.copy(&second, "empty");
    temp.write("empty/log.jsonl", "");
    temp.copy(&first, "both");
    temp.copy(&first, "both/shard-1-of-3");
    temp.write("other/notes.txt", "text");
    let refused = [
        (
            2,
            format!("merge {first} seeded"),
            ["seeded does not go with", "its seed is 7, not 0"],
        ),
        (
            2,
            format!("merge {first} cnn"),
            ["cnn does not go with", "its model_digest is"],
        ),
        (
            2,
            format!("merge {first} old"),
            ["old does not go with", "its splitbench_version"],
        ),
        (
            2,
            format!("merge {first} again"),
            ["SCS ended both in", "leave one of the folders out"],
        ),
        (
            2,
            format!("merge {first} {second}"),
            ["1 of 4 placements have not ended: SCC", "--partial"],
        ),
        (
            2,
            "merge both".into(),
            [
                "both holds a sweep of its own and shards",
                "name the folders",
            ],
        ),
        (
            3,
            format!("merge {first} damaged"),
            ["damaged/log.jsonl: line", "checksum"],
        ),
        (
            3,
            format!("merge {first} empty"),
            ["empty/log.jsonl", "--resume"],
        ),
        (
            3,
            format!("merge {first} other"),
            ["other: holds neither log.jsonl", "splitbench sweep"],
        ),
        (
            3,
            format!("merge {first} gone"),
            ["cannot read gone", "No such file"],
        ),
    ];
    for (code, arguments, words) in refused {
        temp.refuse(code, &format!("{arguments} --out all"), &words);
    }
    temp.refuse(
        2,
        &format!("merge {first} --out other"),
        &["other is there already", "--out"],
    );
}

#[test]
fn a_missing_shard_is_skipped_rows_where_that_is_wanted() {
    let temp = with_shards();
    temp.succeed(&format!("{SWEEP} --out whole"));
    let two = format!("merge {} {}", shard(1), shard(2));
    let told = temp.succeed(&format!("{two} --partial --out part")).stderr;
    let missing = "merging without the rest: 1 of 4 placements have not ended: SCC\n";
    assert_eq!(told, missing);
    assert_eq!(
        temp.column("part", "placement"),
        ["SCS", "CCC", "SCC", "CCS"]
    );
    assert_eq!(temp.column("part", "status"), ["ok", "ok", "skipped", "ok"]);

    // What is missing can run in the merged folder.
    temp.succeed(&format!("{SWEEP} --out part --resume"));
    temp.assert_same_rows("part", "whole", "completed");
}

#[test]
fn the_same_split_twice_is_no_matter_if_it_is_the_same_run() {
    let temp = with_shards();
    temp.copy(&shard(1), "copy");
    temp.succeed("merge copy results/digits-mlp --out all");
    assert_eq!(temp.column("all", "status"), ["ok"; 4]);
}

#[test]
fn splits_that_failed_are_merged_and_told() {
    let temp = TemporaryFolder::new();
    let sweep = "sweep --model digits-mlp --placement CCC SSS --timeout 0";
    for index in [1, 2] {
        let ran = temp.run(&format!("{sweep} --shard {index}/2"));
        assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    }
    let ran = temp.run("merge results/digits-mlp --out all");
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("2 of 2 splits did not finish"),
        "{}",
        ran.stderr
    );
    assert_eq!(temp.column("all", "status"), ["timeout"; 2]);
}

#[test]
fn hosts_are_mixed_only_on_request_and_then_told_apart() {
    let temp = with_shards();
    temp.rewrite_log(
        &shard(2),
        r#""machine":{"cpu":"#,
        r#""machine":{"cpu":"Abacus 9","was":"#,
    );
    let merge = "merge results/digits-mlp --out all";
    temp.refuse(
        2,
        merge,
        &[
            "shard-2-of-3 ran on Abacus 9,",
            "shard-1-of-3 on ",
            "--mix-hosts",
        ],
    );

    let ran = temp.succeed(&format!("{merge} --mix-hosts"));
    assert!(ran.stdout.contains("all/charts-*"), "{}", ran.stdout);
    let hosts = temp.column("all", "host");
    let is_abacus: Vec<bool> = hosts
        .iter()
        .map(|host| host.starts_with("Abacus 9, "))
        .collect();
    assert_eq!(is_abacus, [false, false, false, true], "{hosts:?}");
    let files = temp.files("all");
    let charts = |folder: &str| files.keys().filter(|name| name.starts_with(folder)).count();
    assert_eq!((charts("all/charts/"), charts("all/charts-")), (0, 20));
    assert_eq!(charts("all/charts-abacus-9-"), 10);
    assert_eq!(temp.succeed("plot all").stdout.lines().count(), 20);
    assert_eq!(temp.files("all").len(), files.len());
}

#[test]
fn a_shard_that_goes_on_elsewhere_is_a_mixture_by_itself() {
    let temp = with_shards();
    let log = temp.read(&format!("{}/log.jsonl", shard(1)));
    let first_end = log.find("{\"end\"").unwrap();
    let cut = first_end + log[first_end..].find('\n').unwrap() + 1;
    temp.write(&format!("{}/log.jsonl", shard(1)), &log[..cut]);
    temp.rewrite_log(
        &shard(1),
        r#""machine":{"cpu":"#,
        r#""machine":{"cpu":"Abacus 9","was":"#,
    );
    temp.succeed(&format!("{SWEEP} --shard 1/3 --resume"));
    let hosts = temp.column(&shard(1), "host");
    assert!(
        hosts[1].starts_with("Abacus 9") && hosts[0] != hosts[1],
        "{hosts:?}"
    );
    let words = [
        "shard-1-of-3 ran on ",
        "shard-1-of-3 on Abacus 9",
        "--mix-hosts",
    ];
    temp.refuse(2, "merge results/digits-mlp --out all", &words);
}

#[test]
fn a_shard_that_is_being_written_is_waited_for() {
    let temp = with_shards();
    let lock = fs::File::open(temp.path(&format!("{}/.lock", shard(2)))).unwrap();
    assert!(FileExt::try_lock_exclusive(&lock).unwrap());
    let merge = "merge results/digits-mlp --out all";
    temp.refuse(2, merge, &["shard-2-of-3 is being written", "wait"]);
    drop(lock);
    temp.succeed(merge);
}

#[cfg(unix)]
#[test]
fn a_merge_that_cannot_be_written_leaves_nothing() {
    let temp = with_shards();
    temp.write("file", "text");
    temp.refuse(
        6,
        "merge results/digits-mlp --out file/all",
        &["cannot write file/all"],
    );
    // Files may not grow beyond so many blocks: as good as a full disk.
    for blocks in [0, 4, 8, 40] {
        let before = temp.files("");
        let program = env!("CARGO_BIN_EXE_splitbench");
        let merge = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec {program} merge results/digits-mlp --out all"
        );
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &merge]).current_dir(temp.path(""));
        let ran = temporary_folder::Ran::from(command.output().unwrap());
        assert_eq!(ran.code, Some(6), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(temp.files("") == before && !temp.path("all").exists());
    }
    temp.succeed("merge results/digits-mlp --out all");
}
