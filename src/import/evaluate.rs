//! The naive reference: a network on one image, with plain loops. Tests compare everything else
//! with it; nothing else should use it.

use ndarray::{Array1, Array2, Array4};

use crate::core::linear_map::LinearMap;
use crate::import::network::{Layer, Network, Operation};
use crate::model::layer::Pinned;

/// Returns the output for one image, before the tail.
///
/// # Panics
///
/// Panics where the image or a layer is not of the shape that the network says.
pub fn evaluate(network: &Network, input: &[f32]) -> Vec<f32> {
    assert_eq!(
        input.len(),
        network.input_shape.iter().product::<usize>(),
        "elements of the input"
    );
    let mut values = vec![input.to_vec()];
    let mut shapes = vec![network.input_shape.clone()];
    for layer in &network.layers {
        let inputs: Vec<(&[f32], &[usize])> = layer
            .inputs
            .iter()
            .map(|&value| (&values[value][..], &shapes[value][..]))
            .collect();
        let output = run(layer, &inputs);
        assert_eq!(
            output.len(),
            layer.shape.iter().product::<usize>(),
            "elements of {}",
            layer.name
        );
        values.push(output);
        shapes.push(layer.shape.clone());
    }
    values.pop().unwrap_or_default()
}

fn run(layer: &Layer, inputs: &[(&[f32], &[usize])]) -> Vec<f32> {
    let (input, shape) = inputs[0];
    match &layer.operation {
        Operation::Dense { weights, bias, .. } => dense(input, weights, bias),
        Operation::Conv2d {
            weights,
            bias,
            stride,
            padding,
            groups,
            ..
        } => {
            let [channels, height, width] = weights_window(weights);
            let windows = Windows::new([height, width], *stride, *padding);
            conv(
                input,
                shape,
                weights,
                bias,
                &windows,
                [channels, *groups],
                &layer.shape,
            )
        }
        Operation::AveragePool {
            kernel,
            stride,
            padding,
            count_padding,
            excess,
        } => {
            let windows = Windows::new(*kernel, *stride, *padding);
            average(
                input,
                shape,
                &windows,
                count_padding.then_some(*excess),
                &layer.shape,
            )
        }
        Operation::MaxPool {
            kernel,
            stride,
            padding,
        } => {
            let windows = Windows::new(*kernel, *stride, *padding);
            largest(input, shape, &windows, &layer.shape)
        }
        Operation::Activation(function) => input
            .iter()
            .map(|&x| function.value(x.into()) as f32)
            .collect(),
        Operation::Add => input.iter().zip(inputs[1].0).map(|(a, b)| a + b).collect(),
        Operation::Flatten | Operation::Reshape => input.to_vec(),
        Operation::Linear { map, bias, .. } => blocks(input, map, bias),
        Operation::Pinned(pinned) => pinned_outputs(pinned, inputs),
        Operation::Largest { windows } => windows.iter().map(|w| largest_of(input, w)).collect(),
    }
}

fn pinned_outputs(pinned: &Pinned, inputs: &[(&[f32], &[usize])]) -> Vec<f32> {
    let values: Vec<Vec<f32>> = inputs.iter().map(|(input, _)| input.to_vec()).collect();
    let made = pinned.run(&values);
    made.unwrap_or_else(|reason| panic!("{pinned:?}: {reason}"))
}

fn dense(input: &[f32], weights: &Array2<f32>, bias: &Array1<f32>) -> Vec<f32> {
    weights
        .outer_iter()
        .zip(bias)
        .map(|(row, bias)| bias + row.iter().zip(input).map(|(w, x)| w * x).sum::<f32>())
        .collect()
}

fn largest_of(input: &[f32], window: &[u32]) -> f32 {
    let elements = window.iter().map(|&element| input[element as usize]);
    elements.fold(f32::NEG_INFINITY, f32::max)
}

fn blocks(input: &[f32], map: &LinearMap<f32>, bias: &[f32]) -> Vec<f32> {
    let mut values = bias.to_vec();
    for block in &map.blocks {
        let rows = block.weights.chunks_exact(block.inputs.len());
        for (&output, row) in block.outputs.iter().zip(rows) {
            for (&element, weight) in block.inputs.iter().zip(row) {
                // Padding is beyond all elements.
                if let Some(x) = input.get(element as usize) {
                    values[output as usize] += weight * x;
                }
            }
        }
    }
    values
}

