//! Real networks: every file reads, and gives the logits that ONNX Runtime gave.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "imported/data.rs"]
mod data;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use ndarray::{Array2, ArrayD};
use ndarray_npy::ReadNpyExt;
use splitbench::import::Network;
use splitbench::import::evaluate::evaluate;
use splitbench::import::network::{Operation, Tail};
use splitbench::import::read_network;
use splitbench::model::layer::Function;

use data::data;

/// How many images are compared.
const IMAGES: usize = 5;

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// Returns the first test images as bytes.
fn images(folder: &Path, is_colour: bool) -> Vec<Vec<u8>> {
    let (file, header, label, size) = if is_colour {
        ("cifar10/test_batch.bin.gz", 0, 1, 3072)
    } else {
        ("mnist/t10k-images-idx3-ubyte.gz", 16, 0, 784)
    };
    let bytes = unpacked(&folder.join(file));
    let records = bytes[header..].chunks_exact(label + size);
    records
        .take(IMAGES)
        .map(|record| record[label..].to_vec())
        .collect()
}

/// Returns the input that a network was trained on.
fn preprocessed(model: &str, image: &[u8]) -> Vec<f32> {
    const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
    let value = |(index, &byte): (usize, &u8)| {
        let byte = f32::from(byte);
        let channel = index / 1024;
        match model {
            _ if model.starts_with("resnet20") => {
                (byte / 255.0 - MEAN[channel]) / DEVIATION[channel]
            }
            _ if model.starts_with("onnxzoo") || model.starts_with("mlperf") => byte,
            _ if model.starts_with("cryptonets") => byte / 256.0,
            _ => byte / 255.0,
        }
    };
    image.iter().enumerate().map(value).collect()
}

/// Returns the file's own output for the logits.
fn with_tail(network: &Network, logits: Vec<f32>) -> Vec<f32> {
    if network.tail != Tail::Softmax {
        return logits;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

fn model(name: &str) -> Option<Network> {
    let path = data()?.join("models").join(format!("{name}.onnx"));
    Some(read_network(&path).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn every_model_gives_its_reference_logits() {
    let Some(folder) = data() else { return };
    let mut failures = Vec::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder.join("models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "onnx")
    });
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let network = match read_network(&path) {
            Ok(network) => network,
            Err(error) => {
                failures.push(format!("{error}"));
                continue;
            }
        };
        let reference = folder.join("reference-logits").join(format!("{name}.npy"));
        let Ok(file) = File::open(reference) else {
            continue;
        };
        let reference: Array2<f32> = ArrayD::<f32>::read_npy(file)
            .unwrap()
            .into_dimensionality()
            .unwrap();
        // Sums in another order round to other steps of the quantisers: up to three of the last.
        let tolerance = if name.contains("int8") { 0.52 } else { 1e-3 };
        let is_colour = network.input_shape[0] == 3;
        for (index, image) in images(&folder, is_colour).iter().enumerate() {
            let output = evaluate(&network, &preprocessed(&name, image));
            let output = with_tail(&network, output);
            let distance = output
                .iter()
                .zip(reference.row(index))
                .map(|(value, expected)| (value - expected).abs())
                .fold(0.0, f32::max);
            let largest = reference
                .row(index)
                .iter()
                .fold(1.0f32, |a, b| a.max(b.abs()));
            if distance > tolerance * (largest / 20.0).max(1.0) {
                failures.push(format!("{name}, image {index}: {distance} away"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn residual_networks_have_their_blocks_and_names() {
    let Some(network) = model("resnet20_akamaster") else {
        return;
    };
    let layers = &network.layers;
    let block = |name: &str| {
        let mut names = layers
            .iter()
            .filter(|layer| layer.block.as_deref() == Some(name));
        std::iter::from_fn(|| names.next().map(|layer| layer.name.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(block("block1").len(), 5);
    assert_eq!(block("block9").len(), 5);
    assert_eq!(block("block4").len(), 6);
    assert!(block("block10").is_empty());
    assert_eq!((block("stem").len(), block("head").len()), (2, 3));
    let expected = [
        "layer2.0.conv1",
        "relu8",
        "layer2.0.conv2",
        "layer2.0.shortcut_optA",
        "add4",
        "relu9",
    ];
    assert_eq!(block("block4"), expected);
    assert_eq!(layers.len(), 2 + 7 * 5 + 2 * 6 + 3);
    assert!(network.notes.is_empty(), "{:?}", network.notes);
}

#[test]
fn polynomials_become_one_activation_each() {
    let Some(network) = model("delphi_minionn_cifar10_7_approx") else {
        return;
    };
    let functions: Vec<&Function> = network
        .layers
        .iter()
        .filter_map(|layer| match &layer.operation {
            Operation::Activation(function) => Some(function),
            _ => None,
        })
        .collect();
    assert_eq!(functions.len(), 7);
    for function in functions {
        let Function::Polynomial(polynomial) = function else {
            panic!("{function:?}");
        };
        assert_eq!(polynomial.coefficients.len(), 3);
    }
}

#[test]
fn quantised_weights_keep_their_integers() {
    for (name, most) in [("TFC_2W2A", 2), ("mlperf_tiny_resnet8_int8_qdq", 8)] {
        let Some(network) = model(name) else { return };
        for layer in &network.layers {
            if let Operation::Conv2d { quantisation, .. } | Operation::Dense { quantisation, .. } =
                &layer.operation
            {
                let quantisation = quantisation.as_ref().unwrap();
                assert_eq!(quantisation.bits, most, "{}", layer.name);
                assert_eq!(quantisation.scale.len(), layer.shape[0]);
            }
        }
    }
}

/// Returns the class of the largest logit.
fn label(logits: &[f32]) -> usize {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.unwrap().0
}

#[test]
fn the_resnet20_that_ships_keeps_its_integers_and_classifies() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/resnet20.onnx");
    let network = read_network(&path).unwrap();
    let bits: Vec<u32> = network
        .layers
        .iter()
        .filter_map(|layer| match &layer.operation {
            Operation::Conv2d { quantisation, .. } | Operation::Dense { quantisation, .. } => {
                Some(quantisation.as_ref()?.bits)
            }
            _ => None,
        })
        .collect();
    let expected: Vec<u32> = [8].into_iter().chain([4; 18]).chain([8]).collect();
    assert_eq!(bits, expected);
    let activations = network
        .layers
        .iter()
        .filter(|layer| matches!(layer.operation, Operation::Activation(_)));
    assert_eq!(activations.count(), 19);
    let Some(folder) = data() else { return };
    let labels = unpacked(&folder.join("cifar10/test_batch.bin.gz"));
    let labels = labels
        .chunks_exact(3073)
        .map(|record| usize::from(record[0]));
    let images = images(&folder, true);
    let right = images.iter().zip(labels).filter(|(image, right)| {
        label(&evaluate(&network, &preprocessed("resnet20", image))) == *right
    });
    assert!(right.count() + 1 >= images.len());
}
