//! Average pooling: a convolution of each channel with equal weights. Costs no bootstrap.

use std::sync::Arc;

use super::conv2d::Window;
use crate::linear_map::{Block, LinearMap, PADDING};

/// The mean over each window; zeros from padding count.
#[derive(Debug, Clone)]
pub struct AveragePool {
    /// Height, width.
    pub kernel: [usize; 2],
    pub window: Window,
}

impl AveragePool {
    /// Returns the layer as a linear map from `[channels, height, width]`.
    pub fn map(&self, channels: usize, size: [usize; 2], output: [usize; 2]) -> LinearMap<f32> {
        let area = self.kernel[0] * self.kernel[1];
        // Channels may differ in scale once they are integers, so each has weights of its own.
        let weights: Vec<Arc<[f32]>> = (0..channels)
            .map(|_| vec![1.0 / area as f32; area].into())
            .collect();
        let (input_area, position_count) = (size[0] * size[1], output[0] * output[1]);
        let blocks = (0..channels * position_count)
            .map(|index| {
                let (channel, position) = (index / position_count, index % position_count);
                let place = [position / output[1], position % output[1]];
                let inputs = (0..area).map(|tap| {
                    let tap = [tap / self.kernel[1], tap % self.kernel[1]];
                    let element = self.window.element(size, place, tap);
                    element.map_or(PADDING, |element| (channel * input_area + element) as u32)
                });
                Block {
                    weights: Arc::clone(&weights[channel]),
                    inputs: inputs.collect(),
                    outputs: vec![index as u32],
                }
            })
            .collect();
        LinearMap {
            input_count: channels * input_area,
            output_count: channels * position_count,
            blocks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear_map::Row;

    #[test]
    fn means_over_two_by_two_windows() {
        let pool = AveragePool {
            kernel: [2, 2],
            window: Window {
                stride: [2, 2],
                padding: [0, 0],
            },
        };
        let image: Vec<Row<f32>> = (0..16).map(|value| vec![value as f32].into()).collect();
        let output = pool.map(1, [4, 4], [2, 2]).apply(&image);
        let output: Vec<f32> = output.iter().map(|row| row[0]).collect();
        assert_eq!(output, [2.5, 4.5, 10.5, 12.5]);
    }
}
