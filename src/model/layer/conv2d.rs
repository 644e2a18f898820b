//! Two-dimensional convolution with stride and zero padding.

use std::sync::Arc;

use crate::core::linear_map::{Block, LinearMap, PADDING};

/// `output[o][y][x] = Σ weights[o][c][i][j] · input[c][y·stride_y + i - top][x·stride_x + j - left]`,
/// where the sum runs over the input channels of o's group.
#[derive(Debug, Clone)]
pub struct Conv2d {
    /// `[out_channels, in_channels / groups, kernel_height, kernel_width]`.
    pub weights: Vec<f32>,
    pub out_channels: usize,
    pub in_channels: usize,
    /// Divides both numbers of channels; in_channels of them is a depthwise convolution.
    pub groups: usize,
    /// Height, width.
    pub kernel: [usize; 2],
    pub window: Window,
}

/// How a kernel moves over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows, columns.
    pub stride: [usize; 2],
    /// Rows and columns of padding: top, left, bottom, right.
    pub padding: [usize; 4],
}

impl Window {
    /// Returns the output height and width for an image of `size`, or `None` where the kernel does
    /// not fit or a stride is zero.
    pub fn output_size(&self, size: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let padded = size[axis].checked_add(self.padding[axis])?;
            let padded = padded.checked_add(self.padding[axis + 2])?;
            let room = padded.checked_sub(kernel[axis])?;
            Some(room.checked_div(self.stride[axis])? + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Returns the element of one channel that kernel tap `tap` reads at output `position`.
    pub fn element(
        &self,
        size: [usize; 2],
        position: [usize; 2],
        tap: [usize; 2],
    ) -> Option<usize> {
        let along = |axis: usize| {
            (position[axis] * self.stride[axis] + tap[axis])
                .checked_sub(self.padding[axis])
                .filter(|&coordinate| coordinate < size[axis])
        };
        Some(along(0)? * size[1] + along(1)?)
    }
}

impl Conv2d {
    /// Returns the layer as a linear map with one block per group and output position, for an
    /// input of `[in_channels, height, width]` and an output of `[out_channels, height, width]`.
    pub fn map(&self, size: [usize; 2], output: [usize; 2]) -> LinearMap<f32> {
        let (area, position_count) = (size[0] * size[1], output[0] * output[1]);
        let (group_inputs, group_outputs) = (
            self.in_channels / self.groups,
            self.out_channels / self.groups,
        );
        let taps = (0..self.kernel[0] * self.kernel[1])
            .map(|tap| [tap / self.kernel[1], tap % self.kernel[1]])
            .collect::<Vec<_>>();
        let mut blocks = Vec::with_capacity(self.groups * position_count);
        let group_size = self.weights.len() / self.groups;
        for (group, weights) in self.weights.chunks_exact(group_size).enumerate() {
            let weights: Arc<[f32]> = weights.into();
            let channels = group * group_inputs..(group + 1) * group_inputs;
            for position in 0..position_count {
                let place = [position / output[1], position % output[1]];
                let elements: Vec<Option<usize>> = taps
                    .iter()
                    .map(|&tap| self.window.element(size, place, tap))
                    .collect();
                let inputs = channels.clone().flat_map(|channel| {
                    let input = move |element: &Option<usize>| {
                        element.map_or(PADDING, |element| (channel * area + element) as u32)
                    };
                    elements.iter().map(input)
                });
                let outputs = group * group_outputs..(group + 1) * group_outputs;
                blocks.push(Block {
                    weights: Arc::clone(&weights),
                    inputs: inputs.collect(),
                    outputs: outputs
                        .map(|channel| (channel * position_count + position) as u32)
                        .collect(),
                });
            }
        }
        LinearMap {
            input_count: self.in_channels * area,
            output_count: self.out_channels * position_count,
            blocks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::linear_map::Row;
    use proptest::prelude::*;

    /// The definition, by seven loops over a padded copy.
    fn naive(
        conv: &Conv2d,
        image: &[f32],
        [height, width]: [usize; 2],
        out: [usize; 2],
    ) -> Vec<f32> {
        let [pad_y, pad_x, bottom, right] = conv.window.padding;
        let padded_width = width + pad_x + right;
        let padded_size = (height + pad_y + bottom) * padded_width;
        let mut padded = vec![0.0; conv.in_channels * padded_size];
        for c in 0..conv.in_channels {
            for y in 0..height {
                for x in 0..width {
                    padded[c * padded_size + (y + pad_y) * padded_width + x + pad_x] =
                        image[(c * height + y) * width + x];
                }
            }
        }
        let [kernel_height, kernel_width] = conv.kernel;
        let mut output = Vec::new();
        for o in 0..conv.out_channels {
            for y in 0..out[0] {
                for x in 0..out[1] {
                    let mut sum = 0.0;
                    let group_inputs = conv.in_channels / conv.groups;
                    let group = o / (conv.out_channels / conv.groups);
                    for from in 0..group_inputs {
                        let c = group * group_inputs + from;
                        for i in 0..kernel_height {
                            for j in 0..kernel_width {
                                let weight =
                                    conv.weights[((o * group_inputs + from) * kernel_height + i)
                                        * kernel_width
                                        + j];
                                let row = y * conv.window.stride[0] + i;
                                let column = x * conv.window.stride[1] + j;
                                sum +=
                                    weight * padded[c * padded_size + row * padded_width + column];
                            }
                        }
                    }
                    output.push(sum);
                }
            }
        }
        output
    }

    proptest! {
        #[test]
        fn convolutions_equal_the_naive_loops(
            channels in (1usize..4, 1usize..4), size in (1usize..7, 1usize..7),
            kernel in (1usize..4, 1usize..4), stride in (1usize..3, 1usize..3),
            padding in prop::array::uniform4(0usize..3), groups in 1usize..3, seed in 0usize..1000,
        ) {
            let window = Window { stride: stride.into(), padding };
            let channels = (channels.0 * groups, channels.1 * groups);
            let Some(out) = window.output_size(size.into(), kernel.into()) else {
                return Ok(());
            };
            let small = |i: usize| ((i * 7919 + seed) % 15) as f32 - 7.0;
            let conv = Conv2d {
                weights: (0..channels.0 * channels.1 / groups * kernel.0 * kernel.1).map(small).collect(),
                out_channels: channels.0,
                in_channels: channels.1,
                groups,
                kernel: kernel.into(),
                window,
            };
            let image: Vec<f32> = (0..channels.1 * size.0 * size.1).map(|i| small(i + 99)).collect();
            let rows: Vec<Row<f32>> = image.iter().map(|&value| vec![value].into()).collect();
            let output = conv.map(size.into(), out).apply(&rows);
            let output: Vec<f32> = output.iter().map(|row| row[0]).collect();
            prop_assert_eq!(output, naive(&conv, &image, size.into(), out));
        }
    }

    #[test]
    fn kernels_that_do_not_fit_and_zero_strides_have_no_output() {
        let window = |stride| Window {
            stride: [stride; 2],
            padding: [0; 4],
        };
        assert_eq!(window(1).output_size([2, 2], [3, 3]), None);
        assert_eq!(window(0).output_size([8, 8], [3, 3]), None);
        assert_eq!(window(2).output_size([6, 6], [3, 3]), Some([2, 2]));
    }
}
