//! A trained network: its placeable layers, its quantisation and its test images.

mod format;
pub mod source;
mod tensors;
mod test_set;

use std::path::Path;

use crate::digest::hex_digest;
use crate::error::{Error, Result};
use crate::layer::conv2d::Window;
use crate::layer::{AveragePool, Conv2d, Dense, Geometry, Image, Layer, Linear, Operation, Relu};
use crate::placement::{Party, Placement};
use format::{RawLayer, RawModel, VERSION};
use source::Source;
use tensors::Tensors;

pub use test_set::TestSet;

/// The most elements of an input or a layer's output.
const MOST_ELEMENTS: usize = 1 << 24;
/// The most kernel taps of a layer over all its output positions; each takes four bytes.
const MOST_TAPS: usize = 1 << 28;

/// A network that can be placed.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    pub description: String,
    pub input: Input,
    /// The placeable layers in order.
    pub layers: Vec<Layer>,
    pub test: TestSet,
    /// Share of test images that the float network classifies rightly, as the folder says.
    pub float_accuracy: f64,
    /// SHA-256 of `model.json`, which holds the checksums of the other files.
    pub digest: String,
}

/// The network's input: integers 0..=max with `real = scale · integer`.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub shape: Vec<usize>,
    pub scale: f64,
    pub max: u32,
}

impl Model {
    /// Reads the model at `path`, or the embedded one of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] or [`Error::Read`] that names the file, the layer and the mend.
    pub fn load(path: &Path) -> Result<Self> {
        Self::read(&Source::find(path)?)
    }

    /// Reads a model from its source.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn read(source: &Source) -> Result<Self> {
        let place = source.place("model.json");
        let json = source.read("model.json")?;
        let raw: RawModel = serde_json::from_slice(&json)
            .map_err(|error| Error::invalid(&place, format!("no valid model: {error}")))?;
        if raw.format != "splitbench-model" || raw.version != VERSION {
            let found = format!("{} version {}", raw.format, raw.version);
            let reason = format!("this is {found}; expected splitbench-model version {VERSION}");
            return Err(Error::invalid(&place, reason));
        }
        let input = check_input(raw.input).map_err(|reason| Error::invalid(&place, reason))?;
        let tensors = Tensors::read(source, &raw.weights)?;
        let mut shape = input.shape.clone();
        let mut layers: Vec<Layer> = Vec::new();
        for (index, raw) in raw.layers.into_iter().enumerate() {
            let name = raw.name().to_owned();
            let built = build_layer(raw, &shape, &tensors, &layers).map_err(|reason| {
                Error::invalid(format!("{place}: layers[{index}] {name:?}"), reason)
            })?;
            match built {
                Some(layer) => {
                    shape.clone_from(&layer.output_shape);
                    layers.push(layer);
                }
                None => shape = vec![shape.iter().product()],
            }
        }
        if layers.is_empty() {
            return Err(Error::invalid(&place, "there are no layers to place"));
        }
        let test = TestSet::read(source, &raw.test, &input)?;
        let classes: usize = shape.iter().product();
        test.check_labels(classes, source, &raw.test)?;
        Ok(Self {
            name: raw.name,
            description: raw.description,
            input,
            layers,
            test,
            float_accuracy: raw.float_accuracy,
            digest: hex_digest(&json),
        })
    }

    /// Returns the number of placeable layers.
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// Returns the share of all trained numbers that lie in the client's layers; `None` for a
    /// network without any.
    pub fn client_weight_share(&self, placement: &Placement) -> Option<f64> {
        let count = |wanted: Option<Party>| -> usize {
            self.layers
                .iter()
                .zip(placement.parties())
                .filter(|(_, party)| wanted.is_none_or(|wanted| wanted == **party))
                .map(|(layer, _)| layer.parameter_count)
                .sum()
        };
        match count(None) {
            0 => None,
            total => Some(count(Some(Party::Client)) as f64 / total as f64),
        }
    }

    /// Returns the bootstraps of one inference.
    pub fn bootstrap_count(&self, placement: &Placement) -> usize {
        self.layers
            .iter()
            .zip(placement.parties())
            .filter(|(_, party)| **party == Party::Server)
            .map(|(layer, _)| layer.bootstrap_count())
            .sum()
    }
}

