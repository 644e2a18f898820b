//! Imports by what comes with a network: features of different sizes, labels by other numbers, single
//! outputs, files with several parts, calibration images that cannot serve.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, s};
use ndarray_npy::WriteNpyExt;
use splitbench::Result;
use splitbench::core::placement::{Party, Placement};
use splitbench::import::data::Preprocessing;
use splitbench::import::onnx::GivenShape;
use splitbench::import::quantise::calibration::RangeMethod;
use splitbench::import::read_network_of;
use splitbench::import::report::report;
use splitbench::import::{ImportRequest, Imported, import};
use splitbench::model::Model;
use splitbench::oracle::simulation::simulate;
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};

/// Returns a request for a network of `tests/golden`.
fn request(network: &str, folder: &TempDir, calibrate: &str) -> ImportRequest {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    ImportRequest {
        onnx: golden.join(format!("{network}.onnx")),
        shapes: Vec::new(),
        calibrate: folder.path().join(calibrate),
        labels: None,
        test: None,
        test_labels: None,
        calibration_images: 1000,
        preprocessing: Preprocessing::default(),
        bits: None,
        weight_bits: None,
        range: RangeMethod::Mse,
        most_loss: 0.01,
        out: folder.path().join("model"),
    }
}

fn run(request: &ImportRequest) -> Result<Imported> {
    import(request, &|_| {})
}

/// Returns features whose sizes lie a thousandfold apart.
fn features(count: usize, elements: usize) -> Array2<f32> {
    Array2::from_shape_fn((count, elements), |(image, element)| {
        let wave = ((image * 7 + 1) as f32 * (element + 1) as f32 * 0.37).sin();
        wave * 1000f32.powi(element as i32 % 3 - 1)
    })
}

fn write_npy(folder: &TempDir, name: &str, features: &Array2<f32>) -> PathBuf {
    let path = folder.path().join(name);
    features
        .write_npy(fs::File::create(&path).unwrap())
        .unwrap();
    path
}

/// Writes an archive of arrays, each by its name.
fn write_npz(folder: &TempDir, name: &str, arrays: &[(&str, &Array2<f32>)]) {
    let path = folder.path().join(name);
    let mut archive = ZipWriter::new(fs::File::create(path).unwrap());
    for (name, array) in arrays {
        let options = SimpleFileOptions::default();
        archive.start_file(format!("{name}.npy"), options).unwrap();
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap();
}

fn has_note(imported: &Imported, part: &str) -> bool {
    imported.notes.iter().any(|note| note.contains(part))
}

#[test]
fn features_have_levels_of_their_own_and_float_is_the_untouched_network() {
    let folder = tempfile::tempdir().unwrap();
    write_npy(&folder, "x.npy", &features(200, 6));
    let request = request("mat_mul", &folder, "x.npy");
    let imported = run(&request).unwrap();
    let input = &imported.model.input;
    assert!(input.scale[1] > 100.0 * input.scale[0] && input.scale[2] > 100.0 * input.scale[1]);
    assert!(
        has_note(&imported, "6 scales and 6 offsets"),
        "{:?}",
        imported.notes
    );
    // The labels are the untouched network's own, so that it has them all right.
    assert_eq!(imported.model.float_accuracy, Some(1.0));
    assert!(imported.rounded_accuracy.unwrap() >= 0.97);
    assert!(imported.integer_accuracy.unwrap() >= 0.95);
    let text = report(&imported, &request).unwrap().join("\n");
    assert!(text.contains("float 100.0 % ("), "{text}");
    assert!(text.contains("on the rounded input), integers"), "{text}");
    let loaded = Model::load(&request.out).unwrap();
    assert_eq!(loaded.input, imported.model.input);
}

#[test]
fn parts_of_an_archive_calibrate_and_test() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.npz");
    let labels = |count, class| Array1::from_shape_fn(count, |i| ((i + class) % 4) as i64);
    let mut archive = ZipWriter::new(fs::File::create(&path).unwrap());
    let mut add = |name: &str| {
        let options = SimpleFileOptions::default();
        archive.start_file(format!("{name}.npy"), options).unwrap();
        let mut bytes = Vec::new();
        match name {
            "x_train" => features(60, 6).write_npy(&mut bytes).unwrap(),
            "x_test" => features(30, 6).write_npy(&mut bytes).unwrap(),
            "y_train" => labels(60, 0).write_npy(&mut bytes).unwrap(),
            _ => labels(30, 1).write_npy(&mut bytes).unwrap(),
        }
        archive.write_all(&bytes).unwrap();
    };
    ["x_test", "y_test", "x_train", "y_train"]
        .into_iter()
        .for_each(&mut add);
    archive.finish().unwrap();
    let mut request = request("mat_mul", &folder, "both.npz");
    request.test = Some(path);
    let model = run(&request).unwrap().model;
    assert_eq!(model.test.len(), 30);
    assert_eq!(model.test.label(0), 1);
}

