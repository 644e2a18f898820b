//! The network's input: what its integers stand for.

/// The network's input: integers 0..=max with `real = scale · integer + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub shape: Vec<usize>,
    pub max: u32,
    /// One per element.
    pub scale: Vec<f64>,
    /// One per element.
    pub offset: Vec<f64>,
}

impl Input {
    /// Returns the smallest and largest value of each element.
    pub fn range(&self) -> Vec<(f32, f32)> {
        let ends = self.scale.iter().zip(&self.offset);
        let largest = |scale: f64, offset: f64| (scale * f64::from(self.max) + offset) as f32;
        ends.map(|(&scale, &offset)| (offset as f32, largest(scale, offset)))
            .collect()
    }

    /// Returns the real number that an element's integer stands for.
    pub fn real(&self, element: usize, integer: u8) -> f32 {
        (f64::from(integer) * self.scale[element] + self.offset[element]) as f32
    }
}