fn check_input(raw: format::RawInput) -> std::result::Result<Input, String> {
    let count = raw.shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    if raw.shape.is_empty() || !count.is_some_and(|count| (1..=MOST_ELEMENTS).contains(&count)) {
        return Err(format!(
            "input.shape {:?} must hold 1 to {MOST_ELEMENTS} elements",
            raw.shape
        ));
    }
    if !(is_positive_f32(raw.scale) && (1..=255).contains(&raw.max)) {
        return Err("input.scale must be a positive float32 and input.max from 1 to 255".into());
    }
    Ok(Input {
        shape: raw.shape,
        scale: raw.scale,
        max: raw.max,
    })
}

/// Returns whether float32, in which the client computes, holds the number.
fn is_positive_f32(value: f64) -> bool {
    value > 0.0 && (value as f32).is_normal()
}

/// Checks one raw layer against the shape that reaches it; `None` for a flatten, which only renames
/// the shape.
fn build_layer(
    raw: RawLayer,
    shape: &[usize],
    tensors: &Tensors,
    before: &[Layer],
) -> std::result::Result<Option<Layer>, String> {
    if before.iter().any(|layer| layer.name == raw.name()) {
        return Err("another layer has the same name: names must differ".into());
    }
    let (name, op, output_shape, parameter_count, operation) = match raw {
        RawLayer::Flatten { .. } => return Ok(None),
        RawLayer::Dense {
            name,
            weights,
            bias,
            weight_bits,
            range,
        } => {
            let &[inputs] = shape else {
                return Err(format!(
                    "dense needs a flat input, but {shape:?} arrives: flatten first"
                ));
            };
            let (weights, [outputs, _]) = tensors.get(&weights, [None, Some(inputs)])?;
            let layer = Dense {
                weights: weights.to_vec(),
                outputs,
                inputs,
            };
            let calibration = (bias.as_str(), weight_bits, range.as_str());
            let linear = build_linear(layer.map(), Geometry::Dense, outputs, calibration, tensors)?;
            let parameters = weights.len() + outputs;
            (
                name,
                "dense",
                vec![outputs],
                parameters,
                Operation::Linear(linear),
            )
        }
        RawLayer::Conv2d {
            name,
            weights,
            bias,
            stride,
            padding,
            weight_bits,
            range,
        } => {
            let (in_channels, size) = image_shape("conv2d", shape)?;
            let expected = [None, Some(in_channels), None, None];
            let (weights, [out_channels, _, height, width]) = tensors.get(&weights, expected)?;
            let (kernel, window) = ([height, width], Window { stride, padding });
            let output = output_size(&window, size, kernel)?;
            check_work(output, out_channels, &[in_channels, height, width])?;
            let layer = Conv2d {
                weights: weights.to_vec(),
                out_channels,
                in_channels,
                kernel,
                window,
            };
            let map = layer.map(size, output);
            let geometry = Geometry::Convolution(Image {
                channels: in_channels,
                size,
                kernel,
                window,
                output,
            });
            let calibration = (bias.as_str(), weight_bits, range.as_str());
            let linear = build_linear(map, geometry, out_channels, calibration, tensors)?;
            let output_shape = vec![out_channels, output[0], output[1]];
            let parameters = weights.len() + out_channels;
            (
                name,
                "conv2d",
                output_shape,
                parameters,
                Operation::Linear(linear),
            )
        }
        RawLayer::AveragePool {
            name,
            kernel,
            stride,
            padding,
        } => {
            let (channels, size) = image_shape("average_pool", shape)?;
            let window = Window { stride, padding };
            if kernel.contains(&0) {
                return Err("kernel must be at least 1 x 1".into());
            }
            let output = output_size(&window, size, kernel)?;
            check_work(output, channels, &[channels, kernel[0], kernel[1]])?;
            let map = AveragePool { kernel, window }.map(channels, size, output);
            let range = pooled_range(before)?;
            let linear = Linear {
                bias: vec![0.0; map.output_count],
                range: vec![range; map.output_count],
                weight_bits: 8,
                geometry: Geometry::Other,
                map,
            };
            (
                name,
                "average_pool",
                vec![channels, output[0], output[1]],
                0,
                Operation::Linear(linear),
            )
        }
        RawLayer::Relu { name, bits, clip } => {
            if !((1..=8).contains(&bits) && is_positive_f32(clip)) {
                return Err(format!(
                    "bits must be 1 to 8 and clip a positive float32, not {bits} and {clip}"
                ));
            }
            (
                name,
                "relu",
                shape.to_vec(),
                0,
                Operation::Relu(Relu { bits, clip }),
            )
        }
    };
    Ok(Some(Layer {
        name,
        op,
        parameter_count,
        input_shape: shape.to_vec(),
        output_shape,
        operation,
    }))
}

