//! Small models of one or a few operators each, against ONNX Runtime (`golden/make_golden.py`).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::Path;

use serde::Deserialize;
use splitbench::import::evaluate::evaluate;
use splitbench::import::network::{Network, Operation, Tail};
use splitbench::import::read_network;

/// One image and the file's output for it.
#[derive(Deserialize)]
struct Case {
    name: String,
    input: Vec<f32>,
    output: Vec<f32>,
    /// What the file calls its classes.
    classes: Option<Vec<i64>>,
}

/// A file that is not read, and what the reason says.
#[derive(Deserialize)]
struct Refusal {
    name: String,
    words: String,
}

/// Returns the folder of the cases: `$SPLITBENCH_GOLDEN` tries others of the same form.
fn folder() -> std::path::PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::env::var_os("SPLITBENCH_GOLDEN").map_or_else(own, Into::into)
}

fn listed<T: serde::de::DeserializeOwned>(file: &str) -> Vec<T> {
    serde_json::from_slice(&fs::read(folder().join(file)).unwrap()).unwrap()
}

fn network(name: &str) -> Network {
    let path = folder().join(format!("{name}.onnx"));
    read_network(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns what the file gives for these logits.
fn with_tail(network: &Network, logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    match network.tail {
        Tail::None => logits.to_vec(),
        Tail::Sigmoid => logits
            .iter()
            .map(|logit| 1.0 / (1.0 + (-logit).exp()))
            .collect(),
        Tail::Softmax => logits
            .iter()
            .map(|logit| (logit - largest).exp() / sum)
            .collect(),
        Tail::LogSoftmax => logits
            .iter()
            .map(|logit| logit - largest - sum.ln())
            .collect(),
        Tail::ArgMax => {
            let label = logits.iter().position(|logit| *logit == largest).unwrap();
            let class = network.classes.as_ref().map(|classes| classes[label]);
            vec![class.unwrap_or(label as i64) as f32]
        }
    }
}

/// Returns what is wrong with a network that is otherwise right: every layer reads earlier ones,
/// names differ, blocks are in one piece, and a max pool follows an activation.
fn structure_fault(network: &Network) -> Option<String> {
    let mut names = std::collections::HashSet::from(["input"]);
    let mut blocks: Vec<&str> = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        if !names.insert(&layer.name) {
            return Some(format!("two layers {}", layer.name));
        }
        if layer.inputs.iter().any(|&input| input > index) {
            return Some(format!("{} reads what comes later", layer.name));
        }
        if let Some(block) = layer.block.as_deref()
            && blocks.last() != Some(&block)
        {
            if blocks.contains(&block) {
                return Some(format!("{block} is in pieces"));
            }
            blocks.push(block);
        }
        if let Operation::MaxPool { .. } | Operation::Largest { .. } = layer.operation {
            let before = layer.inputs[0]
                .checked_sub(1)
                .map(|input| &network.layers[input].operation);
            if !matches!(
                before,
                Some(
                    Operation::Activation(_)
                        | Operation::MaxPool { .. }
                        | Operation::Largest { .. }
                )
            ) {
                return Some(format!("{} follows no activation", layer.name));
            }
        }
    }
    None
}

#[test]
fn every_case_gives_the_output_of_onnx_runtime() {
    let mut failures = Vec::new();
    for case in listed::<Case>("cases.json") {
        let path = folder().join(format!("{}.onnx", case.name));
        let network = match read_network(&path) {
            Ok(network) => network,
            Err(error) => {
                failures.push(format!("{error}"));
                continue;
            }
        };
        if let Some(fault) = structure_fault(&network) {
            failures.push(format!("{}: {fault}", case.name));
        }
        if network.classes != case.classes {
            let (found, own) = (&network.classes, &case.classes);
            failures.push(format!("{}: classes {found:?} are not {own:?}", case.name));
        }
        let output = with_tail(&network, &evaluate(&network, &case.input));
        let pairs = output.iter().zip(&case.output);
        let is_close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
        if output.len() != case.output.len() || !pairs.into_iter().all(is_close) {
            failures.push(format!(
                "{}: {output:?} is not {:?}",
                case.name, case.output
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures: {failures:#?}",
        failures.len()
    );
}

#[test]
fn what_would_be_read_wrongly_is_refused_by_node() {
    let mut failures = Vec::new();
    for Refusal { name, words } in listed("refusals.json") {
        let path = folder().join(format!("{name}.onnx"));
        match read_network(&path) {
            Ok(_) => failures.push(format!("{name}: is read")),
            Err(error) => {
                let text = error.to_string();
                let names = ["node ", "output "].iter().any(|part| text.contains(part));
                let is_placed = names && text.lines().count() == 1;
                if !is_placed || !text.contains(&words) {
                    failures.push(format!("{name}: {text:?} does not say {words:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Returns the kinds of the layers, in order.
fn kinds(name: &str) -> Vec<&'static str> {
    let kind = |operation: &Operation| match operation {
        Operation::Dense { .. } => "dense",
        Operation::Conv2d { .. } => "conv",
        Operation::AveragePool { .. } => "average_pool",
        Operation::MaxPool { .. } | Operation::Largest { .. } => "max_pool",
        Operation::Activation(function) => function.name(),
        Operation::Add => "add",
        Operation::Flatten => "flatten",
        Operation::Reshape => "reshape",
        Operation::Linear { .. } => "linear",
        Operation::Pinned(_) => "pinned",
    };
    let network = network(name);
    let mut kinds: Vec<_> = network
        .layers
        .iter()
        .map(|layer| kind(&layer.operation))
        .collect();
    // The output of every network is a list.
    if kinds.last() == Some(&"flatten") {
        kinds.pop();
    }
    kinds
}

#[test]
fn what_can_be_folded_is_folded() {
    for (name, expected) in [
        ("norm_after_conv", &["conv"][..]),
        ("norm_after_relu", &["conv", "relu", "conv"]),
        ("norm_relu_conv", &["conv", "relu", "conv"]),
        ("norm_relu_padded_conv", &["conv", "relu", "conv", "conv"]),
        ("norm_flat_relu", &["dense", "relu", "dense"]),
        (
            "elements_after_flatten",
            &["conv", "relu", "flatten", "dense"],
        ),
        ("polynomial", &["conv", "polynomial"]),
        ("swish", &["conv", "function"]),
        ("hard_swish_parts", &["conv", "hard_swish"]),
        ("max_pool_before_relu", &["conv", "relu", "max_pool"]),
        (
            "max_pool_before_square",
            &["conv", "identity", "max_pool", "square"],
        ),
        ("qdq_after_relu", &["conv", "relu"]),
        ("sklearn_mlp_2", &["dense", "tanh", "dense"]),
        ("sklearn_scaled_mlp", &["dense", "sigmoid", "dense"]),
        ("sklearn_min_max_logistic", &["dense"]),
        ("transpose_bias_flatten", &["conv", "flatten", "dense"]),
        ("gather_behind_softmax", &["dense"]),
        ("gather_of_input", &["dense"]),
        ("gather_behind_function", &["dense", "tanh", "linear"]),
        ("pad_relu_conv_fill", &["relu", "conv"]),
        ("pad_max_pool", &["relu", "max_pool"]),
    ] {
        assert_eq!(kinds(name), expected, "{name}");
    }
}

#[test]
fn blocks_hold_their_branches_and_the_activation_after() {
    let blocks = |name: &str| -> Vec<Option<String>> {
        let mut layers = network(name).layers;
        // The output of every network is a list.
        layers.retain(|layer| !matches!(layer.operation, Operation::Flatten));
        layers.into_iter().map(|layer| layer.block).collect()
    };
    let one = Some("block1".to_owned());
    let stem = Some("stem".to_owned());
    let with = |before: usize, inside: usize| -> Vec<Option<String>> {
        [vec![stem.clone(); before], vec![one.clone(); inside]].concat()
    };
    assert_eq!(blocks("residual"), with(2, 3));
    assert_eq!(blocks("residual_shortcut"), with(2, 4));
    assert_eq!(blocks("residual_nested"), with(2, 5));
    assert_eq!(blocks("conv_plain"), [None]);
}

#[test]
fn folding_keeps_the_integers_of_weights() {
    let network = network("qdq_weights_norm");
    let Operation::Conv2d {
        weights,
        quantisation: Some(quantisation),
        ..
    } = &network.layers[0].operation
    else {
        panic!("{:?}", network.layers);
    };
    assert_eq!(quantisation.bits, 8);
    for (kernel, &scale) in weights.outer_iter().zip(&quantisation.scale) {
        assert!(scale > 0.0);
        assert!(
            kernel
                .iter()
                .all(|weight| ((weight / scale).round() - weight / scale).abs() < 1e-3)
        );
    }
}
