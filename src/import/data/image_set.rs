//! Images as a file or folder stores them, with their labels, before they are fitted to a network.

use crate::core::error::Result;
use crate::core::shape::element_count;
use crate::machine::file;

/// Images with their labels where the file or folder holds them.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    /// The file or folder, as errors name it.
    pub place: String,
    /// The shape of one image as stored: `[28, 28]`, `[3, 32, 32]` or `[784]`.
    pub shape: Vec<usize>,
    /// All images, one after the other, row-major.
    pub pixels: Pixels,
    /// One number per image, as the file has it.
    pub labels: Option<Vec<f64>>,
}

/// Stored pixel values, `count * product(shape)` of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// Bytes as a camera gives them.
    Integer(Vec<u8>),
    /// Finite floats.
    Real(Vec<f32>),
}

impl Pixels {
    /// Returns how many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(values) => values.len(),
            Self::Real(values) => values.len(),
        }
    }

    /// Returns the values as floats; `place` names the file in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`](crate::Error::Memory) where memory does not hold them.
    pub fn into_reals(self, place: &str) -> Result<Vec<f32>> {
        match self {
            Self::Integer(values) => file::collected(place, values.into_iter().map(f32::from)),
            Self::Real(values) => Ok(values),
        }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ImageSet {
    /// Returns how many images there are.
    pub fn count(&self) -> usize {
        let elements = element_count(&self.shape).unwrap_or(0).max(1);
        self.pixels.len() / elements
    }
}

/// Returns bytes as labels.
pub(super) fn numbers(labels: Vec<u8>) -> Vec<f64> {
    labels.into_iter().map(f64::from).collect()
}
