//! Imports of real networks: the float network's logits, the integer network's accuracy, a few
//! images under encryption, and what an import refuses.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "imported/data.rs"]
mod data;
#[path = "imported/files.rs"]
mod files;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayD};
use ndarray_npy::ReadNpyExt;
use splitbench::circuit::compile::{Target, compile_placement};
use splitbench::circuit::program::NoiseSeed;
use splitbench::core::placement::{Party, Placement};
use splitbench::import::network::Tail;
use splitbench::import::quantise::all_server::integer_labels;
use splitbench::import::quantise::images::{Images, float_labels, real_rows};
use splitbench::import::{ImportRequest, Imported, import};
use splitbench::model::layer::Operation;
use splitbench::model::{Model, ValueId};
use splitbench::oracle::agreement::within_error_model;
use splitbench::oracle::simulation::{arg_max, simulate, simulate_on};
use splitbench::party::session::Session;
use splitbench::{Error, Result};

use files::{FEW, FILES, Files, REFERENCES, STEP, case, cases, imported};

/// Returns the float network's logits, `[classes, images]`.
fn float_logits(model: &Model, pixels: &[u8]) -> Vec<Vec<f32>> {
    let all_client = Placement::uniform(Party::Client, &model.pins());
    let images = Images {
        pixels,
        labels: None,
        element_count: model.element_count(ValueId::INPUT),
    };
    let mut logits: Vec<Vec<f32>> = Vec::new();
    for portion in images.portions() {
        let input = real_rows(model, portion);
        let rows = simulate_on(model, &all_client, &[], input, None).logits;
        logits.resize(rows.len(), Vec::new());
        for (logits, row) in logits.iter_mut().zip(rows) {
            logits.extend(row);
        }
    }
    logits
}