#[test]
fn several_inputs_are_arrays_of_their_names_or_one_list() {
    let folder = tempfile::tempdir().unwrap();
    let rows = features(60, 9);
    let (first, second) = (rows.slice(s![.., ..5]), rows.slice(s![.., 5..]));
    let (first, second) = (first.to_owned(), second.to_owned());
    write_npz(&folder, "both.npz", &[("x1", &second), ("x0", &first)]);
    write_npy(&folder, "rows.npy", &rows);
    let of = |data: &str| {
        let mut request = request("two_inputs_projected", &folder, data);
        request.out = folder.path().join(format!("{data}.model"));
        run(&request).unwrap()
    };
    let (arrays, list) = (of("both.npz"), of("rows.npy"));
    assert!(has_note(
        &arrays,
        "takes 2 inputs, \"x0\" of [5], \"x1\" of [4]"
    ));
    assert_eq!(arrays.model.input, list.model.input);
    assert_eq!(arrays.model.test.pixels(), list.model.test.pixels());
    assert!(arrays.integer_accuracy.unwrap() >= 0.95);

    write_npz(&folder, "one.npz", &[("x0", &first)]);
    write_npz(
        &folder,
        "uneven.npz",
        &[("x0", &first), ("x1", &features(7, 4))],
    );
    write_npz(
        &folder,
        "narrow.npz",
        &[("x0", &first), ("x1", &features(60, 3))],
    );
    for (data, expected) in [
        ("one.npz", "no array is named \"x1\""),
        ("uneven.npz", "array \"x1\": has 7 images"),
        ("narrow.npz", "array \"x1\": has images of shape [3]"),
    ] {
        let request = request("two_inputs_projected", &folder, data);
        let error = run(&request).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!request.out.exists());
    }
}

#[test]
fn shapes_are_given_where_a_file_leaves_them_open() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let read = |file: &str, given: &[&str]| {
        let given: Vec<GivenShape> = given.iter().map(|given| given.parse().unwrap()).collect();
        read_network_of(&golden.join(file), &given)
    };
    assert_eq!(
        read("open_axes.onnx", &["x=1x3x8"]).unwrap().input_shape,
        [24]
    );
    for (file, given, expected) in [
        ("open_axes.onnx", &[][..], "--shape x=1x16"),
        ("open_axes.onnx", &["x=1x2x8"], "which is ?x3x? in the file"),
        ("open_axes.onnx", &["x=1x3"], "--shape does not fit"),
        (
            "open_axes.onnx",
            &["y=1x3x8"],
            "--shape names \"y\", but the inputs are \"x\"",
        ),
        ("mat_mul.onnx", &["x=1x7"], "--shape does not fit"),
    ] {
        let error = read(file, given).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn labels_that_are_no_classes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write_npy(&folder, "x.npy", &features(20, 6));
    let labels = folder.path().join("y.txt");
    let mut request = request("mat_mul", &folder, "x.npy");
    request.labels = Some(labels.clone());
    for (label, expected) in [
        (
            "4",
            "label 4 of image 19 is none of the network's 4 classes, 0 to 3",
        ),
        ("-1", "label -1 of image 19"),
        ("0.5", "regression targets are not supported"),
    ] {
        fs::write(&labels, format!("{}{label}\n", "1.0\n".repeat(19))).unwrap();
        let error = run(&request).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!request.out.exists());
    }
}

#[test]
fn a_single_output_with_a_sigmoid_is_a_classifier_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let x = features(80, 3);
    write_npy(&folder, "x.npy", &x);
    // The weights of the network in make_golden.py.
    let logit = |row: ndarray::ArrayView1<f32>| row[0] - 2.0 * row[1] + 0.5 * row[2];
    let labels: String = x
        .outer_iter()
        .map(|row| format!("{}\n", u8::from(logit(row) > 0.0)))
        .collect();
    fs::write(folder.path().join("y.txt"), labels).unwrap();
    let mut request = request("sigmoid_of_one", &folder, "x.npy");
    request.labels = Some(folder.path().join("y.txt"));
    let imported = run(&request).unwrap();
    assert_eq!(imported.model.classes, [0, 1]);
    assert_eq!(imported.model.bootstrap_count(&"S".parse().unwrap()), 0);
    assert_eq!(imported.model.float_accuracy, Some(1.0));
    assert!(imported.integer_accuracy.unwrap() >= 0.95);
}

