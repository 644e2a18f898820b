//! What people ask of the committed example, answered by `splitbench choose`, by the report's script and
//! by the notebook.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use splitbench::choose::Limits;
use splitbench::choose::scenario::Scenario;
use splitbench::core::link::Link;
use splitbench::record::results::{COPIES, ENVIRONMENT, LAYERS, SPLITS, read_splits, write_csv};
use splitbench::record::row::{CopyRow, SplitRow};

use super::page::{Page, Visit};
use super::verdict::{Conditions, unlimited};

const FOLDER: &str = "results/example-digits-cnn";
const NOTEBOOK: &str = "examples/choosing.ipynb";

/// Options of `choose`, and the same in the report's form; none where the form has no such wish.
fn questions() -> Vec<(&'static str, Option<Limits>)> {
    let limits = |client_memory: Option<u64>, exposure: Option<f64>, counts| Limits {
        max_client_memory: client_memory,
        max_exposure: exposure,
        counts_handed_over: counts,
        ..unlimited()
    };
    vec![
        (
            "--network wan --max-client-memory 2GB",
            Some(limits(Some(2_000_000_000), None, false)),
        ),
        (
            "--network wan --max-exposure 50% --count-handed-over",
            Some(limits(None, Some(0.5), true)),
        ),
        ("--network wan --minimise exposure", None),
        (
            "--network wan --max-client-memory 1MB",
            Some(limits(Some(1_000_000), None, false)),
        ),
    ]
}

fn splitbench(options: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splitbench"));
    let ran = command.args(options.split(' ')).output().unwrap();
    let text = [ran.stdout, ran.stderr].concat();
    String::from_utf8(text).unwrap()
}

/// Returns the example's report as this build writes it.
fn fresh_report() -> String {
    let folder = tempfile::tempdir().unwrap();
    for file in [SPLITS, LAYERS, ENVIRONMENT, COPIES] {
        let path = Path::new(FOLDER).join(file);
        // Of a sweep without an attack no copies are known.
        if file != COPIES || path.exists() {
            std::fs::copy(path, folder.path().join(file)).unwrap();
        }
    }
    std::fs::read_to_string(splitbench::report::write(folder.path()).unwrap()).unwrap()
}

#[test]
fn the_committed_report_is_what_is_written_today() {
    let committed = std::fs::read_to_string(Path::new(FOLDER).join("report.html")).unwrap();
    assert!(
        committed == fresh_report(),
        "write it anew: splitbench report {FOLDER}"
    );
}

/// Returns the example's report as it would be if copies of all splits but one agreed in 99.5 %.
fn report_with_copies() -> String {
    let folder = tempfile::tempdir().unwrap();
    for file in [SPLITS, LAYERS, ENVIRONMENT] {
        std::fs::copy(Path::new(FOLDER).join(file), folder.path().join(file)).unwrap();
    }
    let row = |split: SplitRow| {
        let (copy, own) = match &*split.placement {
            "SSSSS" => (0.979, 0.946),
            _ => (0.995, 0.96),
        };
        CopyRow {
            placement: split.placement,
            queries: 1000,
            copy_agreement: Some(copy),
            own_agreement: Some(own),
            ..CopyRow::default()
        }
    };
    let splits = read_splits(Path::new(FOLDER)).unwrap().into_iter();
    let rows: Vec<CopyRow> = splits.map(row).collect();
    write_csv(&folder.path().join(COPIES), &rows).unwrap();
    std::fs::read_to_string(splitbench::report::write(folder.path()).unwrap()).unwrap()
}

#[test]
fn the_form_of_a_page_with_copies_limits_them() {
    let visit = Visit::to(&report_with_copies());
    visit.set("most-exposure", "");
    let says = |words: &[&str]| {
        let said = visit.said("answer");
        let missing = words.iter().filter(|words| !said.contains(**words));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new(), "{said}");
    };
    let least = "copies agree in 97.9 % after 1,000 queries (94.6 % without the server)";
    says(&[
        "copies agreeing in at most 99.0 % (preset)",
        "SSSSS takes",
        least,
    ]);
    says(&["whose copies agree too well"]);
    // As `choose` has it without limits.
    visit.set("most-copies", "");
    says(&[
        "SSSSS takes",
        least,
        "whose copies are as good as the whole model",
    ]);
    visit.set("most-copies", "99.5");
    says(&["1,000 queries teach a copy that agrees in 99.5 %, which is as good"]);
    assert!(!visit.said("answer").contains("SSSSS takes"));
    assert!(visit.said("rows").contains("97.9 %"));
}

/// Returns the split that an answer names, best or nearest.
fn answer(text: &str) -> String {
    let taken = text.lines().find_map(|line| line.strip_prefix("take "));
    let taken = taken.and_then(|line| line.split_once(':'));
    let near = text.split_once("the nearest is ");
    let near = near.and_then(|(_, rest)| rest.split_once(':'));
    let found = taken.map(|(split, _)| ("take", split));
    let found = found.or(near.map(|(split, _)| ("nearest", split)));
    found.map_or(text.into(), |(word, split)| format!("{word} {split}"))
}

