//! Max pooling. Under encryption it is a tree of comparisons: `max(a, b) = b + relu(a - b)`, one
//! look-up for each.

use rayon::prelude::*;

use super::conv2d::Window;
use crate::core::linear_map::Row;

/// The largest element of each window; padding never wins.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxPool {
    /// For each output element the input elements of its window; never empty.
    pub windows: Vec<Vec<u32>>,
}

impl MaxPool {
    /// Returns the pooling of `[channels, height, width]`, or `None` where a window holds nothing
    /// but padding.
    pub fn new(
        channels: usize,
        size: [usize; 2],
        kernel: [usize; 2],
        window: Window,
        output: [usize; 2],
    ) -> Option<Self> {
        let (area, position_count) = (size[0] * size[1], output[0] * output[1]);
        let windows = (0..channels * position_count).map(|index| {
            let (channel, position) = (index / position_count, index % position_count);
            let place = [position / output[1], position % output[1]];
            let elements: Vec<u32> = (0..kernel[0] * kernel[1])
                .map(|tap| [tap / kernel[1], tap % kernel[1]])
                .filter_map(|tap| window.element(size, place, tap))
                .map(|element| (channel * area + element) as u32)
                .collect();
            (!elements.is_empty()).then_some(elements)
        });
        Some(Self {
            windows: windows.collect::<Option<_>>()?,
        })
    }

    /// Returns the float outputs.
    pub fn run_float(&self, input: &[Row<f32>]) -> Vec<Row<f32>> {
        let largest = |window: &Vec<u32>| -> Row<f32> {
            let mut largest = input[window[0] as usize].clone();
            for &element in &window[1..] {
                for (best, &value) in largest.iter_mut().zip(&input[element as usize]) {
                    *best = best.max(value);
                }
            }
            largest
        };
        self.windows.par_iter().map(largest).collect()
    }

    /// Returns how many pairs are compared, over all windows.
    pub fn comparison_count(&self) -> usize {
        self.windows.iter().map(|window| window.len() - 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_take_their_largest_and_padding_never_wins() {
        let window = Window {
            stride: [2, 2],
            padding: [1, 1, 0, 0],
        };
        let pool = MaxPool::new(1, [3, 3], [2, 2], window, [2, 2]).expect("windows");
        let image: Vec<Row<f32>> = (0..9).map(|v| vec![-(v as f32) - 1.0].into()).collect();
        let output: Vec<f32> = pool.run_float(&image).iter().map(|row| row[0]).collect();
        assert_eq!(output, [-1.0, -2.0, -4.0, -5.0]);
        // Windows of one, two, two and four elements.
        assert_eq!(pool.comparison_count(), 5);
    }
}
