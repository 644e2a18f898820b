//! The report and the exported tables, as a person asks for them.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::fs;

use temporary_folder::TemporaryFolder;

/// Four splits without look-ups, so that a sweep takes a fraction of a second.
const SWEEP: &str = "sweep --model digits-mlp --placement SCS CCC SCC CCS --images 2 --out results";

#[test]
fn a_sweep_leaves_a_report_that_can_be_written_again() {
    let temp = TemporaryFolder::new();
    let ran = temp.succeed(SWEEP);
    assert!(ran.stdout.contains("results/report.html"), "{}", ran.stdout);
    let written = temp.read("results/report.html");
    assert!(written.contains("<title>digits-mlp: 4 splits"));
    fs::remove_file(temp.path("results/report.html")).unwrap();
    let ran = temp.succeed("report results");
    assert_eq!(ran.stdout.trim(), "results/report.html");
    assert_eq!(temp.read("results/report.html"), written);
}

#[test]
fn tables_are_exported_to_standard_output_and_to_files() {
    let temp = TemporaryFolder::new();
    temp.succeed(SWEEP);
    let columns = "--columns placement,rounds,exposure";
    let csv = temp.succeed(&format!("export results --format csv {columns}"));
    let mut lines: Vec<&str> = csv.stdout.lines().collect();
    assert_eq!(lines.remove(0), "split,rounds,exposure (%)");
    lines.sort_unstable();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("CCC,0,100.0"), "{lines:?}");
    // Linear segments are solved.
    temp.refuse(
        2,
        "export results --format latex --front",
        &["--front", "give the whole model away"],
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/results/example-digits-cnn");
    let out = temp.succeed(&format!(
        "export {example} --format latex --front --out table.tex"
    ));
    assert_eq!(out.stdout, "");
    let table = temp.read("table.tex");
    assert!(table.ends_with("\\end{table}\n"));
    assert!(table.contains("$\\geq$ 4.2, unknown"), "{table}");
}

#[test]
fn what_is_no_results_folder_is_refused() {
    let temp = TemporaryFolder::new();
    temp.succeed(SWEEP);
    temp.refuse(
        3,
        "report nowhere",
        &["nowhere/splits.csv", "a folder that a sweep wrote"],
    );
    temp.refuse(3, "export nowhere --format csv", &["nowhere/splits.csv"]);
    temp.refuse(
        2,
        "export results --format csv --columns speed",
        &["speed", "COLUMNS.md"],
    );
    temp.refuse(
        6,
        "export results --format csv --out no/such/table.csv",
        &["no/such/table.csv"],
    );
    fs::remove_file(temp.path("results/environment.json")).unwrap();
    temp.refuse(3, "report results", &["results/environment.json"]);
    temp.write("results/environment.json", "{");
    temp.refuse(3, "report results", &["no description of a sweep"]);
    temp.write("results/splits.csv", "placement,status\nCS\n");
    temp.refuse(3, "report results", &["results/splits.csv", "line: 2"]);
}
