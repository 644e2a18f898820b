//! Images as a file or folder stores them, with their labels, before they are fitted to a network.

use crate::core::error::{Error, Result};
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

    /// Returns sets of as many images each as one, whose images are lists of the elements of one set after
    /// those of the other; `place` names the file of all in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where one has another number of images.
    pub(super) fn side_by_side(place: String, sets: Vec<Self>) -> Result<Self> {
        let count = sets.first().map_or(0, Self::count);
        if let Some(other) = sets.iter().find(|set| set.count() != count) {
            let reason = format!(
                "has {} images, but the first input has {count}: give as many for each",
                other.count()
            );
            return Err(Error::invalid(&other.place, reason));
        }
        let size = |set: &Self| set.shape.iter().product::<usize>();
        let shape = vec![sets.iter().map(size).sum()];
        let are_bytes = |set: &Self| matches!(set.pixels, Pixels::Integer(_));
        let (mut bytes, mut reals) = (Vec::new(), Vec::new());
        let as_bytes = sets.iter().all(are_bytes);
        for set in sets {
            let size = size(&set);
            match set.pixels {
                Pixels::Integer(values) if as_bytes => bytes.push((values, size)),
                pixels => reals.push((pixels.into_reals(&set.place)?, size)),
            }
        }
        let pixels = if as_bytes {
            Pixels::Integer(rows_of_all(&place, count, &bytes)?)
        } else {
            Pixels::Real(rows_of_all(&place, count, &reals)?)
        };
        Ok(Self {
            place,
            shape,
            pixels,
            labels: None,
        })
    }
}

/// Returns the elements of each image in turn, of arrays that each have so many of every image.
fn rows_of_all<T: Copy>(place: &str, count: usize, arrays: &[(Vec<T>, usize)]) -> Result<Vec<T>> {
    let mut all = file::buffer(place, arrays.iter().map(|(values, _)| values.len()).sum())?;
    for image in 0..count {
        for (values, size) in arrays {
            all.extend_from_slice(&values[image * size..][..*size]);
        }
    }
    Ok(all)
}

/// Returns bytes as labels.
pub(super) fn numbers(labels: Vec<u8>) -> Vec<f64> {
    labels.into_iter().map(f64::from).collect()
}
