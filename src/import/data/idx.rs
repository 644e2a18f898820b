//! The IDX format of MNIST: a big-endian header, then bytes.
//!
//! Source: <http://yann.lecun.com/exdb/mnist/>. The header is two zero bytes, the element type,
//! the number of axes, and the sizes of the axes as 32-bit numbers.

use super::image_set::{ImageSet, Pixels, numbers};
use super::shape::{Fits, check_images_shape, check_labels_shape};
use super::source::Source;
use crate::core::error::{Error, Result};
use crate::core::shape::element_count;
use crate::machine::file;

/// The code of unsigned bytes.
const UNSIGNED_BYTE: u8 = 8;

/// Reads the images of an IDX file: `[images, rows, columns]`.
///
/// # Errors
///
/// [`Error::Invalid`] or [`Error::Unsupported`] with what to change.
pub(super) fn images(source: Source, fits: &Fits) -> Result<ImageSet> {
    let place = source.place.clone();
    let shape = checked_shape(&source)?;
    if shape.len() == 1 {
        return Err(Error::invalid(
            place,
            "holds IDX labels: give the file of the images, its name has \"idx3\" with MNIST",
        ));
    }
    check_images_shape(&place, &shape, fits)?;
    let pixels = source.into_bytes(header_bytes(shape.len()))?;
    Ok(ImageSet {
        place,
        shape: shape[1..].to_vec(),
        pixels: Pixels::Integer(pixels),
        labels: None,
    })
}

/// Reads the labels of an IDX file: `[images]`, at most `most`.
///
/// # Errors
///
/// As for [`images`].
pub(super) fn labels(source: Source, most: usize) -> Result<Vec<f64>> {
    let shape = checked_shape(&source)?;
    check_labels_shape(&source.place, &shape, most)?;
    source.into_bytes(header_bytes(shape.len())).map(numbers)
}

/// Returns whether a file opens as IDX does.
pub(super) fn opens(head: &[u8]) -> bool {
    matches!(head, [0, 0, 8 | 9 | 11..=14, 1..=8, ..])
}

/// Returns the bytes that an IDX file of unsigned bytes should have, or `None` where the header
/// is incomplete, of another type, or overflows.
pub(super) fn announced_bytes(head: &[u8]) -> Option<u64> {
    if !opens(head) || head[2] != UNSIGNED_BYTE {
        return None;
    }
    let shape = shape(head)?;
    let bytes = element_count(&shape)?.checked_add(header_bytes(shape.len()))?;
    u64::try_from(bytes).ok()
}

/// Returns the shape, which agrees with the length of the file.
fn checked_shape(source: &Source) -> Result<Vec<usize>> {
    let head = source.head();
    if head[2] != UNSIGNED_BYTE {
        return Err(Error::Unsupported {
            place: source.place.clone(),
            reason: format!(
                "IDX elements of type {:#04x}: give unsigned bytes, type 0x08",
                head[2]
            ),
        });
    }
    let shape = shape(head).ok_or_else(|| {
        Error::invalid(
            &source.place,
            "breaks off in its IDX header: fetch or write it again",
        )
    })?;
    file::check_announced(&source.place, &shape, announced_bytes(head), source.length)?;
    Ok(shape)
}

/// Returns the sizes of the axes, or `None` where the header is incomplete.
fn shape(head: &[u8]) -> Option<Vec<usize>> {
    let axes = usize::from(*head.get(3)?);
    let sizes = head.get(4..header_bytes(axes))?.chunks_exact(4);
    sizes
        .map(|size| usize::try_from(u32::from_be_bytes(size.try_into().ok()?)).ok())
        .collect()
}

/// Returns where the elements begin.
fn header_bytes(axes: usize) -> usize {
    4 + 4 * axes
}

#[cfg(test)]
mod tests {
    use crate::import::data::tests::{gzip, idx, read_images, read_labels, write};
    use crate::import::data::{Part, Pixels};

    #[test]
    fn images_are_read_plain_and_packed() {
        let file = idx(8, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        for bytes in [gzip(&file), file] {
            let set = read_images(write(&bytes).path(), Part::Test).unwrap();
            assert_eq!(set.shape, [1, 3]);
            assert_eq!(set.pixels, Pixels::Integer(vec![1, 2, 3, 4, 5, 6]));
            assert_eq!(set.labels, None);
        }
    }

    #[test]
    fn labels_are_read_plain_and_packed() {
        let file = idx(8, &[3], &[7, 0, 9]);
        for bytes in [gzip(&file), file] {
            assert_eq!(
                read_labels(write(&bytes).path(), Part::Test).unwrap(),
                [7.0, 0.0, 9.0]
            );
        }
    }

    #[test]
    fn unusable_files_are_refused() {
        let table = [
            (idx(8, &[3], &[7, 0, 9]), "holds IDX labels"),
            (idx(8, &[2, 2, 2], &[0; 7]), "fetch or write it again"),
            (idx(8, &[2, 2, 2], &[0; 9]), "fetch or write it again"),
            (
                idx(8, &[u32::MAX, 1 << 15, 1 << 15], &[0; 9]),
                "4611686017353646096",
            ),
            (idx(8, &[u32::MAX; 3], &[0; 9]), "more than any file"),
            (idx(8, &[0, 28, 28], &[]), "no pixels"),
            (idx(13, &[1, 1, 1], &[0; 4]), "type 0x0d"),
            (vec![0, 0, 8, 3, 0, 0, 0], "breaks off"),
            (vec![0, 0, 8, 0, 1], "no known format"),
        ];
        for (bytes, expected) in table {
            for bytes in [gzip(&bytes), bytes] {
                let message = read_images(write(&bytes).path(), Part::Test)
                    .unwrap_err()
                    .to_string();
                assert!(message.contains(expected), "{message}");
            }
        }
        let images = write(&idx(8, &[2, 1, 3], &[0; 6]));
        let message = read_labels(images.path(), Part::Test)
            .unwrap_err()
            .to_string();
        assert!(message.contains("one axis"), "{message}");
    }
}
