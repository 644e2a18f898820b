//! Average pooling: a convolution of each channel with equal weights. Costs no bootstrap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::conv2d::Window;
use crate::core::linear_map::{Block, LinearMap, PADDING};

/// The largest integer that a weight may become.
const MOST_MULTIPLE: usize = 4096;

/// The mean over each window.
#[derive(Debug, Clone)]
pub struct AveragePool {
    /// Height, width.
    pub kernel: [usize; 2],
    pub window: Window,
    /// Padding counts as zeros; otherwise the mean is over what lies inside the image.
    pub count_padding: bool,
    /// Rows and columns of the padding at the bottom and the right that never count: those that
    /// rounding the output size up has added.
    pub excess: [usize; 2],
}

impl AveragePool {
    /// Returns the layer as a linear map from `[channels, height, width]`.
    pub fn map(&self, channels: usize, size: [usize; 2], output: [usize; 2]) -> LinearMap<f32> {
        // Channels may differ in scale once they are integers, so each has weights of its own; so
        // have windows that average over fewer elements.
        let mut shared: BTreeMap<(usize, usize), Arc<[f32]>> = BTreeMap::new();
        let taps = self.taps();
        let (input_area, position_count) = (size[0] * size[1], output[0] * output[1]);
        let blocks = (0..channels * position_count).map(|index| {
            let (channel, position) = (index / position_count, index % position_count);
            let place = [position / output[1], position % output[1]];
            let inputs: Vec<u32> = taps
                .iter()
                .map(|&tap| {
                    let element = self.window.element(size, place, tap);
                    element.map_or(PADDING, |element| (channel * input_area + element) as u32)
                })
                .collect();
            let counted = self.counted(size, place, &taps).max(1);
            let weights = shared
                .entry((channel, counted))
                .or_insert_with(|| vec![1.0 / counted as f32; taps.len()].into());
            Block {
                weights: Arc::clone(weights),
                inputs,
                outputs: vec![index as u32],
            }
        });
        LinearMap {
            input_count: channels * input_area,
            output_count: channels * position_count,
            blocks: blocks.collect(),
        }
    }

    /// Returns the number of which all weights are multiples, or nearly so where windows are over
    /// many different numbers of elements.
    pub fn scale(&self, size: [usize; 2], output: [usize; 2]) -> f32 {
        let taps = self.taps();
        let positions = (0..output[0] * output[1]).map(|p| [p / output[1], p % output[1]]);
        let counts: BTreeSet<usize> = positions
            .map(|place| self.counted(size, place, &taps).max(1))
            .collect();
        let multiple = counts.iter().try_fold(1usize, |all, &count| {
            let multiple = all / greatest_common_divisor(all, count) * count;
            (multiple <= MOST_MULTIPLE).then_some(multiple)
        });
        1.0 / multiple.unwrap_or(MOST_MULTIPLE) as f32
    }

    fn taps(&self) -> Vec<[usize; 2]> {
        (0..self.kernel[0] * self.kernel[1])
            .map(|tap| [tap / self.kernel[1], tap % self.kernel[1]])
            .collect()
    }

    /// Returns how many taps of the window at `place` the mean is over.
    fn counted(&self, size: [usize; 2], place: [usize; 2], taps: &[[usize; 2]]) -> usize {
        let [top, left, bottom, right] = self.window.padding;
        let counts = |tap: &&[usize; 2]| {
            let inside = self.window.element(size, place, **tap).is_some();
            let row = place[0] * self.window.stride[0] + tap[0];
            let column = place[1] * self.window.stride[1] + tap[1];
            let padding = row < top + size[0] + bottom - self.excess[0]
                && column < left + size[1] + right - self.excess[1];
            inside || (self.count_padding && padding)
        };
        taps.iter().filter(counts).count()
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
impl AveragePool {
    /// Returns the mean over windows of that size, side by side and without padding.
    pub(crate) fn side_by_side(kernel: [usize; 2]) -> Self {
        Self {
            kernel,
            window: Window {
                stride: kernel,
                padding: [0; 4],
            },
            count_padding: true,
            excess: [0, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::linear_map::Row;

    #[test]
    fn means_over_two_by_two_windows() {
        let pool = AveragePool::side_by_side([2, 2]);
        let image: Vec<Row<f32>> = (0..16).map(|value| vec![value as f32].into()).collect();
        let output = pool.map(1, [4, 4], [2, 2]).apply(&image);
        let output: Vec<f32> = output.iter().map(|row| row[0]).collect();
        assert_eq!(output, [2.5, 4.5, 10.5, 12.5]);
    }
}