/// Returns the file's own output for an image's logits.
fn with_tail(tail: Tail, logits: Vec<f32>) -> Vec<f32> {
    if tail != Tail::Softmax {
        return logits;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

fn references(files: &Files, name: &str) -> Array2<f32> {
    let path = files
        .data
        .join("reference-logits")
        .join(format!("{name}.npy"));
    let logits = ArrayD::<f32>::read_npy(File::open(path).unwrap()).unwrap();
    logits.into_dimensionality().unwrap()
}

#[test]
fn imported_networks_give_the_reference_logits_on_the_client() {
    let Some(files) = &*FILES else { return };
    let mut failures = Vec::new();
    for case in cases() {
        let imported = imported(files, &case);
        let logits = float_logits(&imported.model, &files.pixels(case.is_colour));
        let references = references(files, case.name);
        assert_eq!(logits[0].len(), references.nrows(), "{}", case.name);
        let distances = references
            .outer_iter()
            .enumerate()
            .map(|(image, reference)| {
                let output = logits.iter().map(|row| row[image]).collect();
                let output = with_tail(imported.network.tail, output);
                let largest = reference.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
                let pairs = output.iter().zip(&reference);
                let away = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                away / (case.tolerance.0 + case.tolerance.1 * largest)
            });
        let worst = distances.fold(0.0, f32::max);
        if worst.is_nan() || worst > 1.0 {
            failures.push(format!("{}: {worst} times the tolerance", case.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn other_roundings_of_the_eight_bit_network_are_rare() {
    let Some(files) = &*FILES else { return };
    let case = case("mlperf_tiny_resnet8_int8_qdq");
    let logits = float_logits(&imported(files, &case).model, &files.pixels(true));
    let references = references(files, case.name);
    let of = |image: usize| logits.iter().map(move |row| row[image]);
    let within = |steps: f32| {
        let near = |image: &usize| {
            let mut pairs = of(*image).zip(references.row(*image));
            pairs.all(|(a, b)| (a - b).abs() <= steps * STEP)
        };
        (0..REFERENCES).filter(near).count()
    };
    let labels = (0..REFERENCES)
        .filter(|&image| arg_max(of(image)) == arg_max(references.row(image).iter().copied()));
    assert!(within(0.05) >= 600, "{} are exact", within(0.05));
    assert!(within(2.05) >= 950, "{} within two steps", within(2.05));
    assert!(labels.count() >= 995);
}

#[test]
fn networks_with_integers_of_their_own_keep_their_labels() {
    let Some(files) = &*FILES else { return };
    let mut failures = Vec::new();
    for (name, least) in [("TFC_2W2A", 0.999), ("mlperf_tiny_resnet8_int8_qdq", 0.97)] {
        let case = case(name);
        let model = &imported(files, &case).model;
        let pixels = files.pixels(case.is_colour);
        let images = Images {
            pixels: &pixels,
            labels: None,
            element_count: model.element_count(ValueId::INPUT),
        };
        let integer = integer_labels(model, &images, 0.5).unwrap();
        let float = float_labels(model, &images);
        let equal = integer.iter().zip(float).filter(|(a, b)| **a == *b);
        let fraction = equal.count() as f64 / REFERENCES as f64;
        if fraction < least {
            failures.push(format!("{name}: {fraction} of the labels"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn integer_networks_keep_the_accuracy() {
    let Some(files) = &*FILES else { return };
    let mut failures = Vec::new();
    for case in cases() {
        let Some(most_loss) = case.most_loss else {
            continue;
        };
        let imported = imported(files, &case);
        let float = imported.model.float_accuracy.unwrap();
        let integer = imported.integer_accuracy.unwrap();
        if integer < float - most_loss || integer > 1.0 {
            failures.push(format!("{}: {integer} where float has {float}", case.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn noise_carries_no_value_of_mnist_8_out_of_range() {
    let Some(files) = &*FILES else { return };
    let model = &imported(files, &case("onnxzoo_mnist-8")).model;
    let placement = Placement::uniform(Party::Server, &model.pins());
    let programs = compile_placement(model, &placement, &Target::usual()).unwrap();
    let images: Vec<usize> = (0..model.test.len()).collect();
    let noise = Some(NoiseSeed(1));
    let simulation = simulate(model, &placement, &programs, &images, noise);
    assert_eq!(simulation.all_reads().inferences, REFERENCES as u64);
    for (node, reads) in &simulation.reads {
        let found = (reads.out_of_range, reads.misread);
        assert_eq!(found, (0, 0), "{}", model.node(*node).name);
    }
}

#[test]
fn one_image_each_is_classified_under_encryption() {
    let Some(files) = &*FILES else { return };
    let target = Target::usual();
    for (name, placement, bootstraps) in [
        ("TFC_2W2A", None, 976),
        ("cryptonets_mnist", None, 945),
        ("ccoltong_lenet5_regularized", Some("CCCCCCSSSSS"), 204),
    ] {
        let imported = imported(files, &case(name));
        let model = &imported.model;
        let all_server = || Placement::uniform(Party::Server, &model.pins());
        let placement = placement.map_or_else(all_server, |text| text.parse().unwrap());
        assert_eq!(model.bootstrap_count(&placement), bootstraps, "{name}");
        let session = Session::set_up(model, &placement, &target).unwrap();
        let inference = session.infer(model.test.image(0)).unwrap();
        for (program, exchange) in session.programs().iter().zip(&inference.exchanges) {
            assert!(
                within_error_model(program, exchange, NoiseSeed(1)),
                "{name}"
            );
        }
        let clear = simulate(model, &placement, session.programs(), &[0], None).labels();
        assert_eq!(arg_max(inference.logits), clear[0], "{name}");
    }
}

#[test]
fn a_network_of_signs_keeps_its_two_levels_and_runs_on_the_server() {
    let Some(files) = &*FILES else { return };
    let onnx = files.data.join("../cases/quantised/TFC_1W1A.onnx");
    if !onnx.is_file() {
        eprintln!("skipped: there is no {}", onnx.display());
        return;
    }
    let mut request = files.request(&case("TFC_2W2A"), REFERENCES, "TFC_1W1A");
    request.onnx = onnx;
    let imported = import(&request, &|_| {}).unwrap();
    let model = &imported.model;
    let float = model.float_accuracy.unwrap();
    assert!(float > 0.91, "{float}");
    let lost = float - imported.integer_accuracy.unwrap();
    assert!(lost <= 0.005, "{lost}");
    for node in &model.nodes {
        if let Operation::Activation(activation) = &node.operation {
            let output = activation.output;
            assert_eq!((output.low, output.high), (-1, 1), "{}", node.name);
        }
    }
    let placement = Placement::uniform(Party::Server, &model.pins());
    compile_placement(model, &placement, &Target::usual()).unwrap();
}

/// Returns the names and the contents of a folder's files.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_folder_loads_again_as_it_was_imported() {
    let Some(files) = &*FILES else { return };
    let case = case("onnxzoo_mnist-8");
    let imported = imported(files, &case);
    let loaded = Model::load(&files.path(case.name)).unwrap();
    assert_eq!(loaded.digest, imported.model.digest);
    assert_eq!(loaded.name, case.name);
    assert_eq!(loaded.test.len(), REFERENCES);
    let pixels = &files.pixels(false)[..784];
    assert_eq!(loaded.test.image(0), pixels);
    let logits = |model| float_logits(model, pixels);
    assert_eq!(logits(&loaded), logits(&imported.model));
    // The first test image of MNIST is a seven.
    assert_eq!(loaded.test.label(0), 7);
}

#[test]
fn the_same_request_writes_the_same_folder() {
    let Some(files) = &*FILES else { return };
    let case = case("TFC_2W2A");
    let digests = ["same/twice", "again/twice"].map(|out| {
        let request = files.request(&case, FEW, out);
        import(&request, &|_| {}).unwrap().model.digest
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn an_existing_folder_is_refused_and_stays_as_it_was() {
    let Some(files) = &*FILES else { return };
    let case = case("TFC_2W2A");
    let folder = files.path("existing");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let before = contents(&folder);
    let error = refusal(&files.request(&case, FEW, "existing"));
    assert!(matches!(error, Error::Usage(_)), "{error}");
    assert!(error.to_string().contains("is there already"), "{error}");
    assert_eq!(contents(&folder), before);
    let model = imported(files, &case).model.clone();
    let before = contents(&files.path(case.name));
    refusal(&files.request(&case, FEW, case.name));
    assert_eq!(contents(&files.path(case.name)), before);
    assert_eq!(
        Model::load(&files.path(case.name)).unwrap().digest,
        model.digest
    );
}

/// Returns the error of an import.
fn refusal(request: &ImportRequest) -> Error {
    let outcome: Result<Imported> = import(request, &|_| {});
    match outcome {
        Ok(_) => panic!("{} was imported", request.onnx.display()),
        Err(error) => error,
    }
}

/// Makes a request wrong.
type Break<'a> = &'a dyn Fn(&mut ImportRequest);

#[test]
fn what_cannot_be_imported_ends_in_one_line_and_leaves_nothing() {
    let Some(files) = &*FILES else { return };
    let case = case("TFC_2W2A");
    let broken: [(&str, Break, &str); 8] = [
        (
            "no network",
            &|r| r.onnx = "missing.onnx".into(),
            "missing.onnx",
        ),
        (
            "no images",
            &|r| r.calibrate = "missing.bin".into(),
            "missing.bin",
        ),
        (
            "no labels",
            &|r| r.labels = Some("missing.txt".into()),
            "missing.txt",
        ),
        (
            "no test labels",
            &|r| r.test_labels = Some("missing.txt".into()),
            "missing.txt",
        ),
        (
            "fewer labels",
            &|r| r.test_labels = r.labels.clone(),
            "labels",
        ),
        (
            "another network's images",
            &|r| r.calibrate = files.path("calibrate-cifar"),
            "shape",
        ),
        (
            "images as a network",
            &|r| r.onnx = files.path("calibrate-cifar"),
            "calibrate-cifar",
        ),
        (
            "an unknown name",
            &|r| r.bits = Some("4,relu99=3".parse().unwrap()),
            "relu99",
        ),
    ];
    let parent = files.path("refused");
    let mut failures = Vec::new();
    for (name, breaks, word) in broken {
        let mut request = files.request(&case, FEW, "refused/model");
        breaks(&mut request);
        let error = refusal(&request).to_string();
        if error.contains('\n') || !error.contains(word) {
            failures.push(format!("{name}: {error}"));
        }
        if parent.exists() && !contents(&parent).is_empty() {
            failures.push(format!("{name}: something is left behind"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn images_without_labels_are_told_of() {
    let Some(files) = &*FILES else { return };
    let mut request = files.request(&case("TFC_2W2A"), FEW, "unlabelled");
    (request.labels, request.test_labels) = (None, None);
    // Accuracies without labels mean nothing: either none is claimed, or a note says so.
    let imported = import(&request, &|_| {});
    let said = match &imported {
        Ok(imported) => imported.notes.iter().any(|note| note.contains("labels")),
        Err(error) => error.to_string().contains("labels"),
    };
    assert!(said, "nothing is said of missing labels");
}
