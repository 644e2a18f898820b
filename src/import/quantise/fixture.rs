//! Networks of two inputs and two classes, small enough to work out by hand, and what their import
//! asks for.

use ndarray::{Array1, Array2};

use super::calibration::RangeMethod;
use super::draft::ModelDraft;
use crate::import::data::{FittedSet, Preprocessing};
use crate::import::lower::fixture::dense;
use crate::import::network::{Layer, Network, Operation, Tail};
use crate::import::request::ImportRequest;
use crate::model::layer::Function;

/// Returns what an import into the folder `digits` asks for.
pub fn request() -> ImportRequest {
    ImportRequest {
        onnx: "networks/net.onnx".into(),
        shapes: Vec::new(),
        calibrate: "images.npy".into(),
        labels: None,
        test: None,
        test_labels: None,
        calibration_images: 1000,
        preprocessing: Preprocessing::default(),
        bits: None,
        weight_bits: None,
        range: RangeMethod::MinMax,
        most_loss: 0.01,
        out: "models/digits".into(),
    }
}

/// Returns four images whose larger element is their class; reals are the integers themselves.
pub fn images() -> FittedSet {
    FittedSet {
        images: vec![3, 0, 2, 1, 1, 2, 0, 3],
        count: 4,
        scale: vec![1.0; 2],
        offset: vec![0.0; 2],
        reals: None,
        labels: Some(vec![0, 0, 1, 1]),
        notes: Vec::new(),
    }
}

/// Returns the network `front`, `relu`, `back`, which gives what it is given.
pub fn network() -> Network {
    network_of(vec![same("front", 0), relu("relu", 1), same("back", 2)])
}

/// Returns a network of these layers.
pub fn network_of(layers: Vec<Layer>) -> Network {
    Network {
        input_shape: vec![2],
        input_parts: Vec::new(),
        layers,
        tail: Tail::None,
        classes: None,
        notes: Vec::new(),
    }
}

/// Returns a dense layer that gives what it reads.
pub fn same(name: &str, input: usize) -> Layer {
    layer(name, &[input], dense(Array2::eye(2), Array1::zeros(2)))
}

/// Returns an activation.
pub fn relu(name: &str, input: usize) -> Layer {
    layer(name, &[input], Operation::Activation(Function::Relu))
}

/// Returns a layer of two outputs.
pub fn layer(name: &str, inputs: &[usize], operation: Operation) -> Layer {
    Layer {
        name: name.into(),
        inputs: inputs.to_vec(),
        shape: vec![2],
        block: None,
        is_pinned: false,
        operation,
    }
}

/// Returns the draft of a network, its test images those of [`images`].
pub fn draft(network: Network) -> ModelDraft {
    ModelDraft::new(&request(), network, &images(), &images()).expect("within limits")
}
