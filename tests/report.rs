//! The report and the exported tables, as a person asks for them.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "desk/desk.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod desk;

use std::fs;

use desk::Desk;

/// Four splits without look-ups, so that a sweep takes a fraction of a second.
const SWEEP: &str = "sweep --model digits-mlp --placement SCS CCC SCC CCS --images 2 --out results";

#[test]
fn a_sweep_leaves_a_report_that_can_be_written_again() {
    let desk = Desk::new();
    let ran = desk.succeed(SWEEP);
    assert!(ran.stdout.contains("results/report.html"), "{}", ran.stdout);
    let written = desk.read("results/report.html");
    assert!(written.contains("<title>digits-mlp: 4 splits"));
    fs::remove_file(desk.path("results/report.html")).unwrap();
    let ran = desk.succeed("report results");
    assert_eq!(ran.stdout.trim(), "results/report.html");
    assert_eq!(desk.read("results/report.html"), written);
}

#[test]
fn tables_are_exported_to_standard_output_and_to_files() {
    let desk = Desk::new();
    desk.succeed(SWEEP);
    let columns = "--columns placement,rounds,exposure";
    let csv = desk.succeed(&format!("export results --format csv {columns}"));
    let mut lines: Vec<&str> = csv.stdout.lines().collect();
    assert_eq!(lines.remove(0), "split,rounds,exposure (%)");
    lines.sort_unstable();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("CCC,0,100.0"), "{lines:?}");
    // Linear segments are solved.
    desk.refuse(
        2,
        "export results --format latex --front",
        &["--front", "give the whole model away"],
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/results/example-digits-cnn");
    let out = desk.succeed(&format!(
        "export {example} --format latex --front --out table.tex"
    ));
    assert_eq!(out.stdout, "");
    let table = desk.read("table.tex");
    assert!(table.ends_with("\\end{table}\n"));
    assert!(table.contains("$\\geq$ 4.2, unknown"), "{table}");
}

#[test]
fn what_is_no_results_folder_is_refused() {
    let desk = Desk::new();
    desk.succeed(SWEEP);
    desk.refuse(
        3,
        "report nowhere",
        &["nowhere/splits.csv", "a folder that a sweep wrote"],
    );
    desk.refuse(3, "export nowhere --format csv", &["nowhere/splits.csv"]);
    desk.refuse(
        2,
        "export results --format csv --columns speed",
        &["speed", "COLUMNS.md"],
    );
    desk.refuse(
        6,
        "export results --format csv --out no/such/table.csv",
        &["no/such/table.csv"],
    );
    fs::remove_file(desk.path("results/environment.json")).unwrap();
    desk.refuse(3, "report results", &["results/environment.json"]);
    desk.write("results/environment.json", "{");
    desk.refuse(3, "report results", &["no description of a sweep"]);
    desk.write("results/splits.csv", "placement,status\nCS\n");
    desk.refuse(3, "report results", &["results/splits.csv", "line: 2"]);
}