fn weights_window(weights: &Array4<f32>) -> [usize; 3] {
    let (_, channels, height, width) = weights.dim();
    [channels, height, width]
}

/// The windows of a convolution or pool.
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 4],
}

impl Windows {
    fn new(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4]) -> Self {
        Self {
            kernel,
            stride,
            padding,
        }
    }

    /// Returns the place in the image of one tap of one window.
    fn place(&self, size: [usize; 2], window: [usize; 2], tap: [usize; 2]) -> Option<usize> {
        let [top, left, _, _] = self.padding;
        let row = (window[0] * self.stride[0] + tap[0]).checked_sub(top)?;
        let column = (window[1] * self.stride[1] + tap[1]).checked_sub(left)?;
        (row < size[0] && column < size[1]).then_some(row * size[1] + column)
    }

    /// Returns a function of each window: of the first element of its channel, the places inside
    /// the image and the window's own place.
    fn over(
        &self,
        shape: &[usize],
        output: &[usize],
        function: impl Fn(usize, &[usize], [usize; 2]) -> f32,
    ) -> Vec<f32> {
        let size = [shape[1], shape[2]];
        let mut values = Vec::new();
        for channel in 0..shape[0] {
            for row in 0..output[1] {
                for column in 0..output[2] {
                    let window = [row, column];
                    let inside: Vec<usize> = (0..self.kernel[0] * self.kernel[1])
                        .map(|tap| [tap / self.kernel[1], tap % self.kernel[1]])
                        .filter_map(|tap| self.place(size, window, tap))
                        .collect();
                    values.push(function(channel * size[0] * size[1], &inside, window));
                }
            }
        }
        values
    }
}

fn conv(
    input: &[f32],
    shape: &[usize],
    weights: &Array4<f32>,
    bias: &Array1<f32>,
    windows: &Windows,
    [channels, groups]: [usize; 2],
    output: &[usize],
) -> Vec<f32> {
    let (size, area) = ([shape[1], shape[2]], shape[1] * shape[2]);
    let per_group = output[0] / groups;
    let mut values = Vec::with_capacity(output.iter().product());
    for (out_channel, kernels) in weights.outer_iter().enumerate() {
        let first = out_channel / per_group * channels;
        for row in 0..output[1] {
            for column in 0..output[2] {
                let mut sum = bias[out_channel];
                for tap_row in 0..windows.kernel[0] {
                    for tap_column in 0..windows.kernel[1] {
                        let tap = [tap_row, tap_column];
                        let Some(place) = windows.place(size, [row, column], tap) else {
                            continue;
                        };
                        for channel in 0..channels {
                            let x = input[(first + channel) * area + place];
                            sum += kernels[[channel, tap_row, tap_column]] * x;
                        }
                    }
                }
                values.push(sum);
            }
        }
    }
    values
}

/// Returns the largest elements.
fn largest(input: &[f32], shape: &[usize], windows: &Windows, output: &[usize]) -> Vec<f32> {
    windows.over(shape, output, |channel, inside, _| {
        inside
            .iter()
            .map(|&place| input[channel + place])
            .fold(f32::NEG_INFINITY, f32::max)
    })
}

/// Returns the means; `excess` is given where padding counts and says which never does.
fn average(
    input: &[f32],
    shape: &[usize],
    windows: &Windows,
    excess: Option<[usize; 2]>,
    output: &[usize],
) -> Vec<f32> {
    let size = [shape[1], shape[2]];
    windows.over(shape, output, |channel, inside, window| {
        let sum: f32 = inside.iter().map(|&place| input[channel + place]).sum();
        let counted = excess.map_or(inside.len(), |excess| {
            let along = |axis: usize| {
                let end =
                    windows.padding[axis] + size[axis] + windows.padding[axis + 2] - excess[axis];
                windows.kernel[axis].min(end - window[axis] * windows.stride[axis])
            };
            along(0) * along(1)
        });
        sum / counted as f32
    })
}
