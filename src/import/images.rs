//! Images run through a network in portions that fit in memory.

use rayon::prelude::*;

use crate::analysis::{Analysis, BeforeLookUp, analyse};
use crate::data::FittedSet;
use crate::error::Result;
use crate::linear_map::Row;
use crate::model::Model;
use crate::placement::{Party, Placement, Segment};
use crate::simulation::{arg_max, simulate_on};

/// Images that are run at once.
const PORTION: usize = 250;

/// Images as the integers that the client starts from.
pub struct Images<'a> {
    pub pixels: &'a [u8],
    pub labels: Option<&'a [u8]>,
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

    /// Returns the share of images whose label is the given one; of all images where there are no
    /// labels.
    pub fn share_right(&self, found: &[usize]) -> f64 {
        let Some(labels) = self.labels else {
            return 1.0;
        };
        let pairs = labels.iter().zip(found);
        let right = pairs.filter(|(label, found)| usize::from(**label) == **found);
        right.count() as f64 / labels.len().max(1) as f64
    }
}

/// Returns images as integers, `[elements, images]`.
pub fn integer_rows(portion: &[u8], element_count: usize) -> Vec<Row<u64>> {
    let pixels = |element| portion.iter().skip(element).step_by(element_count);
    (0..element_count)
        .into_par_iter()
        .map(|element| pixels(element).map(|&pixel| u64::from(pixel)).collect())
        .collect()
}

/// Returns images as the network's float input, `[elements, images]`.
pub fn real_rows(model: &Model, portion: &[u8]) -> Vec<Row<f32>> {
    let element_count = model.element_count(0);
    let pixels = |element| portion.iter().skip(element).step_by(element_count);
    (0..element_count)
        .into_par_iter()
        .map(|element| {
            let real = |&pixel| model.input.real(element, pixel);
            pixels(element).map(real).collect()
        })
        .collect()
}

/// Returns the labels that the float network gives.
pub fn float_labels(model: &Model, images: &Images) -> Vec<usize> {
    let all_client = Placement::uniform(Party::Client, model.layer_count());
    let portions = images.portions();
    portions
        .flat_map(|portion| {
            let input = real_rows(model, portion);
            simulate_on(model, &all_client, &[], input, None).labels()
        })
        .collect()
}

/// Returns the accuracy of the float network.
pub fn float_accuracy(model: &Model, images: &Images) -> f64 {
    images.share_right(&float_labels(model, images))
}

/// Returns the analysis of the whole network as one server segment.
///
/// # Errors
///
/// As [`analyse`].
pub fn analyse_all(model: &Model) -> Result<Analysis> {
    let segment = Segment {
        party: Party::Server,
        layers: 0..model.layer_count(),
    };
    analyse(model, &segment)
}

/// Returns the labels that the integer network gives, all layers on the server, and how many
/// values left their calibrated range.
///
/// # Errors
///
/// As [`analyse`].
pub fn integer_labels(model: &Model, images: &Images) -> Result<(Vec<usize>, u64)> {
    let analysis = analyse_all(model)?;
    let mut labels = Vec::with_capacity(images.count());
    let mut overflows = 0;
    for portion in images.portions() {
        let input = integer_rows(portion, images.element_count);
        let mut count: Box<BeforeLookUp> = Box::new(|_, look_up, rows| {
            overflows += look_up.overflow_count(rows);
        });
        let outputs = analysis.run(&[input], &mut *count);
        let scales = &analysis.downloads[0].scales;
        let logits = |image: usize| {
            let rows = outputs[0].iter().zip(scales);
            rows.map(move |(row, scale)| (row[image] as i64 as f64 * scale) as f32)
        };
        let image_count = outputs[0].first().map_or(0, |row| row.len());
        labels.extend((0..image_count).map(|image| arg_max(logits(image))));
    }
    Ok((labels, overflows))
}

/// Returns the accuracy of the integer network, and how many values left their calibrated range.
///
/// # Errors
///
/// As [`analyse`].
pub fn integer_accuracy(model: &Model, images: &Images) -> Result<(f64, u64)> {
    let (labels, overflows) = integer_labels(model, images)?;
    Ok((images.share_right(&labels), overflows))
}