/// Spreads per-channel bias and range over the elements of a linear layer's output.
fn build_linear(
    map: crate::linear_map::LinearMap<f32>,
    geometry: Geometry,
    channels: usize,
    (bias, weight_bits, range): (&str, u32, &str),
    tensors: &Tensors,
) -> std::result::Result<Linear, String> {
    if !(2..=8).contains(&weight_bits) {
        return Err(format!("weight_bits must be 2 to 8, not {weight_bits}"));
    }
    let (bias, _) = tensors.get(bias, [Some(channels)])?;
    let (range_values, _) = tensors.get(range, [Some(channels), Some(2)])?;
    let ranges = range_values.as_chunks::<2>().0;
    if let Some([low, high]) = ranges.iter().find(|[low, high]| low > high) {
        return Err(format!(
            "tensor {range:?} holds a range from {low} to {high}"
        ));
    }
    let per_channel = map.output_count / channels;
    let spread = |element: usize| element / per_channel;
    Ok(Linear {
        bias: (0..map.output_count)
            .map(|element| bias[spread(element)])
            .collect(),
        range: (0..map.output_count)
            .map(|element| ranges[spread(element)].into())
            .collect(),
        weight_bits,
        geometry,
        map,
    })
}

fn image_shape(op: &str, shape: &[usize]) -> std::result::Result<(usize, [usize; 2]), String> {
    match *shape {
        [channels, height, width] => Ok((channels, [height, width])),
        _ => Err(format!(
            "{op} needs [channels, height, width], but {shape:?} arrives"
        )),
    }
}

fn output_size(
    window: &Window,
    size: [usize; 2],
    kernel: [usize; 2],
) -> std::result::Result<[usize; 2], String> {
    window.output_size(size, kernel).ok_or_else(|| {
        format!(
            "kernel {kernel:?} with stride {:?} and padding {:?} does not fit an image of {size:?}",
            window.stride, window.padding
        )
    })
}

/// Refuses a layer whose output, or whose list of kernel taps over all output positions, has no
/// place in memory.
fn check_work(
    output: [usize; 2],
    channels: usize,
    taps: &[usize],
) -> std::result::Result<(), String> {
    let product = |start: usize, factors: &[usize]| {
        let mut factors = factors.iter().chain(&output);
        factors.try_fold(start, |product, &factor| product.checked_mul(factor))
    };
    let elements = product(channels, &[]).filter(|&count| count <= MOST_ELEMENTS);
    let taps = product(1, taps).filter(|&count| count <= MOST_TAPS);
    elements.and(taps).map(|_| ()).ok_or_else(|| {
        format!("an output of {channels} x {output:?} is too large: lower padding or kernel")
    })
}

/// Returns the range of a pooled tensor, which is that of what it pools.
fn pooled_range(before: &[Layer]) -> std::result::Result<(f32, f32), String> {
    let mut layers = before.iter().rev();
    let mut rectified = false;
    let linear = layers.find_map(|layer| match &layer.operation {
        Operation::Linear(linear) => Some(linear),
        Operation::Relu(_) => {
            rectified = true;
            None
        }
    });
    let ranges = &linear
        .ok_or("average_pool before any layer with a calibrated range")?
        .range;
    let low = ranges
        .iter()
        .fold(f32::INFINITY, |low, range| low.min(range.0));
    let high = ranges
        .iter()
        .fold(f32::NEG_INFINITY, |high, range| high.max(range.1));
    Ok(if rectified {
        (low.max(0.0), high.max(0.0))
    } else {
        (low, high)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::EMBEDDED;

    #[test]
    fn the_embedded_models_load_and_have_the_documented_layers() {
        let layers = |index: usize| {
            let model = Model::read(&Source::Embedded(&EMBEDDED[index])).expect("embedded");
            let names: Vec<&str> = model.layers.iter().map(|layer| layer.op).collect();
            (
                names.join(" "),
                model.test.len(),
                model.layers.last().map(Layer::output_count),
            )
        };
        assert_eq!(
            layers(0),
            ("conv2d relu conv2d relu dense".into(), 360, Some(10))
        );
        assert_eq!(layers(1), ("dense relu dense".into(), 360, Some(10)));
    }

    #[test]
    fn client_weight_shares_run_from_none_to_all() {
        let model = Model::load(Path::new("digits-mlp")).expect("embedded");
        let share = |text: &str| model.client_weight_share(&text.parse().expect("letters"));
        assert_eq!(share("SSS"), Some(0.0));
        assert_eq!(share("CCC"), Some(1.0));
        // 64·32 + 32 of 64·32 + 32 + 32·10 + 10 numbers.
        assert_eq!(share("CSS"), Some(2080.0 / 2410.0));
    }
}
