//! The test images that come with a model.

use ndarray::{ArrayView1, ArrayViewD};
use ndarray_npy::{ViewNpyError, ViewNpyExt};

use super::format::RawTest;
use super::input::Input;
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
        let element_count: usize = input.shape.iter().product();
        let place = source.place(&raw.images);
        let bytes = source.read_checked(&raw.images, &raw.images_sha256)?;
        check_header("u8 array", &bytes).map_err(|reason| Error::invalid(&place, reason))?;
        let images = ArrayViewD::<u8>::view_npy(&bytes)
            .map_err(|error| Error::invalid(&place, no_array("u8 array", &error)))?;
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
        let pixels = file::collected(&place, images.iter().copied())?;
        let place = source.place(&raw.labels);
        let bytes = source.read_checked(&raw.labels, &raw.labels_sha256)?;
        let labels =
            read_labels(&bytes, image_count).map_err(|reason| Error::invalid(&place, reason))?;
        if labels.len() != image_count {
            let reason = format!("{} labels for {image_count} images", labels.len());
            return Err(Error::invalid(&place, reason));
        }
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

/// Returns the labels of an array of u8, u16 or u32; wide ones only where there are `count` of them.
fn read_labels(bytes: &[u8], count: usize) -> std::result::Result<Vec<u32>, String> {
    let wanted = format!("array of {count} u8, u16 or u32 labels");
    check_header(&wanted, bytes)?;
    match ArrayView1::<u8>::view_npy(bytes) {
        Ok(labels) => Ok(labels.iter().map(|&label| u32::from(label)).collect()),
        Err(error) => wide_labels(bytes, count).ok_or_else(|| no_array(&wanted, &error)),
    }
}

/// Returns the labels of an array `[count]` of u16 or u32, least significant byte first. A view of
/// them would need memory that is aligned for them, which a file read as bytes need not be.
fn wide_labels(bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    let (head, rest) = bytes.split_at_checked(10)?;
    let length = head.strip_prefix(b"\x93NUMPY\x01\x00")?;
    let length = u16::from_le_bytes(length.try_into().ok()?);
    let (header, data) = rest.split_at_checked(length.into())?;
    let header = std::str::from_utf8(header).ok()?.replace(' ', "");
    if !header.contains(&format!("'shape':({count},)")) {
        return None;
    }
    if header.contains("'descr':'<u2'") && Some(data.len()) == count.checked_mul(2) {
        let read = |&label| u16::from_le_bytes(label).into();
        return Some(data.as_chunks().0.iter().map(read).collect());
    }
    if header.contains("'descr':'<u4'") && Some(data.len()) == count.checked_mul(4) {
        let read = |&label| u32::from_le_bytes(label);
        return Some(data.as_chunks().0.iter().map(read).collect());
    }
    None
}

/// Refuses a header that opens more brackets than one of a plain array does: each takes a parser some
/// of its stack.
fn check_header(wanted: &str, bytes: &[u8]) -> std::result::Result<(), String> {
    const MOST_BRACKETS: usize = 8;
    let (length, rest) = match bytes {
        [_, _, _, _, _, _, 1, _, low, high, rest @ ..] => {
            (usize::from(u16::from_le_bytes([*low, *high])), rest)
        }
        [_, _, _, _, _, _, _, _, a, b, c, d, rest @ ..] => {
            (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest)
        }
        _ => return Ok(()),
    };
    let header = &rest[..length.min(rest.len())];
    let brackets = header.iter().filter(|byte| b"([{".contains(byte)).count();
    if brackets <= MOST_BRACKETS {
        Ok(())
    } else {
        Err(format!("no {wanted} in .npy format: its header is nested"))
    }
}

/// Returns the first line of why a file was refused; a syntax error goes on to quote all of it.
fn no_array(wanted: &str, error: &ViewNpyError) -> String {
    let error = error.to_string();
    let first_line = error.lines().next().unwrap_or_default();
    format!("no {wanted} in .npy format: {first_line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an array of one axis.
    fn npy(description: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{description}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        let magic = b"\x93NUMPY\x01\x00";
        [magic, &length[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn labels_are_bytes_or_wider() {
        let wide = npy("<u2", "(2, )", &[44, 1, 7, 0]);
        assert_eq!(read_labels(&wide, 2).unwrap(), [300, 7]);
        let wider = npy("<u4", "(2,)", &[0, 0, 1, 0, 7, 0, 0, 0]);
        assert_eq!(read_labels(&wider, 2).unwrap(), [65536, 7]);
        assert_eq!(
            read_labels(&npy("|u1", "(2,)", &[9, 7]), 2).unwrap(),
            [9, 7]
        );
        for (bytes, count) in [
            (npy("<u2", "(2,)", &[44, 1, 7]), 2),
            (npy("<u2", "(1,)", &[44, 1]), 2),
            (npy("<u2", "(1099511627776,)", &[44, 1]), 1 << 40),
            (npy("<i2", "(1,)", &[44, 1]), 1),
            (wide[..9].to_vec(), 2),
        ] {
            assert!(read_labels(&bytes, count).is_err(), "{bytes:?}");
        }
    }
}