#[test]
fn a_single_output_without_one_claims_no_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    write_npy(&folder, "x.npy", &features(80, 4));
    let targets: String = (0..80).map(|i| format!("{}.5\n", i - 40)).collect();
    fs::write(folder.path().join("y.txt"), targets).unwrap();
    let mut request = request("sklearn_regression", &folder, "x.npy");
    request.labels = Some(folder.path().join("y.txt"));
    let imported = run(&request).unwrap();
    let accuracies = (imported.model.float_accuracy, imported.integer_accuracy);
    assert_eq!(accuracies, (None, None));
    assert!(imported.relative_error.unwrap() < 0.1);
    assert!(!imported.model.is_classifier());
    let text = report(&imported, &request).unwrap().join("\n");
    assert!(
        text.contains("of their deviation from the float network's"),
        "{text}"
    );
    assert!(!text.contains("accuracy over"), "{text}");
}

#[test]
fn calibration_images_that_cannot_serve_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let test = write_npy(&folder, "test.npy", &features(100, 6));
    let few = features(100, 6).slice_move(ndarray::s![..3, ..]);
    let shifted = features(100, 6).mapv(|value| value.abs() * 1.5);
    for (calibration, expected) in [(few, "only 3 images"), (shifted, "in the mean")] {
        write_npy(&folder, "x.npy", &calibration);
        let mut request = request("mat_mul", &folder, "x.npy");
        request.test = Some(test.clone());
        request.out = folder.path().join(expected.replace(' ', "-"));
        let imported = run(&request).unwrap();
        assert!(has_note(&imported, expected), "{:?}", imported.notes);
    }
}

/// Returns the folder of cases beside the data, if there is one.
fn cases() -> Option<PathBuf> {
    let folder = std::env::var_os("SPLITBENCH_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases"),
        |data| Path::new(&data).join("../cases"),
    );
    if folder.join("tabular").is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: no cases in {}; set SPLITBENCH_DATA",
        folder.display()
    );
    None
}

#[test]
fn networks_on_features_keep_their_accuracy() {
    let Some(cases) = cases() else { return };
    for (network, data, scale, least_float, least_integer) in [
        ("tabular/sk_cancer.onnx", "cancer", None, 0.978, 0.968),
        ("tabular/sk_cancer2.onnx", "cancer2", None, 0.978, 0.968),
        ("labels/binary_sigmoid.onnx", "bin", Some("1/16"), 0.91, 0.9),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut request = request("mat_mul", &folder, "x.npy");
        let part = |part: &str| cases.join(format!("tabular/data/{data}_{part}.npz"));
        request.onnx = cases.join(network);
        (request.calibrate, request.test) = (part("train"), Some(part("test")));
        request.preprocessing = Preprocessing::parse(scale, None, None, None).unwrap();
        let imported = run(&request).unwrap();
        let float = imported.model.float_accuracy.unwrap();
        let integer = imported.integer_accuracy.unwrap();
        let enough = float >= least_float && integer >= least_integer;
        assert!(enough, "{network}: float {float}, integers {integer}");
    }
}

#[test]
fn three_hundred_classes_are_all_told_apart() {
    let Some(cases) = cases() else { return };
    let cases = cases.join("labels/classes300-no-labels");
    let folder = tempfile::tempdir().unwrap();
    let mut request = request("mat_mul", &folder, "x.npy");
    (request.onnx, request.calibrate) = (cases.join("model.onnx"), cases.join("images.npy"));
    request.preprocessing = Preprocessing::parse(Some("1/255"), None, None, None).unwrap();
    run(&request).unwrap();
    let model = Model::load(&request.out).unwrap();
    let largest = (0..model.test.len())
        .map(|image| model.test.label(image))
        .max();
    assert!(largest > Some(255), "{largest:?}");
    let all: Vec<usize> = (0..model.test.len()).collect();
    let client = Placement::uniform(Party::Client, &model.pins());
    let accuracy = simulate(&model, &client, &[], &all, None).accuracy(&model, &all);
    assert_eq!(Some(accuracy), model.float_accuracy);
}
