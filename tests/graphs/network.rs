//! Small networks made by hand: nodes one after the other, each calibrated on random images as it
//! is added, as an import does it.

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::core::linear_map::{LinearMap, Row};
use splitbench::model::layer::{
    Activation, Add, AveragePool, Conv2d, Dense, Function, Geometry, Image, Linear, MaxPool,
    Operation, Window,
};
use splitbench::model::quantise::QuantParams;
use splitbench::model::{Input, Model, Node, ValueId};

const MAX_POOL: [usize; 2] = [2, 2];

/// How numbers become integers.
#[derive(Debug, Clone, Copy)]
pub struct Precision {
    pub weight_bits: u32,
    /// Bits of every activation, whatever the recipe says.
    pub output_bits: Option<u32>,
    /// Factor on calibrated ranges: a large one leaves the worst case as the only limit.
    pub widening: f32,
    /// The largest integer of the input.
    pub input_max: u32,
    /// Images that calibrate.
    pub images: usize,
}

/// What moves over an image.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    pub size: usize,
    pub stride: usize,
    pub padding: usize,
    /// One group for each input channel.
    pub depthwise: bool,
    /// The weights are integer multiples of a scale that the node states.
    pub integer: bool,
}

/// A kernel that keeps the size of the image.
pub const SAME: Kernel = Kernel {
    size: 3,
    stride: 1,
    padding: 1,
    depthwise: false,
    integer: false,
};

/// A network while it grows.
pub struct Builder {
    generator: ChaCha8Rng,
    precision: Precision,
    input: Input,
    nodes: Vec<Node>,
    /// Images `[elements, images]` as integers, and every value that they become.
    pub images: Vec<Row<u64>>,
    values: Vec<Vec<Row<f32>>>,
}

impl Builder {
    /// Returns a builder for images `[channels, height, width]`, each channel with a scale and an
    /// offset of its own.
    pub fn new(shape: [usize; 3], precision: Precision, seed: u64) -> Self {
        let max = precision.input_max;
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let area = shape[1] * shape[2];
        let mut per_channel = |low: f64, high: f64| -> Vec<f64> {
            let channels = (0..shape[0]).map(|_| generator.random_range(low..high));
            channels
                .flat_map(|number| std::iter::repeat_n(number, area))
                .collect()
        };
        let scale = per_channel(1.0, 3.0)
            .into_iter()
            .map(|s| s / f64::from(max));
        let input = Input {
            shape: shape.to_vec(),
            max,
            scale: scale.collect(),
            offset: per_channel(-1.5, -0.5),
        };
        let images: Vec<Row<u64>> = (0..shape[0] * area)
            .map(|_| {
                let pixels =
                    (0..precision.images).map(|_| generator.random_range(0..=u64::from(max)));
                pixels.collect()
            })
            .collect();
        let reals = real_rows(&input, &images);
        Self {
            generator,
            precision,
            input,
            nodes: Vec::new(),
            images,
            values: vec![reals],
        }
    }

    /// Returns the last value.
    pub fn last(&self) -> usize {
        self.nodes.len()
    }

    pub fn shape(&self, value: usize) -> Vec<usize> {
        match value.checked_sub(1) {
            None => self.input.shape.clone(),
            Some(node) => self.nodes[node].shape.clone(),
        }
    }

    /// Returns whether a value is made of small integers on one scale, as a max pool needs it.
    pub fn is_looked_up(&self, value: usize) -> bool {
        value.checked_sub(1).is_some_and(|node| {
            matches!(
                self.nodes[node].operation,
                Operation::Activation(_) | Operation::MaxPool(_)
            )
        })
    }

