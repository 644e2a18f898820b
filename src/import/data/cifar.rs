//! The binary version of CIFAR-10: records of one label and 3 × 32 × 32 bytes.
//!
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>. The format has no magic bytes: a file is
//! taken for it where its length is a multiple of the record and its first labels are classes.

use super::image_set::{ImageSet, Pixels, numbers};
use super::shape::{Fits, check_label_count};
use super::source::Source;
use crate::core::error::{Error, Result};

/// Channels, rows and columns of an image.
const SHAPE: [usize; 3] = [3, 32, 32];
/// One label and the pixels of one image.
const RECORD_BYTES: usize = 1 + 3 * 32 * 32;
/// Classes 0..=9.
const MAX_LABEL: u8 = 9;
/// CIFAR-10 has 60,000 images; without a header this bounds what a packed file may expand to.
const MAX_IMAGES: u64 = 200_000;

/// Images and labels of a file.
struct Records {
    /// `count * 3072` bytes, channel by channel.
    pixels: Vec<u8>,
    /// `count` classes.
    labels: Vec<u8>,
}

/// Returns whether length and first labels are those of CIFAR-10.
pub(super) fn looks_like(source: &Source) -> bool {
    source.length.is_multiple_of(RECORD_BYTES as u64)
        && labels_of(source.head()).all(|label| label <= MAX_LABEL)
}

/// Reads images and labels.
///
/// # Errors
///
/// [`Error::Invalid`] with what to change.
pub(super) fn images(source: Source, fits: &Fits) -> Result<ImageSet> {
    let place = source.place.clone();
    fits(&place, &SHAPE)?;
    let records = read(source)?;
    Ok(ImageSet {
        place,
        shape: SHAPE.to_vec(),
        pixels: Pixels::Integer(records.pixels),
        labels: Some(numbers(records.labels)),
    })
}

/// Reads the labels of at most `most` images, without these.
///
/// # Errors
///
/// As for [`images`].
pub(super) fn labels(source: Source, most: usize) -> Result<Vec<f64>> {
    let count = source.length / RECORD_BYTES as u64;
    check_label_count(&source.place, count as usize, most)?;
    Ok(numbers(read(source)?.labels))
}

/// Reads the records of a file that [`looks_like`] CIFAR-10.
///
/// # Errors
///
/// As for [`images`].
fn read(source: Source) -> Result<Records> {
    let place = source.place.clone();
    if source.length > MAX_IMAGES * RECORD_BYTES as u64 {
        return Err(Error::invalid(
            place,
            format!("holds more than {MAX_IMAGES} CIFAR-10 images: give fewer"),
        ));
    }
    let mut bytes = source.into_bytes(0)?;
    let labels: Vec<u8> = labels_of(&bytes).collect();
    if let Some(image) = labels.iter().position(|&label| label > MAX_LABEL) {
        return Err(Error::invalid(
            place,
            format!(
                "has label {} at image {image}, CIFAR-10 has 0..=9: fetch or write it again",
                labels[image]
            ),
        ));
    }
    // Pixels move to the front over the labels, so the file lies in memory once.
    for image in 0..labels.len() {
        let record = image * RECORD_BYTES;
        bytes.copy_within(record + 1..record + RECORD_BYTES, record - image);
    }
    bytes.truncate(labels.len() * (RECORD_BYTES - 1));
    Ok(Records {
        pixels: bytes,
        labels,
    })
}

/// Returns the first byte of each record.
fn labels_of(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes.iter().copied().step_by(RECORD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::data::Part;
    use crate::import::data::tests::{gzip, read_images, read_labels, write};

    /// One record whose pixels count up from `first`.
    fn record(label: u8, first: u8) -> Vec<u8> {
        let pixels = (0..RECORD_BYTES - 1).map(|i| first.wrapping_add(i as u8));
        std::iter::once(label).chain(pixels).collect()
    }

    #[test]
    fn images_and_labels_are_read_plain_and_packed() {
        let file = [record(3, 10), record(9, 20)].concat();
        for bytes in [gzip(&file), file] {
            let file = write(&bytes);
            let set = read_images(file.path(), Part::Test).unwrap();
            assert_eq!(set.shape, [3, 32, 32]);
            let expected = [&record(3, 10)[1..], &record(9, 20)[1..]].concat();
            assert_eq!(set.pixels, Pixels::Integer(expected));
            assert_eq!(set.labels, Some(vec![3.0, 9.0]));
            assert_eq!(read_labels(file.path(), Part::Test).unwrap(), [3.0, 9.0]);
        }
    }

    #[test]
    fn a_record_that_opens_like_idx_is_still_cifar() {
        let mut file = record(0, 0);
        file[1..4].copy_from_slice(&[0, 8, 3]);
        assert_eq!(
            read_images(write(&file).path(), Part::Test)
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn files_that_are_not_cifar_are_refused() {
        let late = (0..30).map(|i| record(if i == 25 { 10 } else { 1 }, 0));
        let table = [
            (late.collect::<Vec<_>>().concat(), "label 10 at image 25"),
            (record(10, 0), "no known format"),
            (record(1, 0)[..3000].to_vec(), "no known format"),
        ];
        for (bytes, expected) in table {
            let message = read_images(write(&gzip(&bytes)).path(), Part::Test)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn too_many_records_are_refused_before_reading() {
        let length = (MAX_IMAGES + 1) * RECORD_BYTES as u64;
        let source = Source::new("x".into(), std::io::repeat(0), length, length).unwrap();
        assert!(looks_like(&source));
        let message = images(source, &|_, _| Ok(())).unwrap_err().to_string();
        assert!(message.contains("200000"), "{message}");
    }
}
