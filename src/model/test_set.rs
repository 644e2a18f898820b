//! The test images that come with a model.

use ndarray::{ArrayView1, ArrayViewD};
use ndarray_npy::{ViewNpyError, ViewNpyExt};

use super::Input;
use super::format::RawTest;
use super::source::Source;
use crate::error::{Error, Result};

/// Images as integers, with their labels.
#[derive(Debug, Clone)]
pub struct TestSet {
    /// Integers 0..=max, one list of elements per image.
    images: Vec<Vec<u8>>,
    labels: Vec<u8>,
}

impl TestSet {
    /// Reads images and labels.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] that names the file for a wrong checksum, type, shape or value.
    pub(super) fn read(source: &Source, raw: &RawTest, input: &Input) -> Result<Self> {
        let element_count: usize = input.shape.iter().product();
        let place = source.place(&raw.images);
        let bytes = source.read_checked(&raw.images, &raw.images_sha256)?;
        let images = ArrayViewD::<u8>::view_npy(&bytes)
            .map_err(|error| Error::invalid(&place, no_array(&error)))?;
        let image_count = images.shape().first().copied().unwrap_or(0);
        if image_count == 0 || image_count.checked_mul(element_count) != Some(images.len()) {
            let reason = format!(
                "shape {:?} does not hold images of {:?}: give [n, …] with {element_count} elements each",
                images.shape(),
                input.shape
            );
            return Err(Error::invalid(&place, reason));
        }
        if let Some(value) = images.iter().find(|&&value| u32::from(value) > input.max) {
            let reason = format!("value {value} is above input.max = {}", input.max);
            return Err(Error::invalid(&place, reason));
        }
        let flat: Vec<u8> = images.iter().copied().collect();
        let place = source.place(&raw.labels);
        let bytes = source.read_checked(&raw.labels, &raw.labels_sha256)?;
        let labels = ArrayView1::<u8>::view_npy(&bytes)
            .map_err(|error| Error::invalid(&place, no_array(&error)))?;
        if labels.len() != image_count {
            let reason = format!("{} labels for {image_count} images", labels.len());
            return Err(Error::invalid(&place, reason));
        }
        Ok(Self {
            images: flat.chunks(element_count).map(<[u8]>::to_vec).collect(),
            labels: labels.to_vec(),
        })
    }

    /// Checks that every label is a class of the network.
    pub(super) fn check_labels(
        &self,
        classes: usize,
        source: &Source,
        raw: &RawTest,
    ) -> Result<()> {
        match self
            .labels
            .iter()
            .find(|&&label| usize::from(label) >= classes)
        {
            None => Ok(()),
            Some(label) => Err(Error::invalid(
                source.place(&raw.labels),
                format!("label {label}, but the network has {classes} classes"),
            )),
        }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Returns whether there are no images; a set that was read holds at least one.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Returns the integers of an image.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index]
    }

    /// Returns the class of an image.
    pub fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index])
    }
}

/// Returns the first line of why a file was refused; a syntax error goes on to quote all of it.
fn no_array(error: &ViewNpyError) -> String {
    let error = error.to_string();
    let first_line = error.lines().next().unwrap_or_default();
    format!("no u8 array in .npy format: {first_line}")
}
