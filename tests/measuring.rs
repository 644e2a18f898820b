//! What a sweep does to be believed: rounds, orders, limits, environments, comparisons.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use temporary_folder::TemporaryFolder;

/// Four splits without look-ups, so that a sweep takes a fraction of a second.
const SWEEP: &str = "sweep --model digits-mlp --placement CCC SCC CCS SCS";

/// Returns the visits that a log says were begun, each as placement and round.
fn visits(temp: &TemporaryFolder, folder: &str) -> Vec<(String, u64)> {
    let log = temp.read(&format!("{folder}/log.jsonl"));
    let records = log.lines().map(|line| &line[line.find('{').unwrap()..]);
    let starts = records.filter_map(|json| {
        let record: serde_json::Value = serde_json::from_str(json).unwrap();
        let start = record.get("start")?;
        let placement = start["placement"].as_str()?.to_owned();
        Some((placement, start["repeat"].as_u64()?))
    });
    starts.collect()
}

#[test]
fn rounds_visit_every_split_in_a_seeded_order_and_fill_the_same_rows() {
    let temp = TemporaryFolder::new();
    temp.succeed(&format!("{SWEEP} --repeats 3 --out seeded"));
    temp.succeed(&format!("{SWEEP} --repeats 3 --out again"));
    temp.succeed(&format!("{SWEEP} --repeats 3 --seed 5 --out other"));
    assert_eq!(visits(&temp, "seeded"), visits(&temp, "again"));
    assert_ne!(visits(&temp, "seeded"), visits(&temp, "other"));
    for round in 0..3 {
        let mut of_round: Vec<String> = visits(&temp, "seeded")[4 * round..][..4]
            .iter()
            .map(|(placement, repeat)| {
                assert_eq!(*repeat, round as u64);
                placement.clone()
            })
            .collect();
        of_round.sort();
        assert_eq!(of_round, ["CCC", "CCS", "SCC", "SCS"]);
    }
    temp.assert_same_rows("seeded", "again", "run again");
    assert_eq!(temp.column("seeded", "online_s_n"), ["3"; 4]);
    for row in temp.rows("seeded/splits.csv") {
        let number = |column: &str| row[column].parse::<f64>().unwrap();
        assert!(number("online_s_low") <= number("online_s_median"));
        assert!(number("online_s_high") >= number("online_s_median"));
        assert!(number("harness_s_median") < number("online_s_median"));
        assert!(number("calibration_drift") >= 0.0);
    }
}

#[test]
fn orders_are_as_said() {
    let temp = TemporaryFolder::new();
    temp.succeed(&format!("{SWEEP} --order forwards --out forwards"));
    temp.succeed(&format!("{SWEEP} --order backwards --out backwards"));
    let forwards = visits(&temp, "forwards");
    let mut backwards = visits(&temp, "backwards");
    backwards.reverse();
    assert_eq!(forwards, backwards);
    let listed: Vec<&str> = forwards.iter().map(|(placement, _)| &**placement).collect();
    assert_eq!(listed, ["CCC", "SCC", "CCS", "SCS"]);
    assert_eq!(
        temp.column("backwards", "placement"),
        listed,
        "rows as listed"
    );
}

#[test]
fn a_sweep_in_its_own_process_gives_the_same_rows() {
    let temp = TemporaryFolder::new();
    temp.succeed(&format!("{SWEEP} --repeats 2 --out workers"));
    temp.succeed(&format!("{SWEEP} --repeats 2 --in-process --out here"));
    temp.assert_same_rows("here", "workers", "in process");
}

#[test]
fn the_memory_of_each_party_can_be_left_out() {
    let temp = TemporaryFolder::new();
    temp.succeed(&format!("{SWEEP} --out with"));
    temp.succeed(&format!("{SWEEP} --skip-party-memory --out without"));
    let is_empty = |folder, column| -> Vec<bool> {
        let cells = temp.column(folder, column).into_iter();
        cells.map(|cell| cell.is_empty()).collect()
    };
    assert_eq!(is_empty("without", "client_peak_rss_bytes"), [true; 4]);
    // Empty in both where this system has no exact measure.
    assert_eq!(
        is_empty("with", "client_peak_rss_bytes"),
        [!cfg!(target_os = "linux"); 4]
    );
    assert_eq!(temp.column("without", "status"), ["ok"; 4]);
}