    /// Returns how many linear nodes lie between a value and the nearest look-up or upload.
    pub fn linear_depth(&self, value: usize) -> usize {
        let Some(node) = value.checked_sub(1).map(|index| &self.nodes[index]) else {
            return 0;
        };
        match node.operation {
            Operation::Activation(_) | Operation::MaxPool(_) | Operation::Pinned(_) => 0,
            Operation::Linear(_) | Operation::Add(_) => {
                let depths = node
                    .inputs
                    .iter()
                    .map(|&input| self.linear_depth(input.index()));
                1 + depths.max().unwrap_or(0)
            }
        }
    }

    /// Returns the float output on the calibration images.
    pub fn output(&self) -> &[Row<f32>] {
        &self.values[self.last()]
    }

    /// Returns the float output on the calibration images where every value is off by up to a
    /// fraction of what its channel reaches, or its tensor where one scale is to hold all.
    pub fn shaken_output(&self, fraction: f32, seed: u64) -> Vec<Row<f32>> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut values = vec![self.values[0].clone()];
        for node in &self.nodes {
            let operands: Vec<&[Row<f32>]> = node
                .inputs
                .iter()
                .map(|input| values[input.index()].as_slice())
                .collect();
            let mut output = node.operation.run_float(&operands);
            let together = match node.operation {
                Operation::Activation(_) | Operation::MaxPool(_) | Operation::Pinned(_) => {
                    output.len()
                }
                Operation::Linear(_) | Operation::Add(_) => node.channel_size,
            };
            for channel in output.chunks_mut(together) {
                let most = reach(channel) * fraction;
                for value in channel.iter_mut().flatten() {
                    *value += generator.random_range(-1.0..=1.0) * most;
                }
            }
            values.push(output);
        }
        values.swap_remove(self.nodes.len())
    }

    /// Puts the nodes from the first one after `value` on in one block.
    pub fn name_block(&mut self, value: usize, name: &str) {
        for node in &mut self.nodes[value..] {
            node.block = Some(name.into());
        }
    }

    /// Returns the model; each node is a placeable layer.
    pub fn model(self) -> Model {
        let other = Model::load(Path::new("digits-mlp")).unwrap();
        other.with_nodes(self.input, self.nodes)
    }

    pub fn conv(&mut self, input: usize, out_channels: usize, kernel: Kernel) -> usize {
        let shape = self.shape(input);
        let (in_channels, size) = (shape[0], [shape[1], shape[2]]);
        let window = Window {
            stride: [kernel.stride; 2],
            padding: [kernel.padding; 4],
        };
        let groups = if kernel.depthwise { in_channels } else { 1 };
        let out_channels = if kernel.depthwise {
            in_channels
        } else {
            out_channels
        };
        let output = window.output_size(size, [kernel.size; 2]).unwrap();
        let geometry = Geometry::Convolution(Image {
            channels: in_channels,
            size,
            kernel: [kernel.size; 2],
            window,
            output,
        });
        let weights = out_channels * in_channels / groups * kernel.size * kernel.size;
        let map = |weights: &[f32]| {
            let conv = Conv2d {
                weights: weights.to_vec(),
                out_channels,
                in_channels,
                groups,
                kernel: [kernel.size; 2],
                window,
            };
            conv.map(size, output)
        };
        let linear = self.trained(input, weights, out_channels, kernel.integer, &map);
        let linear = Linear {
            geometry: if kernel.depthwise {
                Geometry::Other
            } else {
                geometry
            },
            ..linear
        };
        let shape = vec![out_channels, output[0], output[1]];
        self.push("conv2d", vec![input], shape, Operation::Linear(linear))
    }

    /// Adds a flatten, which makes no node, and a dense layer.
    pub fn dense(&mut self, input: usize, outputs: usize) -> usize {
        let inputs = self.shape(input).iter().product();
        let map = |weights: &[f32]| {
            let dense = Dense {
                weights: weights.to_vec(),
                outputs,
                inputs,
            };
            dense.map()
        };
        let linear = self.trained(input, inputs * outputs, outputs, false, &map);
        let linear = Linear {
            geometry: Geometry::Dense,
            ..linear
        };
        self.push(
            "dense",
            vec![input],
            vec![outputs],
            Operation::Linear(linear),
        )
    }

    pub fn average_pool(&mut self, input: usize) -> usize {
        let shape = self.shape(input);
        let window = Window {
            stride: [2, 2],
            padding: [0; 4],
        };
        let pool = AveragePool {
            kernel: [2, 2],
            window,
            count_padding: true,
            excess: [0, 0],
        };
        let size = [shape[1], shape[2]];
        let output = window.output_size(size, pool.kernel).unwrap();
        let map = pool.map(shape[0], size, output);
        let linear = Linear {
            weight_bits: 8,
            ..untrained(map)
        };
        let shape = vec![shape[0], output[0], output[1]];
        self.push(
            "average_pool",
            vec![input],
            shape,
            Operation::Linear(linear),
        )
    }

    /// Adds a pool of two by two; padding at the top and the left leaves smaller windows.
    pub fn max_pool(&mut self, input: usize, padding: usize) -> usize {
        let shape = self.shape(input);
        let window = Window {
            stride: [2, 2],
            padding: [padding, padding, 0, 0],
        };
        let size = [shape[1], shape[2]];
        let output = window.output_size(size, MAX_POOL).unwrap();
        let pool = MaxPool::new(shape[0], size, MAX_POOL, window, output).unwrap();
        let shape = vec![shape[0], output[0], output[1]];
        self.push("max_pool", vec![input], shape, Operation::MaxPool(pool))
    }

    pub fn activation(&mut self, input: usize, function: Function, bits: u32) -> usize {
        let bits = self.precision.output_bits.unwrap_or(bits);
        let name = function.name();
        let values = self.values[input].iter().flatten();
        let values = values.map(|&value| function.value(f64::from(value)));
        let ends = values.fold((0.0, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
        let activation = Activation {
            output: levels(ends, bits),
            function,
        };
        let shape = self.shape(input);
        self.push(name, vec![input], shape, Operation::Activation(activation))
    }

    pub fn add(&mut self, left: usize, right: usize) -> usize {
        let add = Add { range: Vec::new() };
        let shape = self.shape(left);
        self.push("add", vec![left, right], shape, Operation::Add(add))
    }

    /// Returns a layer of random weights whose channels are centred on the calibration images, and
    /// spread differently.
    fn trained(
        &mut self,
        input: usize,
        weight_count: usize,
        channels: usize,
        integer: bool,
        map: &dyn Fn(&[f32]) -> LinearMap<f32>,
    ) -> Linear {
        let mut weights: Vec<f32> = (0..weight_count)
            .map(|_| self.generator.random_range(-1.0..1.0))
            .collect();
        let found = map(&weights).apply(&self.values[input]);
        let size = found.len() / channels;
        let mut bias = Vec::new();
        let mut scales = Vec::new();
        for (row, found) in weights
            .chunks_mut(weight_count / channels)
            .zip(found.chunks(size))
        {
            let (mean, deviation) = mean_and_deviation(found);
            let factor = self.generator.random_range(0.5f32..2.0) / deviation.max(0.05);
            row.iter_mut().for_each(|weight| *weight *= factor);
            let largest = row.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
            let scale = largest / 3.0;
            if integer {
                let rounded = row.iter_mut();
                rounded.for_each(|weight| *weight = (*weight / scale).round() * scale);
            }
            let shift = self.generator.random_range(-0.2..0.2);
            bias.extend(std::iter::repeat_n(shift - mean * factor, size));
            scales.extend(std::iter::repeat_n(scale, size));
        }
        Linear {
            bias,
            weight_bits: self.precision.weight_bits,
            weight_scale: integer.then_some(scales),
            ..untrained(map(&weights))
        }
    }

    /// Adds a convolution of one weight for each pair of channels, `[out, in]`.
    pub fn point_conv(&mut self, input: usize, weights: Vec<f32>, bias: &[f32]) -> usize {
        let shape = self.shape(input);
        let size = [shape[1], shape[2]];
        let conv = Conv2d {
            weights,
            out_channels: bias.len(),
            in_channels: shape[0],
            groups: 1,
            kernel: [1, 1],
            window: Window {
                stride: [1, 1],
                padding: [0; 4],
            },
        };
        let spread = bias.iter().flat_map(|&bias| vec![bias; size[0] * size[1]]);
        let linear = Linear {
            bias: spread.collect(),
            weight_bits: self.precision.weight_bits,
            ..untrained(conv.map(size, size))
        };
        let shape = vec![bias.len(), size[0], size[1]];
        self.push("conv2d", vec![input], shape, Operation::Linear(linear))
    }

    fn push(
        &mut self,
        op: &'static str,
        inputs: Vec<usize>,
        shape: Vec<usize>,
        mut operation: Operation,
    ) -> usize {
        let operands: Vec<&[Row<f32>]> = inputs
            .iter()
            .map(|&input| self.values[input].as_slice())
            .collect();
        let output = operation.run_float(&operands);
        let channel_size = match shape.as_slice() {
            [_, height, width] => height * width,
            _ => 1,
        };
        let range = ranges(&output, channel_size, self.precision.widening);
        match &mut operation {
            Operation::Linear(linear) => linear.range = range,
            Operation::Add(add) => add.range = range,
            Operation::Activation(_) | Operation::MaxPool(_) | Operation::Pinned(_) => {}
        }
        self.nodes.push(Node {
            name: format!("{op}{}", self.nodes.len()),
            inputs: inputs.into_iter().map(ValueId::new).collect(),
            shape,
            channel_size,
            block: None,
            op,
            parameter_count: 0,
            is_pinned: false,
            operation,
        });
        self.values.push(output);
        self.last()
    }
}

/// Returns integers as the network's float input.
pub fn real_rows(input: &Input, images: &[Row<u64>]) -> Vec<Row<f32>> {
    let elements = images.iter().enumerate();
    elements
        .map(|(element, row)| {
            let pixels = row.iter();
            pixels
                .map(|&pixel| input.real(element, pixel as u8))
                .collect()
        })
        .collect()
}

/// Returns the integers of `bits` bits that reach over the range, zero among them.
fn levels((low, high): (f64, f64), bits: u32) -> QuantParams {
    let steps = (1i64 << bits) - 1;
    let scale = ((high - low) / steps as f64).max(1e-9);
    let least = (low / scale).round() as i64;
    QuantParams {
        scale,
        low: least,
        high: least + steps,
    }
}

fn untrained(map: LinearMap<f32>) -> Linear {
    Linear {
        bias: vec![0.0; map.output_count],
        correction: vec![0.0; map.output_count],
        range: Vec::new(),
        weight_bits: 8,
        weight_scale: None,
        geometry: Geometry::Other,
        map,
    }
}

/// Returns the width of the range that holds all values and zero.
fn reach(rows: &[Row<f32>]) -> f32 {
    let values = || rows.iter().flatten().copied();
    values().fold(0.0, f32::max) - values().fold(0.0, f32::min)
}

fn mean_and_deviation(rows: &[Row<f32>]) -> (f32, f32) {
    let values = || rows.iter().flatten();
    let count = values().count() as f32;
    let mean = values().sum::<f32>() / count;
    let variance = values().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
    (mean, variance.sqrt())
}

/// Returns, for each element, the range of its channel, widened about its middle.
fn ranges(rows: &[Row<f32>], channel_size: usize, widening: f32) -> Vec<(f32, f32)> {
    let channels = rows.chunks(channel_size).flat_map(|channel| {
        let values = || channel.iter().flatten().copied();
        let low = values().fold(f32::INFINITY, f32::min);
        let high = values().fold(f32::NEG_INFINITY, f32::max);
        let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0 * widening);
        vec![(middle - half, middle + half); channel.len()]
    });
    channels.collect()
}
