//! A model folder while it is being made: a network in this program's own layers, whose ranges,
//! integers and corrections are settled one after the other.

use std::collections::BTreeMap;

use super::bits::{Bits, DEFAULT_WEIGHT_BITS};
use super::calibration::{Calibration, RangeMethod, output_of};
use super::images::{Images, float_labels};
use crate::core::digest::hex_digest;
use crate::core::error::{Error, Result};
use crate::import::data::{FittedSet, MAX_LEVEL};
use crate::import::network::{Layer, Network, Operation, WeightQuantisation};
use crate::import::npy::{labels_npy, npy};
use crate::import::request::Request;
use crate::model::Model;
use crate::model::format::{
    FORMAT, PerChannel, RawInput, RawLayer, RawModel, RawOperation, RawQuantisation, RawTensor,
    RawTest, RawWeights, VERSION,
};
use crate::model::layer::{Activation, Function, Operation as NodeOperation};
use crate::model::quantise::QuantParams;
use crate::model::source::Source;

/// Bits of the weights of a layer that reads the network's input: they cost nothing.
const FIRST_WEIGHT_BITS: u32 = 8;

const MODEL: &str = "model.json";
const WEIGHTS: &str = "weights.bin";
const LABEL_CORRECTION: &str = "label_correction";
/// Images and labels.
const TEST: [&str; 2] = ["test-images.npy", "test-labels.npy"];
const CALIBRATION: [&str; 2] = ["calibration-images.npy", "calibration-labels.npy"];
/// Calibration images that a folder keeps.
const MOST_CALIBRATION_IMAGES: usize = 1000;

/// A network and the model that it becomes.
pub struct Draft {
    pub recipe: Recipe,
    pub model: Model,
}

/// What does not change while a network is settled.
pub struct Recipe {
    pub network: Network,
    name: String,
    description: String,
    /// Per layer of the network.
    weight_bits: Vec<u32>,
    /// Per channel of an image or element of a vector: `real = scale · integer + offset`.
    scale: Vec<f64>,
    offset: Vec<f64>,
}

/// Little-endian float32 tensors, one after the other.
#[derive(Default)]
struct TensorFile {
    bytes: Vec<u8>,
    tensors: Vec<RawTensor>,
}

impl TensorFile {
    fn put(
        &mut self,
        name: String,
        shape: Vec<usize>,
        values: impl Iterator<Item = f32>,
    ) -> String {
        let offset = self.bytes.len();
        self.bytes.extend(values.flat_map(f32::to_le_bytes));
        self.tensors.push(RawTensor {
            name: name.clone(),
            shape,
            offset,
        });
        name
    }
}

impl Draft {
    /// Makes the network's layers the model's, without calibration.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where a layer does not fit this program's limits.
    pub fn new(
        request: &Request,
        network: Network,
        calibration: &FittedSet,
        test: &FittedSet,
    ) -> Result<Self> {
        let stem = request.out.file_name().unwrap_or(request.out.as_os_str());
        let file = request.onnx.file_name().unwrap_or(request.onnx.as_os_str());
        let weight_bits = network
            .layers
            .iter()
            .map(|layer| weight_bits(layer, request));
        let recipe = Recipe {
            weight_bits: weight_bits.collect(),
            name: stem.to_string_lossy().into_owned(),
            description: format!("Imported from {}.", file.to_string_lossy()),
            scale: calibration.scale.clone(),
            offset: calibration.offset.clone(),
            network,
        };
        let files = recipe.files(None, test, None, None)?;
        let model = Model::read(&Source::Memory(files))?;
        Ok(Self { recipe, model })
    }

    /// Sets the ranges in front of activations.
    pub fn set_ranges(&mut self, calibration: &Calibration) {
        for (index, node) in self.model.nodes.iter_mut().enumerate() {
            let measured = &calibration.of(index).ranges;
            let size = node.output_count() / measured.len().max(1);
            let spread = measured
                .iter()
                .flat_map(|&range| std::iter::repeat_n(range, size));
            match &mut node.operation {
                NodeOperation::Linear(linear) => linear.range = spread.collect(),
                NodeOperation::Add(add) => add.range = spread.collect(),
                NodeOperation::Activation(_) | NodeOperation::MaxPool(_) => {}
            }
        }
    }

    /// Takes the corrections of all biases back.
    pub fn clear_corrections(&mut self) {
        for node in &mut self.model.nodes {
            if let NodeOperation::Linear(linear) = &mut node.operation {
                linear.correction.fill(0.0);
            }
        }
        self.model.label_correction.fill(0.0);
    }

