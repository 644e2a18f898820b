//! Networks and data that once gave wrong figures or were refused, by kind, imported by the program as
//! a person does it.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "imported/data.rs"]
mod data;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder, the arguments of `import`, and the least accuracies in percent of the float network and
/// in integers.
struct Case {
    folder: &'static str,
    arguments: &'static str,
    least: Option<(f64, f64)>,
}

const fn case(folder: &'static str, arguments: &'static str, least: Option<(f64, f64)>) -> Case {
    Case {
        folder,
        arguments,
        least,
    }
}

/// A network around one operator.
const fn operator(arguments: &'static str, least_float: f64, least_integers: f64) -> Case {
    case("operators", arguments, Some((least_float, least_integers)))
}

const CASES: [Case; 31] = [
    case(
        "linear-runs/two-convs",
        "convs2.onnx --calibrate train.npz --test test.npz --scale 1/255",
        Some((80.5, 79.3)),
    ),
    case(
        "linear-runs/conv-avgpool-dense",
        "m.onnx --calibrate x.npy --scale 1/255 --weight-bits 2",
        None,
    ),
    case(
        "linear-runs/conv-avgpool-dense",
        "m.onnx --calibrate x.npy --scale 1/255",
        Some((100.0, 95.0)),
    ),
    case(
        "linear-runs/three-gemm",
        "three_gemm_tiny.onnx --calibrate three_gemm_tiny.npz",
        None,
    ),
    case(
        "tabular",
        "sk_cancer.onnx --calibrate data/cancer_train.npz --test data/cancer_test.npz",
        Some((97.8, 96.8)),
    ),
    case(
        "tabular",
        "sk_cancer2.onnx --calibrate data/cancer2_train.npz --test data/cancer2_test.npz",
        Some((97.8, 96.8)),
    ),
    case(
        "tabular",
        "sk_std_mlp.onnx --calibrate data/train.npz --test data/test.npz",
        Some((97.0, 96.0)),
    ),
    case(
        "tabular",
        "sk_sgd.onnx --calibrate data/train.npz --test data/test.npz",
        Some((91.0, 90.0)),
    ),
    case(
        "tabular",
        "sk_perceptron.onnx --calibrate data/train.npz --test data/test.npz",
        Some((91.0, 90.0)),
    ),
    case(
        "labels",
        "binary_sigmoid.onnx --calibrate ../tabular/data/bin_train.npz \
         --test ../tabular/data/bin_test.npz --scale 1/16",
        Some((90.0, 89.0)),
    ),
    case(
        "labels/sklearn-labels-from-1",
        "lr_from1.onnx --calibrate lr_from1_c.npz --test lr_from1_t.npz",
        Some((90.0, 89.0)),
    ),
    case(
        "labels/classes300-no-labels",
        "model.onnx --calibrate images.npy --scale 1/255",
        Some((100.0, 0.0)),
    ),
    case(
        "semantics/softmax_gather_perm",
        "model.onnx --calibrate images.npy --test images.npy --test-labels labels.npy --scale 1/255",
        Some((100.0, 30.0)),
    ),
    case(
        "semantics/pool-kernel-over-image-ceil",
        "model.onnx --calibrate images.npy --scale 1/255",
        None,
    ),
    case(
        "semantics/pow-int-exponent",
        "model.onnx --calibrate images.npy --scale 1/255",
        None,
    ),
    case(
        "semantics/nhwc-input",
        "model.onnx --calibrate images-nhwc.npz --scale 1/255 --layout hwc",
        None,
    ),
    case(
        "quantised",
        "qonnx_jettagging.onnx --calibrate qonnx_jettagging.npz --scale 1/255",
        None,
    ),
    case(
        "label-answer/gap",
        "m.onnx --calibrate x.npy --labels l.npy --scale 1/255",
        None,
    ),
    operator(
        "conv1d.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        93.7,
        92.7,
    ),
    operator(
        "convtranspose.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        95.7,
        94.7,
    ),
    operator(
        "dense_cat.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        96.8,
        95.8,
    ),
    operator(
        "dilated.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        90.1,
        89.1,
    ),
    operator(
        "elu.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        95.5,
        94.5,
    ),
    operator(
        "gelu.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        95.9,
        94.9,
    ),
    operator(
        "inception.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        92.6,
        91.6,
    ),
    operator(
        "mish.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        95.9,
        94.9,
    ),
    operator(
        "res_gelu.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        97.7,
        96.7,
    ),
    operator(
        "selu.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        95.7,
        94.7,
    ),
    operator(
        "softplus.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        91.7,
        90.7,
    ),
    operator(
        "softsign.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        94.3,
        93.3,
    ),
    operator(
        "upsample.onnx --calibrate ../tabular/data/img_train.npz \
     --test ../tabular/data/img_test.npz --scale 1/16",
        94.8,
        93.7,
    ),
];

