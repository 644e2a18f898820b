//! Predictions from rows that are there, and sweeps within a budget.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "temporary_folder/temporary_folder.rs"]
#[allow(dead_code, reason = "shared between tests, each of which needs a part")]
mod temporary_folder;

use std::collections::BTreeMap;
use std::path::Path;

use temporary_folder::TemporaryFolder;

type Row = BTreeMap<String, String>;

fn rows(temp: &TemporaryFolder, table: &str) -> Vec<Row> {
    let text = temp.read(table);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// Returns a folder with a copy of the measured example.
fn with_example() -> TemporaryFolder {
    let temp = TemporaryFolder::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/example-digits-cnn");
    for file in ["splits.csv", "layers.csv", "log.jsonl"] {
        temp.write(
            &format!("example/{file}"),
            std::fs::read(example.join(file)).unwrap(),
        );
    }
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits-cnn");
    for file in std::fs::read_dir(model).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        temp.write(
            &format!("models/digits-cnn/{name}"),
            std::fs::read(&path).unwrap(),
        );
    }
    temp
}

#[test]
fn the_example_is_predicted_from_some_of_its_splits() {
    let temp = with_example();
    let ran = temp.succeed("predict --against example --reuse");
    let measured = rows(&temp, "example/splits.csv");
    let predicted = rows(&temp, "example/predictions.csv");
    assert_eq!(predicted.len(), measured.len());
    for (predicted, measured) in predicted.iter().zip(&measured) {
        let of = |column: &str| {
            assert_eq!(
                predicted[column], measured[column],
                "{column} of {}",
                measured["placement"]
            );
        };
        // Bytes, sets and counts are known, not estimated.
        for column in [
            "placement",
            "upload_bytes",
            "download_bytes",
            "evaluation_key_bytes",
            "rounds",
            "bootstrap_count",
            "parameter_set",
            "client_weight_share",
        ] {
            of(column);
        }
        // Closed forms tell without a run; what attacks find is more.
        match measured["exposure_is"].as_str() {
            "closed form" => of("exposed_weight_share"),
            _ => assert_eq!(predicted["exposed_weight_share"], ""),
        }
        let least = |row: &Row| row["exposed_weight_share_least"].parse::<f64>().unwrap();
        assert!(least(predicted) <= least(measured));
        assert_eq!(predicted["measured_online_s"], measured["online_s_median"]);
    }
    let calibrated = predicted.iter().filter(|row| row["calibrated"] == "true");
    assert!(calibrated.count() < measured.len() / 2);
    let mut errors: Vec<f64> = predicted
        .iter()
        .filter(|row| row["calibrated"] == "false")
        .map(|row| row["online_error"].parse::<f64>().unwrap().abs())
        .collect();
    errors.sort_by(f64::total_cmp);
    let median = errors[errors.len() / 2];
    assert!(median < 0.1, "{median}: {}", ran.stdout);
    let count = predicted
        .iter()
        .filter(|row| row["calibrated"] == "true")
        .count();
    for words in [
        "online time over splits not fitted to: median".into(),
        format!("n = {}", measured.len() - count),
        "online time over those fitted to, each left out in turn: median".into(),
        format!("n = {count}"),
        "exposure      exact for".into(),
        "accuracy      not known".into(),
    ] {
        assert!(ran.stdout.contains(&words), "{words:?}: {}", ran.stdout);
    }
    // What a split was fitted to says nothing of how well others are predicted: its own error is not that of
    // the fit.
    for row in predicted.iter().filter(|row| row["calibrated"] == "true") {
        let of = |column: &str| row[column].parse::<f64>().unwrap();
        let in_sample = of("online_s") / of("measured_online_s") - 1.0;
        assert!(
            (of("online_error") - in_sample).abs() > 1e-9,
            "{}",
            row["placement"]
        );
    }
    assert!(
        temp.read("example/prediction-units.json")
            .contains("look-ups")
    );
}

#[test]
fn what_cannot_be_predicted_is_refused() {
    let temp = with_example();
    temp.refuse(3, "predict --against nowhere --reuse", &["nowhere"]);
    temp.write("bare/splits.csv", temp.read("example/splits.csv"));
    temp.refuse(3, "predict --against bare --reuse", &["bare", "log"]);
    let ran = temp.run("predict --reuse");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let weights = temp.read("models/digits-cnn/model.json");
    temp.write(
        "models/digits-cnn/model.json",
        weights.replacen("digits-cnn", "digits-cnm", 1),
    );
    temp.refuse(
        3,
        "predict --against example --reuse",
        &["models/digits-cnn"],
    );
}

#[test]
fn a_prediction_measures_a_few_splits_and_prints_the_front() {
    let temp = TemporaryFolder::new();
    let ran = temp.succeed("predict --model digits-mlp --repeats 2 --network wan --out out");
    assert!(ran.stdout.contains("network wan"), "{}", ran.stdout);
    assert!(ran.stdout.contains("CCC  "), "{}", ran.stdout);
    let predicted = rows(&temp, "out/predictions.csv");
    assert_eq!(predicted.len(), 8);
    assert!(predicted.iter().all(|row| !row["online_s"].is_empty()));
    let measured = rows(&temp, "out/calibration/splits.csv");
    assert!(measured.len() < 8, "{}", measured.len());
    // What was measured is not measured again.
    let log = temp.read("out/calibration/log.jsonl");
    temp.succeed("predict --model digits-mlp --repeats 2 --out out");
    assert_eq!(temp.read("out/calibration/log.jsonl"), log);
}

#[test]
fn a_budget_runs_what_it_pays_for_and_skips_the_rest() {
    let temp = TemporaryFolder::new();
    let sweep = "sweep --model digits-mlp --budget 4s --out out";
    temp.succeed(sweep);
    let found = rows(&temp, "out/splits.csv");
    assert_eq!(found.len(), 8);
    let ran: Vec<&Row> = found.iter().filter(|row| row["status"] == "ok").collect();
    assert!(!ran.is_empty() && ran.len() < 8, "{}", ran.len());
    for row in found.iter().filter(|row| row["status"] != "ok") {
        assert_eq!(row["status"], "skipped");
        assert!(row["reason"].contains("budget"), "{}", row["reason"]);
    }
    let log = temp.read("out/log.jsonl");
    temp.succeed(&format!("{sweep} --resume"));
    assert_eq!(temp.read("out/log.jsonl"), log);
    temp.refuse(
        2,
        "sweep --model digits-mlp --budget 1ms --out other",
        &["--budget", "no split"],
    );
    for clash in [
        "--budget 5",
        "--budget 5s --placement CCC",
        "--budget 5s --shard 1/2",
    ] {
        let ran = temp.run(&format!("sweep --model digits-mlp {clash} --out other"));
        assert_eq!(ran.code, Some(2), "{clash}: {}", ran.stderr);
    }
}
