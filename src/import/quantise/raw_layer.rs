//! A layer as a model folder writes it: its operation, and the names of its tensors.

use ndarray::Array1;

use super::tensor_file::TensorFile;
use super::weight_bits::own_bits;
use crate::import::network::{Layer, Network, Operation, WeightQuantisation};
use crate::model::format::{RawLayer, RawOperation, RawQuantisation};
use crate::model::layer::{Function, Linear, Operation as NodeOperation};
use crate::model::quantise::QuantParams;

/// Returns a layer as the folder writes it, and puts its tensors into a file; `bits` are those of its
/// weights, and `settled` is its operation in the model, where there is one.
pub fn raw_layer(
    network: &Network,
    index: usize,
    bits: u32,
    settled: Option<&NodeOperation>,
    file: &mut TensorFile,
) -> RawLayer {
    let layer = &network.layers[index];
    let value_name = |value: usize| match value.checked_sub(1) {
        None => "input".to_owned(),
        Some(layer) => network.layers[layer].name.clone(),
    };
    let tensors = LayerTensors {
        layer,
        settled,
        file,
    };
    let operation = raw_operation(tensors, bits, value_name);
    // The value before a layer is its input unless another is named.
    let named = layer.inputs[0] != index;
    RawLayer {
        name: layer.name.clone(),
        input: named.then(|| value_name(layer.inputs[0])),
        block: layer.block.clone(),
        operation,
    }
}

/// Returns the operation of a layer as the folder writes it; `value_name` tells what a value is called
/// there.
fn raw_operation(
    mut tensors: LayerTensors<'_>,
    bits: u32,
    value_name: impl Fn(usize) -> String,
) -> RawOperation {
    let layer = tensors.layer;
    match &layer.operation {
        Operation::Dense {
            weights,
            bias,
            quantisation,
        } => RawOperation::Dense {
            weights: tensors.put("weights", weights.shape(), weights.iter().copied()),
            bias: tensors.bias(bias),
            range: tensors.range(),
            weight_scale: tensors.weight_scale(quantisation.as_ref(), bits),
            correction: tensors.correction(),
            weight_bits: bits,
        },
        Operation::Conv2d {
            weights,
            bias,
            stride,
            padding,
            groups,
            quantisation,
        } => RawOperation::Conv2d {
            weights: tensors.put("weights", weights.shape(), weights.iter().copied()),
            bias: tensors.bias(bias),
            stride: *stride,
            padding: *padding,
            groups: *groups,
            range: tensors.range(),
            weight_scale: tensors.weight_scale(quantisation.as_ref(), bits),
            correction: tensors.correction(),
            weight_bits: bits,
        },
        Operation::AveragePool {
            kernel,
            stride,
            padding,
            count_padding,
            excess,
        } => RawOperation::AveragePool {
            kernel: *kernel,
            stride: *stride,
            padding: *padding,
            count_padding: *count_padding,
            excess: *excess,
            range: tensors.linear().map(|_| tensors.range()),
        },
        Operation::MaxPool {
            kernel,
            stride,
            padding,
        } => RawOperation::MaxPool {
            kernel: *kernel,
            stride: *stride,
            padding: *padding,
        },
        Operation::Activation(function) => RawOperation::Activation {
            function: function.clone(),
            output: settled_output(tensors.settled, function),
        },
        Operation::Add => RawOperation::Add {
            other: value_name(layer.inputs[1]),
            range: tensors.range(),
        },
        Operation::Flatten => RawOperation::Flatten {},
    }
}

/// The tensors of a layer, on their way into a file.
struct LayerTensors<'a> {
    layer: &'a Layer,
    settled: Option<&'a NodeOperation>,
    file: &'a mut TensorFile,
}

impl<'a> LayerTensors<'a> {
    /// Returns how many output channels the layer has.
    fn channels(&self) -> usize {
        self.layer.shape.first().copied().unwrap_or(1)
    }

    /// Returns the linear operation that is settled.
    fn linear(&self) -> Option<&'a Linear> {
        match self.settled {
            Some(NodeOperation::Linear(linear)) => Some(linear),
            _ => None,
        }
    }

    /// Puts a tensor into the file, and returns its name.
    fn put(&mut self, part: &str, shape: &[usize], values: impl Iterator<Item = f32>) -> String {
        let name = format!("{}.{part}", self.layer.name);
        self.file.put(name, shape.to_vec(), values)
    }

    /// Puts the biases into the file.
    fn bias(&mut self, bias: &Array1<f32>) -> String {
        self.put("bias", &[self.channels()], bias.iter().copied())
    }

    /// Puts the range of each channel into the file: zeros where none is settled.
    fn range(&mut self) -> String {
        let channels = self.channels();
        let ranges = match self.settled {
            Some(NodeOperation::Linear(linear)) => one_each(&linear.range, channels),
            Some(NodeOperation::Add(add)) => one_each(&add.range, channels),
            _ => vec![(0.0, 0.0); channels],
        };
        let flat = ranges.into_iter().flat_map(|(low, high)| [low, high]);
        self.put("range", &[channels, 2], flat)
    }

    /// Puts the scales of weights that keep the file's own integers into the file.
    fn weight_scale(&mut self, own: Option<&WeightQuantisation>, bits: u32) -> Option<String> {
        let own = own.filter(|_| bits == own_bits(self.layer))?;
        let scales = own.scale.iter().copied();
        Some(self.put("weight_scale", &[self.channels()], scales))
    }

    /// Puts the corrections of a linear layer's biases into the file, where there are any.
    fn correction(&mut self) -> Option<String> {
        let channels = self.channels();
        let correction = one_each(&self.linear()?.correction, channels);
        let is_corrected = correction.iter().any(|&c| c != 0.0);
        is_corrected.then(|| self.put("correction", &[channels], correction.into_iter()))
    }
}

/// Returns the integers of an activation; before they are settled, any that are valid.
fn settled_output(settled: Option<&NodeOperation>, function: &Function) -> RawQuantisation {
    let QuantParams { scale, low, high } = match settled {
        Some(NodeOperation::Activation(activation)) => activation.output,
        _ => function.quantisation().unwrap_or(QuantParams {
            scale: 1.0,
            low: 0,
            high: 1,
        }),
    };
    RawQuantisation { scale, low, high }
}

/// Returns the number of each channel, of numbers that are equal within channels.
fn one_each<T: Copy>(per_element: &[T], channels: usize) -> Vec<T> {
    let size = (per_element.len() / channels).max(1);
    per_element.iter().copied().step_by(size).collect()
}