    /// Sets the integers of all activations, and returns what a person should know of it.
    pub fn set_outputs<'a>(
        &mut self,
        calibration: &Calibration,
        method: RangeMethod,
        bits: impl Fn(&str) -> Option<u32> + 'a,
        default_bits: u32,
    ) -> Vec<String> {
        let mut requantised = Vec::new();
        for (index, node) in self.model.nodes.iter_mut().enumerate() {
            if let NodeOperation::Activation(activation) = &mut node.operation {
                let histogram = &calibration.of(index).histogram;
                let asked = bits(&node.name);
                let output = output_of(activation, histogram, method, asked, default_bits);
                if activation
                    .function
                    .quantisation()
                    .is_some_and(|own| own != output)
                {
                    requantised.push(node.name.clone());
                }
                activation.output = output;
            }
        }
        if requantised.is_empty() {
            return Vec::new();
        }
        vec![format!(
            "quantised again, on fewer bits than the file says: {}",
            requantised.join(", ")
        )]
    }

    /// Returns the activations, in order.
    pub fn activations(&self) -> impl Iterator<Item = (usize, &str, &Activation)> {
        let nodes = self.model.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| match &node.operation {
            NodeOperation::Activation(activation) => Some((index, node.name.as_str(), activation)),
            _ => None,
        })
    }

    /// Returns the names of the activations, in order.
    pub fn activation_names(&self) -> Vec<&str> {
        self.activations().map(|(_, name, _)| name).collect()
    }

    /// Returns a name for which bits are asked and which is none of the activations'.
    pub fn unknown_name(&self, bits: &Bits) -> Option<String> {
        let known = self.activation_names();
        let mut names = bits.names();
        names.find(|name| !known.contains(name)).map(str::to_owned)
    }

    /// Returns the model as a reader of its folder has it, calibration images and all.
    ///
    /// # Errors
    ///
    /// What reading it gives.
    pub fn settled(&self, test: &FittedSet, calibration: &Images) -> Result<Model> {
        Model::read(&Source::Memory(self.files(test, calibration, None)?))
    }

    /// Returns the folder's files, by their names.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a number that JSON does not hold.
    pub fn files(
        &self,
        test: &FittedSet,
        calibration: &Images,
        float_accuracy: Option<f64>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let calibration = calibration.take(MOST_CALIBRATION_IMAGES);
        // Noise is judged by labels: the float network's own will do.
        let calibration = self.model.is_classifier().then(|| {
            let labels = match calibration.labels {
                Some(labels) => labels.to_vec(),
                None => {
                    let labels = float_labels(&self.model, &calibration);
                    labels.into_iter().map(|label| label as u32).collect()
                }
            };
            (calibration.pixels, labels)
        });
        let model = Some(&self.model);
        self.recipe.files(model, test, calibration, float_accuracy)
    }
}

impl Recipe {
    /// Returns the folder's files, with what is settled in `model` where there is one.
    fn files(
        &self,
        model: Option<&Model>,
        test: &FittedSet,
        calibration: Option<(&[u8], Vec<u32>)>,
        float_accuracy: Option<f64>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut weights = TensorFile::default();
        let mut node = 0;
        let mut layers = Vec::with_capacity(self.network.layers.len());
        for (index, layer) in self.network.layers.iter().enumerate() {
            let settled = model.and_then(|model| model.nodes.get(node));
            let settled = settled.map(|node| &node.operation);
            let raw = self.raw_layer(index, layer, settled, &mut weights)?;
            layers.push(raw.to_json());
            node += usize::from(!matches!(layer.operation, Operation::Flatten));
        }
        let label_correction = model.map_or(&[][..], |model| &model.label_correction);
        let label_correction = label_correction.iter().any(|&c| c != 0.0).then(|| {
            let values = label_correction.iter().copied();
            weights.put(LABEL_CORRECTION.into(), vec![values.len()], values)
        });
        let mut files = BTreeMap::new();
        let mut put = |[images, labels]: [&str; 2], pixels: &[u8], of: &[u32]| {
            let shape = [&[of.len()], self.network.input_shape.as_slice()].concat();
            let (pixels, of) = (npy(&shape, "|u1", pixels), labels_npy(of));
            let raw = RawTest {
                images: images.into(),
                images_sha256: hex_digest(&pixels),
                labels: labels.into(),
                labels_sha256: hex_digest(&of),
            };
            files.extend([(images.to_owned(), pixels), (labels.to_owned(), of)]);
            raw
        };
        let labels = test.labels.clone().unwrap_or_else(|| vec![0; test.count]);
        let test = put(TEST, &test.images, &labels);
        let calibration = calibration.map(|(pixels, labels)| put(CALIBRATION, pixels, &labels));
        let raw = RawModel {
            format: FORMAT.into(),
            version: VERSION,
            name: self.name.clone(),
            description: self.description.clone(),
            input: RawInput {
                shape: self.network.input_shape.clone(),
                max: MAX_LEVEL,
                scale: per_channel(&self.scale),
                offset: per_channel(&self.offset),
            },
            layers,
            weights: RawWeights {
                file: WEIGHTS.into(),
                sha256: hex_digest(&weights.bytes),
                tensors: weights.tensors,
            },
            calibration,
            test,
            classes: self.classes(),
            label_correction,
            float_accuracy: float_accuracy.map(|accuracy| (accuracy * 1e6).round() / 1e6),
        };
        let json = serde_json::to_vec_pretty(&raw).map_err(|error| {
            Error::invalid(MODEL, format!("a number that JSON does not hold: {error}"))
        })?;
        files.extend([
            (MODEL.to_owned(), json),
            (WEIGHTS.to_owned(), weights.bytes),
        ]);
        Ok(files)
    }