/// Returns the folder of cases, if there is one.
fn cases() -> Option<PathBuf> {
    let data = std::env::var_os("SPLITBENCH_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    let folder = data.map_or(beside, |data| data.join("cases"));
    if folder.join("linear-runs").is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no cases in {}", folder.display());
    None
}

fn run(folder: &Path, arguments: &str, out: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_splitbench"))
        .current_dir(folder)
        .arg("import")
        .args(arguments.split_whitespace())
        .arg("-o")
        .arg(out)
        .output()
        .unwrap()
}

/// Returns the number in front of the first `%` behind a word.
fn percent_behind(text: &str, word: &str) -> Option<f64> {
    let (_, rest) = text.split_once(word)?;
    let (number, _) = rest.trim_start().split_once(" %")?;
    number.parse().ok()
}

/// Returns the accuracies of the float network and in integers that a report tells, in percent.
fn accuracies(report: &str) -> Option<(f64, f64)> {
    let (_, line) = report.split_once("accuracy over")?;
    Some((
        percent_behind(line, "float")?,
        percent_behind(line, "integers")?,
    ))
}

#[test]
fn what_was_wrong_or_refused_is_right() {
    let Some(folder) = cases() else { return };
    let out = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for (index, case) in CASES.iter().enumerate() {
        let output = run(
            &folder.join(case.folder),
            case.arguments,
            &out.path().join(index.to_string()),
        );
        let report = String::from_utf8(output.stdout).unwrap();
        let found = accuracies(&report);
        let enough = case.least.is_none_or(|(float, integers)| {
            found.is_some_and(|found| found.0 >= float && found.1 >= integers)
        });
        if !output.status.success() || !enough {
            let error = String::from_utf8_lossy(&output.stderr);
            let last = error.lines().last().unwrap_or_default();
            failures.push(format!(
                "{} {}: {found:?} {last}",
                case.folder, case.arguments
            ));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn more_bits_are_never_worse_on_a_real_test_set() {
    const IMAGES: f64 = 10_000.0;
    let (Some(folder), Some(data)) = (cases(), data::data()) else {
        return;
    };
    let folder = folder.join("linear-runs/mnist-more-bits");
    let mnist = data.join("mnist");
    let mnist = mnist.to_str().unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut before: Option<f64> = None;
    for bits in 4..=8 {
        let arguments = format!(
            "mnist.onnx --calibrate train.npz --test {mnist}/t10k-images-idx3-ubyte.gz \
             --test-labels {mnist}/t10k-labels-idx1-ubyte.gz --scale 1/255 --bits {bits} \
             --weight-bits {bits}"
        );
        let output = run(&folder, &arguments, &out.path().join(bits.to_string()));
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(
            report.contains("accuracy over 10000 test images"),
            "{report}"
        );
        let fraction = accuracies(&report).unwrap().1 / 100.0;
        let error = |fraction: f64| fraction * (1.0 - fraction) / IMAGES;
        if let Some(before) = before {
            let slack = 2.0 * (error(fraction) + error(before)).sqrt();
            assert!(
                fraction >= before - slack,
                "{fraction} with {bits} bits, {before} with fewer"
            );
        }
        before = Some(fraction);
    }
}

/// Returns what `params` says of a model with everything on the server.
fn params(model: &Path, placement: &str, more: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_splitbench"))
        .args(["params", "--placement", placement, "--model"])
        .arg(model)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// Comparisons round weights otherwise than answers do: without a correction of their own, labels of
/// logits that lie close are others than the logits'.
#[test]
fn labels_are_as_right_as_logits() {
    let Some(folder) = cases() else { return };
    let out = tempfile::tempdir().unwrap();
    let model = out.path().join("gap");
    let arguments =
        "m.onnx --calibrate x.npy --labels l.npy --test x.npy --test-labels l.npy --scale 1/255";
    assert!(
        run(&folder.join("label-answer/gap"), arguments, &model)
            .status
            .success()
    );
    let noiseless = |answer| {
        let text = params(&model, "SSSS", &["--answer", answer]);
        let (_, line) = text.split_once("accuracy over").unwrap();
        percent_behind(line, "images").unwrap()
    };
    let (logits, label) = (noiseless("logits"), noiseless("label"));
    assert!(label >= logits - 2.0, "label {label} %, logits {logits} %");
}

/// A fraction of step noise is found for each segment, kept beside the model, and found there again.
#[test]
fn step_noise_is_kept_beside_the_model() {
    let Some(folder) = cases() else { return };
    let out = tempfile::tempdir().unwrap();
    let model = out.path().join("mlp");
    let arguments = "sk_std_mlp.onnx --calibrate data/train.npz --test data/test.npz";
    assert!(
        run(&folder.join("tabular"), arguments, &model)
            .status
            .success()
    );
    let layers = std::fs::read_to_string(model.join("model.json")).unwrap();
    let layers = layers.matches("\"op\"").count() - layers.matches("\"flatten\"").count();
    let placement = format!("C{}", "S".repeat(layers - 1));
    let first = params(&model, &placement, &[]);
    assert!(first.contains("step noise 0."), "{first}");
    assert!(first.contains("found in"), "{first}");
    let second = params(&model, &placement, &[]);
    assert!(!second.contains("found in"), "{second}");
    let kept = std::fs::read_to_string(model.join("step-noise.json")).unwrap();
    assert_eq!(kept.matches("share").count(), 2, "{kept}");
}