#[test]
fn rounds_that_are_missing_make_a_split_partial() {
    let temp = TemporaryFolder::new();
    temp.succeed(&format!("{SWEEP} --repeats 2 --out whole"));
    let log = temp.read("whole/log.jsonl");
    // The first round's four ends and one of the second's.
    let end = log.match_indices("{\"end\"").nth(4).unwrap().0;
    let cut = end + log[end..].find('\n').unwrap() + 1;
    temp.write("cut/log.jsonl", &log[..cut]);
    let told = temp.succeed("merge cut --partial --out part").stderr;
    assert!(told.contains("3 of 4 placements have not ended"), "{told}");
    assert_eq!(told.matches("(repeat 1)").count(), 3, "{told}");
    let mut statuses = temp.column("part", "status");
    statuses.sort();
    assert_eq!(statuses, ["ok", "partial", "partial", "partial"]);
    temp.refuse(
        2,
        "merge cut --out complete",
        &[
            "3 of 4 placements have not ended",
            "go on with cut by --resume",
        ],
    );
    temp.succeed(&format!("{SWEEP} --repeats 2 --out cut --resume"));
    temp.assert_same_rows("cut", "whole", "resumed in the second round");
}

#[test]
fn every_row_names_an_environment_that_is_described() {
    let temp = TemporaryFolder::new();
    temp.succeed(&format!("{SWEEP} --out results"));
    let described: serde_json::Value =
        serde_json::from_str(&temp.read("results/environment.json")).unwrap();
    let environments = described["environments"].as_array().unwrap();
    assert_eq!(environments.len(), 1);
    let environment = &environments[0];
    for field in [
        "cpu",
        "cores",
        "threads_used",
        "memory_bytes",
        "os",
        "kernel",
        "load",
    ] {
        assert!(!environment["machine"][field].is_null(), "{field}");
    }
    for field in ["rustc", "allocator", "tfhe", "target_features"] {
        assert!(!environment["build"][field].is_null(), "{field}");
    }
    assert_eq!(described["settings"]["seed"], 0);
    let digest = environment["digest"].as_str().unwrap();
    for table in temporary_folder::TABLES {
        for row in temp.rows(&format!("results/{table}")) {
            assert_eq!(row["environment"], digest, "{table}");
        }
    }
}

#[test]
fn memory_limits_are_kept_and_projections_beyond_them_refused() {
    let temp = TemporaryFolder::new();
    let sweep = "sweep --model digits-mlp --placement SSS --memory-limit 30MB";
    temp.refuse(
        2,
        &format!("{sweep}x --out refused"),
        &["--memory-limit \"30MBx\"", "4GB"],
    );
    let ran = temp.run(&format!("{sweep} --out refused"));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    for words in ["projected to take", "--memory-limit allows", "--force"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    let ran = temp.run(&format!("{sweep} --force --out forced"));
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert_eq!(temp.column("forced", "status"), ["oom"]);
    let reason = &temp.column("forced", "reason")[0];
    assert!(
        reason.contains("more than --memory-limit 28.6 MiB"),
        "{reason}"
    );
    let ran = temp.run(&format!("{sweep} --in-process --out here"));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot be used with '--in-process'"));
}

#[test]
fn a_comparison_says_what_differs_and_what_is_not_shown() {
    let temp = TemporaryFolder::new();
    temp.succeed(&format!("{SWEEP} --repeats 5 --out a"));
    temp.copy("a", "slower");
    let slower = temp.read("a/samples.csv");
    let mut lines = slower.lines();
    let header = lines.next().unwrap();
    let online = header
        .split(',')
        .position(|name| name == "online_s")
        .unwrap();
    let lines = lines.map(|line| {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        if cells[1] == "SCS" {
            cells[online] = (1e6 * cells[online].parse::<f64>().unwrap()).to_string();
        }
        cells.join(",") + "\n"
    });
    let rewritten = lines.collect::<String>();
    temp.write("slower/samples.csv", format!("{header}\n{rewritten}"));

    let same = temp.succeed("compare a a").stdout;
    assert!(
        same.contains("4 splits: 4 no difference shown, 0 different"),
        "{same}"
    );
    assert!(
        same.contains("peak memory of the client differs by at most 0.0 %"),
        "{same}"
    );
    let differs = temp.succeed("compare a slower").stdout;
    assert!(
        differs.contains("3 no difference shown, 1 different"),
        "{differs}"
    );
    let line = differs
        .lines()
        .find(|line| line.starts_with("SCS"))
        .unwrap();
    assert!(line.contains("slower"), "{line}");

    temp.succeed("sweep --model digits-cnn --placement CCCCC --out cnn");
    temp.refuse(2, "compare a cnn", &["\"digits-mlp\"", "\"digits-cnn\""]);
    temp.refuse(3, "compare a gone", &["gone/splits.csv", "give a folder"]);
}
