//! Images run through a network in portions that fit in memory.

use rayon::prelude::*;

use crate::core::linear_map::Row;
use crate::core::placement::{Party, Placement};
use crate::import::data::FittedSet;
use crate::model::{Model, ValueId};
use crate::oracle::simulation::{PORTION, label_of, simulate_on};

/// Images as the integers that the client starts from.
pub struct Images<'a> {
    pub pixels: &'a [u8],
    pub labels: Option<&'a [u32]>,
    /// Pixels of an image.
    pub element_count: usize,
}

impl<'a> Images<'a> {
    /// Returns all images of a set.
    pub fn all(set: &'a FittedSet) -> Self {
        Self::first(set, set.count)
    }

    /// Returns the first images of a set, or all where there are fewer.
    pub fn first(set: &'a FittedSet, count: usize) -> Self {
        let element_count = set.images.len() / set.count.max(1);
        let count = count.min(set.count);
        Self {
            pixels: &set.images[..count * element_count],
            labels: set.labels.as_deref().map(|labels| &labels[..count]),
            element_count,
        }
    }

    /// Returns a model's test images.
    pub fn of_test(model: &'a Model) -> Self {
        Self {
            pixels: model.test.pixels(),
            labels: Some(model.test.labels()),
            element_count: model.element_count(ValueId::INPUT),
        }
    }

    /// Returns the first of these images, or all where there are fewer.
    pub fn take(&self, count: usize) -> Self {
        let count = count.min(self.count());
        Self {
            pixels: &self.pixels[..count * self.element_count],
            labels: self.labels.map(|labels| &labels[..count]),
            element_count: self.element_count,
        }
    }

    /// Returns the number of images.
    pub fn count(&self) -> usize {
        self.pixels.len() / self.element_count
    }

    /// Returns the images in portions.
    pub fn portions(&self) -> impl Iterator<Item = &'a [u8]> {
        self.pixels.chunks(PORTION * self.element_count)
    }

    /// Returns the fraction of images whose label is the given one; of all images where there are no
    /// labels.
    pub fn fraction_right(&self, found: &[usize]) -> f64 {
        let Some(labels) = self.labels else {
            return 1.0;
        };
        let right = labels
            .iter()
            .zip(found)
            .filter(|(label, found)| **label as usize == **found)
            .count();
        right as f64 / labels.len().max(1) as f64
    }
}

/// Returns images as the network's float input, `[elements, images]`.
pub fn real_rows(model: &Model, portion: &[u8]) -> Vec<Row<f32>> {
    let element_count = model.element_count(ValueId::INPUT);
    let pixels = |element| portion.iter().skip(element).step_by(element_count);
    (0..element_count)
        .into_par_iter()
        .map(|element| {
            let real = |&pixel| model.input.real(element, pixel);
            pixels(element).map(real).collect()
        })
        .collect()
}

/// Outputs of a network, `[outputs]` for each image.
pub type Outputs = Vec<Vec<f32>>;

/// Returns what the float network gives for images as the client has them, in integers.
pub fn float_outputs(model: &Model, images: &Images) -> Outputs {
    outputs_of(
        model,
        images.portions().map(|portion| real_rows(model, portion)),
    )
}

/// Returns what the float network gives for images before their values were rounded to integers.
pub fn untouched_outputs(model: &Model, set: &FittedSet) -> Outputs {
    let Some(reals) = &set.reals else {
        return float_outputs(model, &Images::all(set));
    };
    let element_count = model.element_count(ValueId::INPUT);
    let portions = reals.chunks(PORTION * element_count).map(|portion| {
        let elements = (0..element_count).into_par_iter();
        let row = |element| portion.iter().skip(element).step_by(element_count).copied();
        elements.map(|element| row(element).collect()).collect()
    });
    outputs_of(model, portions)
}

/// Returns what the float network gives for portions of images, each `[elements, images]`.
fn outputs_of(model: &Model, portions: impl Iterator<Item = Vec<Row<f32>>>) -> Outputs {
    let all_client = Placement::uniform(Party::Client, &model.pins());
    portions
        .flat_map(|input| by_image(&simulate_on(model, &all_client, &[], input, None).logits))
        .collect()
}

/// Returns the outputs of each image, of `[outputs, images]`.
pub fn by_image(logits: &[Row<f32>]) -> Outputs {
    let images = logits.first().map_or(0, |row| row.len());
    let of_image = |image: usize| logits.iter().map(|row| row[image]).collect();
    (0..images).map(of_image).collect()
}

/// Returns the label of each image.
pub fn labels_of(outputs: &[Vec<f32>]) -> Vec<usize> {
    let logits = outputs.iter().map(|outputs| outputs.iter().copied());
    logits.map(label_of).collect()
}

/// Returns the labels that the float network gives.
pub fn float_labels(model: &Model, images: &Images) -> Vec<usize> {
    labels_of(&float_outputs(model, images))
}

/// Returns how far outputs lie from the right ones: the root of the mean squared distance, as a
/// fraction of the right ones' deviation from their mean over the images; none where they do not
/// deviate.
pub fn relative_error(right: &[Vec<f32>], found: &[Vec<f32>]) -> Option<f64> {
    let count = right.len().max(1) as f64;
    let outputs = right.first().map_or(0, Vec::len);
    let (mut distance, mut deviation) = (0.0, 0.0);
    for output in 0..outputs {
        let mean = right
            .iter()
            .map(|image| f64::from(image[output]))
            .sum::<f64>()
            / count;
        for (right, found) in right.iter().zip(found) {
            let (right, found) = (f64::from(right[output]), f64::from(found[output]));
            distance += (right - found).powi(2);
            deviation += (right - mean).powi(2);
        }
    }
    (deviation > 0.0).then(|| (distance / deviation).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_errors_are_fractions_of_the_deviation() {
        let right = [vec![1.0, 5.0], vec![3.0, 5.0]];
        let found = [vec![1.0, 5.0], vec![3.0, 6.0]];
        // One of distance 1², deviations of 1² and 1² from the mean 2.
        assert_eq!(relative_error(&right, &found), Some(0.5f64.sqrt()));
        assert_eq!(relative_error(&right, &right), Some(0.0));
        assert_eq!(relative_error(&right[..1], &found[..1]), None);
    }
}