#[test]
fn choose_and_the_report_answer_alike() {
    let rows: Vec<SplitRow> = read_splits(Path::new(FOLDER)).unwrap();
    let page = Page::of(&rows);
    for (options, limits) in questions() {
        let chosen = answer(&splitbench(&format!("choose {FOLDER} {options}")));
        let Some(limits) = limits else { continue };
        let wan = Link::profiles().into_iter().find(|n| n.name == "wan");
        let verdict = page.judge(&Conditions {
            scenario: Scenario {
                network: wan,
                ..Scenario::default()
            },
            limits,
        });
        let of_page = match verdict.ranked.first() {
            Some(best) => format!("take {best}"),
            None => format!("nearest {}", verdict.nearest.unwrap()),
        };
        assert_eq!(chosen, of_page, "{options}");
    }
}

#[test]
fn the_form_of_the_page_answers_them_too() {
    let page = fresh_report();
    for (options, limits) in questions() {
        let Some(limits) = limits else { continue };
        let visit = Visit::to(&page);
        visit.tick("with-unknown", limits.counts_handed_over);
        let percent = limits
            .max_exposure
            .map(|fraction| (100.0 * fraction).to_string());
        let mebibytes = limits
            .max_client_memory
            .map(|bytes| bytes as f64 / f64::from(1 << 20));
        let mebibytes = mebibytes.map(|size| size.to_string());
        visit.set("most-exposure", &percent.unwrap_or_default());
        visit.set("most-memory", &mebibytes.unwrap_or_default());
        visit.set("most-copies", "");
        let said = visit.said("answer");
        let chosen = answer(&splitbench(&format!("choose {FOLDER} {options}")));
        let (word, split) = chosen.split_once(' ').unwrap();
        let expected = match word {
            "take" => format!("{split} takes "),
            _ => format!("The nearest is {split}"),
        };
        assert!(
            said.contains(&expected),
            "{options}: {expected:?} in {said}"
        );
    }
}

#[test]
fn every_part_of_the_page_is_drawn() {
    let page = fresh_report();
    let visit = Visit::to(&page);
    insta::assert_snapshot!("answer_of_the_page", visit.said("answer"));
    for (id, words) in [
        ("rows", "CCCCC"),
        ("ranking", "modelled time"),
        ("best-by-network", "exposure at most 50.0 %"),
        ("map", "bandwidth up and down"),
        ("network-view", "exposure"),
        ("chart-memory", "online time"),
        ("chart-bytes", "bytes up and down"),
        ("chart-exposure", "exposure"),
        ("chart-phases", "SSSSS"),
        ("shown", "32 splits"),
        ("hides-more", "--protect"),
    ] {
        let said = visit.said(id);
        assert!(said.contains(words), "{id}: {words:?} in {said}");
    }
}

#[test]
fn least_exposure_is_what_the_summary_of_the_report_names() {
    // The summary is without the rule that leaves out what copies agree with.
    let asked = format!("choose {FOLDER} --minimise exposure --max-copy-agreement 100%");
    let (_, split) = answer(&splitbench(&asked))
        .split_once(' ')
        .map(|(word, split)| (word.to_owned(), split.to_owned()))
        .unwrap();
    let page = fresh_report();
    let (_, card) = page
        .split_once("least exposed")
        .or(page.split_once("Least exposed"))
        .unwrap();
    let (_, rest) = card.split_once("<b class=\"placement\">").unwrap();
    assert_eq!(rest.split_once('<').unwrap().0, split);
}

#[test]
fn the_notebook_answers_as_choose_does() {
    let notebook: Value =
        serde_json::from_str(&std::fs::read_to_string(NOTEBOOK).unwrap()).unwrap();
    let cells = notebook["cells"].as_array().unwrap().iter();
    let code = cells.filter(|cell| cell["cell_type"] == "code");
    let code: String = code
        .flat_map(|cell| cell["source"].as_array().unwrap())
        .map(|line| format!("{}\n", line.as_str().unwrap().trim_end_matches('\n')))
        .collect();
    let binary = Path::new(env!("CARGO_BIN_EXE_splitbench"))
        .parent()
        .unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        std::iter::once(binary.to_owned()).chain(std::env::split_paths(&path)),
    );
    let ran = Command::new("python3")
        .args(["-c", &code])
        .env("PATH", path.unwrap())
        .output();
    let Ok(ran) = ran else {
        eprintln!("skipped: there is no python3 to run {NOTEBOOK}");
        return;
    };
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let said: Vec<String> = text
        .split("modelled from measured rows")
        .skip(1)
        .map(answer)
        .collect();
    let chosen: Vec<String> = questions()
        .iter()
        .map(|(options, _)| answer(&splitbench(&format!("choose {FOLDER} {options}"))))
        .collect();
    assert_eq!(said, chosen);
}
