//! A layer as a model folder writes it: its operation, and the names of its tensors.

use std::collections::HashMap;

use ndarray::Array1;

use super::tensor_file::TensorFile;
use super::weight_bits::own_bits;
use crate::core::linear_map::{LinearMap, PADDING};
use crate::import::network::{Layer, Network, Operation, WeightQuantisation};
use crate::model::format::{RawLayer, RawOperand, RawOperation, RawQuantisation};
use crate::model::layer::pinned::Operand;
use crate::model::layer::{Function, Linear, Operation as NodeOperation};
use crate::model::quantise::QuantParams;

/// The largest integer that a weight may become that was not trained.
const MOST_MULTIPLE: f32 = 4096.0;

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
    // The value before a layer is its input unless another is named; operands of ONNX name theirs.
    let is_operator = matches!(layer.operation, Operation::Pinned(_));
    let named = layer.inputs[0] != index && !is_operator;
    RawLayer {
        name: layer.name.clone(),
        input: named.then(|| value_name(layer.inputs[0])),
        block: layer.block.clone(),
        pinned: layer.is_pinned && !is_operator && is_node(layer),
        operation,
    }
}

/// Returns whether a layer becomes a node of the model, and no new shape alone.
pub fn is_node(layer: &Layer) -> bool {
    !matches!(layer.operation, Operation::Flatten | Operation::Reshape)
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
        Operation::Reshape => RawOperation::Reshape {
            shape: layer.shape.clone(),
        },
        Operation::Linear { map, bias, fixed } => {
            let (weights, blocks) = listed(map);
            RawOperation::Linear {
                shape: layer.shape.clone(),
                blocks: tensors.put("blocks", &[blocks.len()], blocks.iter().copied()),
                bias: tensors.each_bias(bias),
                fixed: *fixed,
                range: tensors.range(),
                weight_scale: tensors.unit(*fixed, &weights),
                correction: tensors.correction(),
                weight_bits: bits,
                weights: tensors.put("weights", &[weights.len()], weights.into_iter()),
            }
        }
        Operation::Pinned(pinned) => {
            let mut inputs = layer.inputs.iter().map(|&input| value_name(input));
            let operands = pinned.operands.iter().enumerate();
            let operands = operands.map(|(index, operand)| match operand {
                Operand::Absent => RawOperand::Nothing {},
                Operand::Value { shape, kind } => RawOperand::Value {
                    value: inputs.next().unwrap_or_default(),
                    shape: shape.clone(),
                    kind: *kind,
                },
                Operand::Constant(constant) => RawOperand::Constant {
                    tensor: tensors.put(
                        &format!("operand{index}"),
                        &constant.shape,
                        constant.values.iter().copied(),
                    ),
                    kind: constant.kind,
                },
            });
            RawOperation::Pinned {
                operator: pinned.operator.clone(),
                operands: operands.collect(),
                shape: layer.shape.clone(),
                range: tensors.pinned_range(),
            }
        }
        Operation::Largest { windows } => {
            let list = windows.iter().flat_map(|window| {
                let elements = window.iter().map(|&element| element as f32);
                std::iter::once(window.len() as f32).chain(elements)
            });
            let list: Vec<f32> = list.collect();
            RawOperation::Largest {
                shape: layer.shape.clone(),
                windows: tensors.put("windows", &[list.len()], list.iter().copied()),
            }
        }
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

    /// Puts the biases of all elements into the file: one for each channel where that is all.
    fn each_bias(&mut self, bias: &[f32]) -> String {
        let channels = self.channels();
        let runs = bias.chunks((bias.len() / channels).max(1));
        let is_one_each = |mut run: std::slice::Windows<'_, f32>| run.all(|two| two[0] == two[1]);
        let numbers = if runs.clone().all(|run| is_one_each(run.windows(2))) {
            one_each(bias, channels)
        } else {
            bias.to_vec()
        };
        self.put("bias", &[numbers.len()], numbers.into_iter())
    }

    /// Puts the number of which all weights that were not trained are multiples into the file, where
    /// there is one.
    fn unit(&mut self, fixed: bool, weights: &[f32]) -> Option<String> {
        let sizes = weights.iter().map(|weight| weight.abs());
        let unit = sizes
            .filter(|&size| size > 0.0)
            .fold(f32::INFINITY, f32::min);
        let is_multiple = |weight: &f32| {
            let multiple = weight / unit;
            multiple.abs() <= MOST_MULTIPLE && (multiple - multiple.round()).abs() < 1e-3
        };
        if !fixed || !unit.is_finite() || !weights.iter().all(is_multiple) {
            return None;
        }
        let channels = self.channels();
        Some(self.put(
            "weight_scale",
            &[channels],
            std::iter::repeat_n(unit, channels),
        ))
    }

    /// Puts the range of each channel of an operator at the client into the file, where it is finite.
    fn pinned_range(&mut self) -> Option<String> {
        let Some(NodeOperation::Pinned(pinned)) = self.settled else {
            return None;
        };
        let ends = pinned.range.iter().flat_map(|&(low, high)| [low, high]);
        ends.into_iter().all(f32::is_finite).then(|| self.range())
    }

    /// Puts the range of each channel into the file: zeros where none is settled.
    fn range(&mut self) -> String {
        let channels = self.channels();
        let ranges = match self.settled {
            Some(NodeOperation::Pinned(pinned)) => one_each(&pinned.range, channels),
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

/// Returns the weights of a map, each matrix once, and its blocks: the first weight, rows, columns,
/// outputs and inputs of each, -1 for padding.
fn listed(map: &LinearMap<f32>) -> (Vec<f32>, Vec<f32>) {
    let mut firsts: HashMap<*const f32, usize> = HashMap::new();
    let (mut weights, mut blocks) = (Vec::new(), Vec::new());
    for block in &map.blocks {
        let first = *firsts.entry(block.weights.as_ptr()).or_insert_with(|| {
            weights.extend_from_slice(&block.weights);
            weights.len() - block.weights.len()
        });
        let head = [first, block.outputs.len(), block.inputs.len()];
        blocks.extend(head.map(|number| number as f32));
        blocks.extend(block.outputs.iter().map(|&output| output as f32));
        blocks.extend(block.inputs.iter().map(|&input| match input {
            PADDING => -1.0,
            input => input as f32,
        }));
    }
    (weights, blocks)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::linear_map::Block;
    use crate::import::quantise::fixture::{draft, layer, network, network_of, relu, same};
    use crate::model::layer::function::Quantise;
    use std::sync::Arc;

    /// Returns the float32 numbers of a tensor.
    fn numbers(file: &TensorFile, name: &str) -> Vec<f32> {
        let tensor = file.tensors.iter().find(|tensor| tensor.name == name);
        let tensor = tensor.expect("a tensor of that name");
        let count: usize = tensor.shape.iter().product();
        let bytes = &file.bytes[tensor.offset..tensor.offset + 4 * count];
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
        bytes.chunks_exact(4).map(number).collect()
    }

    #[test]
    fn a_layer_names_its_tensors_after_itself() {
        let mut file = TensorFile::default();
        let raw = raw_layer(&network(), 0, 8, None, &mut file);
        assert_eq!((raw.name.as_str(), raw.input), ("front", None));
        let offsets: Vec<(&str, usize)> = file
            .tensors
            .iter()
            .map(|tensor| (tensor.name.as_str(), tensor.offset))
            .collect();
        let expected = [
            ("front.weights", 0),
            ("front.bias", 16),
            ("front.range", 24),
        ];
        assert_eq!(offsets, expected);
        assert_eq!(numbers(&file, "front.weights"), [1.0, 0.0, 0.0, 1.0]);
        // Nothing is calibrated.
        assert_eq!(numbers(&file, "front.range"), [0.0; 4]);
    }

    #[test]
    fn what_is_settled_is_written() {
        let mut settled = draft(network()).model.nodes[2].operation.clone();
        let NodeOperation::Linear(linear) = &mut settled else {
            panic!("a linear layer");
        };
        linear.range = vec![(-1.0, 2.0), (0.0, 3.0)];
        let mut file = TensorFile::default();
        let correction = |raw: RawLayer| match raw.operation {
            RawOperation::Dense { correction, .. } => correction,
            other => panic!("{other:?} is no dense layer"),
        };
        let raw = raw_layer(&network(), 2, 5, Some(&settled), &mut file);
        assert_eq!(numbers(&file, "back.range"), [-1.0, 2.0, 0.0, 3.0]);
        assert_eq!(correction(raw), None);
        let NodeOperation::Linear(linear) = &mut settled else {
            panic!("a linear layer");
        };
        linear.correction = vec![0.0, 0.5];
        let mut file = TensorFile::default();
        let raw = raw_layer(&network(), 2, 5, Some(&settled), &mut file);
        assert_eq!(correction(raw).as_deref(), Some("back.correction"));
        assert_eq!(numbers(&file, "back.correction"), [0.0, 0.5]);
    }

    #[test]
    fn values_other_than_the_one_before_are_named() {
        let network = network_of(vec![
            same("front", 0),
            relu("relu", 1),
            same("mid", 2),
            layer("sum", &[3, 2], Operation::Add),
            same("side", 0),
        ]);
        let mut file = TensorFile::default();
        let sum = raw_layer(&network, 3, 0, None, &mut file);
        assert_eq!(sum.input, None);
        let RawOperation::Add { other, .. } = sum.operation else {
            panic!("a sum");
        };
        assert_eq!(other, "relu");
        let side = raw_layer(&network, 4, 8, None, &mut file);
        assert_eq!(side.input.as_deref(), Some("input"));
    }

    #[test]
    fn own_integers_are_kept_on_their_own_bits_alone() {
        let mut network = network();
        let Operation::Dense { quantisation, .. } = &mut network.layers[2].operation else {
            panic!("dense");
        };
        *quantisation = Some(WeightQuantisation {
            bits: 4,
            scale: vec![0.5, 0.25],
        });
        for (bits, expected) in [(4, Some("back.weight_scale")), (3, None)] {
            let mut file = TensorFile::default();
            let raw = raw_layer(&network, 2, bits, None, &mut file);
            let RawOperation::Dense { weight_scale, .. } = raw.operation else {
                panic!("dense");
            };
            assert_eq!(weight_scale.as_deref(), expected, "{bits}");
        }
    }

    #[test]
    fn an_activation_that_is_not_settled_has_its_own_integers_or_any() {
        let quantise = Function::Quantise(Quantise {
            scale: 0.5,
            low: -3,
            high: 4,
            bipolar: false,
        });
        for (function, expected) in [(Function::Relu, (1.0, 0, 1)), (quantise, (0.5, -3, 4))] {
            let RawQuantisation { scale, low, high } = settled_output(None, &function);
            assert_eq!((scale, low, high), expected, "{function:?}");
        }
    }

    #[test]
    fn a_map_is_listed_with_each_matrix_once() {
        let weights: Arc<[f32]> = [2.0, 4.0].into();
        let block = |inputs: [u32; 2], output| Block {
            weights: Arc::clone(&weights),
            inputs: inputs.to_vec(),
            outputs: vec![output],
        };
        let map = LinearMap {
            input_count: 2,
            output_count: 2,
            blocks: vec![block([0, 1], 1), block([1, PADDING], 0)],
        };
        let (weights, blocks) = listed(&map);
        assert_eq!(weights, [2.0, 4.0]);
        let records = [
            [0.0, 1.0, 2.0, 1.0, 0.0, 1.0],
            [0.0, 1.0, 2.0, 0.0, 1.0, -1.0],
        ];
        assert_eq!(blocks, records.as_flattened());
        let bias = vec![1.0, 2.0];
        for (fixed, expected) in [(true, Some(2.0)), (false, None)] {
            let operation = Operation::Linear {
                map: map.clone(),
                bias: bias.clone(),
                fixed,
            };
            let network = network_of(vec![layer("map", &[0], operation)]);
            let mut file = TensorFile::default();
            let raw = raw_layer(&network, 0, 8, None, &mut file);
            let RawOperation::Linear { weight_scale, .. } = raw.operation else {
                panic!("a linear map");
            };
            let unit = weight_scale.map(|name| numbers(&file, &name)[0]);
            assert_eq!(unit, expected);
        }
    }

    #[test]
    fn one_number_stands_for_each_channel() {
        assert_eq!(one_each(&[1, 1, 2, 2], 2), [1, 2]);
        assert_eq!(one_each(&[1, 2], 2), [1, 2]);
    }
}
