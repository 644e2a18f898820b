//! The test images that come with a model.

use std::ops::Range;

use super::format::RawTest;
use super::input::Input;
use super::npy::{Header, Kind};
use super::source::Source;
use crate::core::error::{Error, Result};
use crate::machine::file;

/// Images as integers, with their labels.
#[derive(Debug, Clone)]
pub struct TestSet {
    /// Integers 0..=max, image by image.
    pixels: Vec<u8>,
    /// Indices among the network's classes.
    labels: Vec<u32>,
}

impl TestSet {
    /// Reads images and labels.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] that names the file for a wrong checksum, type, shape or value.
    pub(super) fn read(source: &Source, raw: &RawTest, input: &Input) -> Result<Self> {
        let place = source.place(&raw.images);
        let bytes = source.read_checked(&raw.images, &raw.images_sha256)?;
        let pixels = read_images(&place, &bytes, input)?;
        let image_count = pixels.len() / input.shape.iter().product::<usize>();
        let place = source.place(&raw.labels);
        let bytes = source.read_checked(&raw.labels, &raw.labels_sha256)?;
        let labels = read_labels(&place, &bytes, image_count)?;
        Ok(Self { pixels, labels })
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
            .find(|&&label| label as usize >= classes.max(1))
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
        self.labels.len()
    }

    /// Returns whether there are no images; a set that was read holds at least one.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the integers of an image.
    pub fn image(&self, index: usize) -> &[u8] {
        let element_count = self.pixels.len() / self.len();
        &self.pixels[index * element_count..][..element_count]
    }

    /// Returns some of the images.
    pub fn select(&self, images: &[usize]) -> Self {
        let pixels = images.iter().flat_map(|&image| self.image(image));
        Self {
            pixels: pixels.copied().collect(),
            labels: images.iter().map(|&image| self.labels[image]).collect(),
        }
    }

    /// Returns the images of a range.
    pub fn part(&self, images: Range<usize>) -> Self {
        self.select(&images.collect::<Vec<_>>())
    }

    /// Returns the bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.pixels.len() + size_of_val(self.labels.as_slice())
    }

    /// Returns the integers of all images, one after the other.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns the class of each image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Returns the class of an image.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index] as usize
    }
}

/// Returns the integers of an array of u8, whole images of the input's shape and in its range.
fn read_images(place: &str, bytes: &[u8], input: &Input) -> Result<Vec<u8>> {
    let header = Header::of(place, bytes, bytes.len() as u64)?;
    let Header { shape, start, .. } = &header;
    if (header.kind, header.element_bytes) != (Kind::Unsigned, 1) {
        let reason = format!("no u8 array: its elements are {}", header.element_name());
        return Err(Error::invalid(place, reason));
    }
    let element_count: usize = input.shape.iter().product();
    let stored = &bytes[*start..];
    let image_count = shape.first().copied().unwrap_or(0);
    if image_count == 0 || image_count.checked_mul(element_count) != Some(stored.len()) {
        let reason = format!(
            "shape {shape:?} does not hold images of {:?}: give [n, …] with {element_count} elements each",
            input.shape
        );
        return Err(Error::invalid(place, reason));
    }
    if let Some(value) = stored.iter().find(|&&value| u32::from(value) > input.max) {
        let reason = format!("value {value} is above input.max = {}", input.max);
        return Err(Error::invalid(place, reason));
    }
    match header.row_major(place, stored)? {
        Some(pixels) => Ok(pixels),
        None => file::collected(place, stored.iter().copied()),
    }
}

/// Returns the labels of an array of `count` u8, u16 or u32.
fn read_labels(place: &str, bytes: &[u8], count: usize) -> Result<Vec<u32>> {
    let header = Header::of(place, bytes, bytes.len() as u64)?;
    let is_wanted = header.kind == Kind::Unsigned && header.element_bytes <= 4;
    let [found] = header.shape[..] else {
        let reason = format!(
            "no array of {count} labels: its shape is {:?}",
            header.shape
        );
        return Err(Error::invalid(place, reason));
    };
    if !is_wanted {
        let reason = format!(
            "no array of u8, u16 or u32 labels: its elements are {}",
            header.element_name()
        );
        return Err(Error::invalid(place, reason));
    }
    if found != count {
        let reason = format!("{found} labels for {count} images");
        return Err(Error::invalid(place, reason));
    }
    let elements = bytes[header.start..].chunks_exact(header.element_bytes);
    file::collected(
        place,
        elements.map(|element| header.integer(element) as u32),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::npy::MAGIC;

    /// Returns an array whose first axis runs fastest.
    fn npy(description: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{description}', 'fortran_order': True, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    #[test]
    fn images_are_read_one_after_the_other_however_they_lie() {
        let input = Input {
            shape: vec![3],
            max: 25,
            scale: vec![1.0; 3],
            offset: vec![0.0; 3],
        };
        let columns = npy("|u1", "(2, 3)", &[0, 10, 1, 11, 2, 12]);
        let images = read_images("images", &columns, &input).unwrap();
        assert_eq!(images, [0, 1, 2, 10, 11, 12]);
    }

    #[test]
    fn labels_are_bytes_or_wider() {
        let wide = npy("<u2", "(2, )", &[44, 1, 7, 0]);
        assert_eq!(read_labels("labels", &wide, 2).unwrap(), [300, 7]);
        let wider = npy("<u4", "(2,)", &[0, 0, 1, 0, 7, 0, 0, 0]);
        assert_eq!(read_labels("labels", &wider, 2).unwrap(), [65536, 7]);
        assert_eq!(
            read_labels("labels", &npy("|u1", "(2,)", &[9, 7]), 2).unwrap(),
            [9, 7]
        );
        for (bytes, count) in [
            (npy("<u2", "(2,)", &[44, 1, 7]), 2),
            (npy("<u2", "(1,)", &[44, 1]), 2),
            (npy("<u2", "(1, 1)", &[44, 1]), 1),
            (npy("<u2", "(1099511627776,)", &[44, 1]), 1 << 40),
            (npy("<i2", "(1,)", &[44, 1]), 1),
            (wide[..9].to_vec(), 2),
        ] {
            assert!(read_labels("labels", &bytes, count).is_err(), "{bytes:?}");
        }
    }
}