    /// Returns the class numbers where they are others than those that a reader of the folder takes.
    fn classes(&self) -> Option<Vec<i64>> {
        let classes = self.network.class_numbers();
        let usual = match self.network.output_count() {
            1 => classes.is_empty(),
            count => classes.iter().copied().eq((0..).take(count)),
        };
        (!usual).then_some(classes)
    }

    /// Returns a layer as the folder writes it, and puts its tensors aside.
    fn raw_layer(
        &self,
        index: usize,
        layer: &Layer,
        settled: Option<&NodeOperation>,
        weights: &mut TensorFile,
    ) -> Result<RawLayer> {
        let channels = layer.shape.first().copied().unwrap_or(1);
        let tensor = |part: &str| format!("{}.{part}", layer.name);
        let linear = match settled {
            Some(NodeOperation::Linear(linear)) => Some(linear),
            _ => None,
        };
        let ranges = match settled {
            Some(NodeOperation::Linear(linear)) => one_each(&linear.range, channels),
            Some(NodeOperation::Add(add)) => one_each(&add.range, channels),
            _ => vec![(0.0, 0.0); channels],
        };
        let flat = ranges.into_iter().flat_map(|(low, high)| [low, high]);
        let correction = linear.map(|linear| one_each(&linear.correction, channels));
        let correction = correction.filter(|correction| correction.iter().any(|&c| c != 0.0));
        let put_scale = |weights: &mut TensorFile, own: &Option<WeightQuantisation>| {
            let own = own
                .as_ref()
                .filter(|_| self.weight_bits[index] == own_bits(layer));
            own.map(|own| {
                let scales = own.scale.iter().copied();
                weights.put(tensor("weight_scale"), vec![channels], scales)
            })
        };
        let operation = match &layer.operation {
            Operation::Dense {
                weights: matrix,
                bias,
                quantisation,
            } => RawOperation::Dense {
                weights: weights.put(
                    tensor("weights"),
                    matrix.shape().to_vec(),
                    matrix.iter().copied(),
                ),
                bias: weights.put(tensor("bias"), vec![channels], bias.iter().copied()),
                range: weights.put(tensor("range"), vec![channels, 2], flat),
                weight_scale: put_scale(weights, quantisation),
                correction: correction
                    .map(|c| weights.put(tensor("correction"), vec![channels], c.into_iter())),
                weight_bits: self.weight_bits[index],
            },
            Operation::Conv2d {
                weights: kernels,
                bias,
                stride,
                padding,
                groups,
                quantisation,
            } => RawOperation::Conv2d {
                weights: weights.put(
                    tensor("weights"),
                    kernels.shape().to_vec(),
                    kernels.iter().copied(),
                ),
                bias: weights.put(tensor("bias"), vec![channels], bias.iter().copied()),
                stride: *stride,
                padding: *padding,
                groups: *groups,
                range: weights.put(tensor("range"), vec![channels, 2], flat),
                weight_scale: put_scale(weights, quantisation),
                correction: correction
                    .map(|c| weights.put(tensor("correction"), vec![channels], c.into_iter())),
                weight_bits: self.weight_bits[index],
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
                range: linear.map(|_| weights.put(tensor("range"), vec![channels, 2], flat)),
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
                output: settled_output(settled, function),
            },
            Operation::Add => RawOperation::Add {
                other: self.value_name(layer.inputs[1]),
                range: weights.put(tensor("range"), vec![channels, 2], flat),
            },
            Operation::Flatten => RawOperation::Flatten {},
        };
        // The value before a layer is its input unless another is named.
        let named = layer.inputs[0] != index;
        Ok(RawLayer {
            name: layer.name.clone(),
            input: named.then(|| self.value_name(layer.inputs[0])),
            block: layer.block.clone(),
            operation,
        })
    }

    fn value_name(&self, value: usize) -> String {
        match value.checked_sub(1) {
            None => "input".into(),
            Some(layer) => self.network.layers[layer].name.clone(),
        }
    }
}

/// Returns the bits of a layer's weights: the file's own where it has any and none are asked for.
fn weight_bits(layer: &Layer, request: &Request) -> u32 {
    let own = own_bits(layer);
    let reads_input = layer.inputs.first() == Some(&0);
    match (own, request.weight_bits) {
        (1.., None) => own,
        (1.., Some(bits)) if own <= bits => own,
        _ if reads_input => FIRST_WEIGHT_BITS,
        (_, bits) => bits.unwrap_or(DEFAULT_WEIGHT_BITS),
    }
}

/// Returns the bits that a file says a layer's weights have; zero where it says nothing.
fn own_bits(layer: &Layer) -> u32 {
    match &layer.operation {
        Operation::Dense { quantisation, .. } | Operation::Conv2d { quantisation, .. } => {
            let own = quantisation.as_ref();
            own.map_or(0, |own| own.bits.clamp(2, 8))
        }
        _ => 0,
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

fn per_channel(values: &[f64]) -> PerChannel {
    match values {
        [first, others @ ..] if others.iter().all(|value| value == first) => {
            PerChannel::All(*first)
        }
        values => PerChannel::Each(values.to_vec()),
    }
}
