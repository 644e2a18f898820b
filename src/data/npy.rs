//! NumPy's `.npy` format: one array of integers or floats.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The header
//! is a Python dictionary; only its three keys are looked for, so no nesting can exhaust the
//! stack.

use super::source::Source;
use super::{ImageSet, Pixels, check_images_shape, check_labels_shape, element_count, quoted};
use crate::error::{Error, Result};

/// The bytes that every `.npy` file begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// No array has more axes.
const MAX_AXES: usize = 8;

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Unsigned,
    Signed,
    Real,
}

/// What comes before the elements.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    kind: Kind,
    element_bytes: usize,
    big_endian: bool,
    /// The sizes of the axes.
    pub shape: Vec<usize>,
    /// Where the elements begin.
    start: usize,
}

/// Reads the images of an array with the number of images first.
///
/// # Errors
///
/// [`Error::Invalid`] or [`Error::Unsupported`] with what to change.
pub(super) fn images(source: Source) -> Result<ImageSet> {
    let place = source.place.clone();
    let header = Header::of(&source)?;
    check_images_shape(&place, &header.shape)?;
    let bytes = source.into_bytes(header.start)?;
    let pixels = match header.kind {
        Kind::Real => Pixels::Real(header.reals(&place, &bytes)?),
        _ => Pixels::Integer(header.integers(&place, bytes)?),
    };
    Ok(ImageSet {
        place,
        shape: header.shape[1..].to_vec(),
        pixels,
        labels: None,
    })
}

/// Reads the labels of an integer array of shape `[n]` or `[n, 1]`.
///
/// # Errors
///
/// As for [`images`].
pub(super) fn labels(source: Source) -> Result<Vec<u8>> {
    let place = source.place.clone();
    let header = Header::of(&source)?;
    check_labels_shape(&place, &header.shape)?;
    if header.kind == Kind::Real {
        return Err(Error::invalid(
            place,
            "holds floats: save labels as integers, with labels.astype('uint8')",
        ));
    }
    let bytes = source.into_bytes(header.start)?;
    header.integers(&place, bytes)
}

impl Header {
    /// Returns the header, whose shape agrees with the length of the file.
    ///
    /// # Errors
    ///
    /// As for [`images`].
    pub fn of(source: &Source) -> Result<Self> {
        let place = &source.place;
        let (text, start) = dictionary(source.head()).ok_or_else(|| {
            Error::invalid(
                place,
                "has no readable .npy header: write it again with numpy.save",
            )
        })?;
        let (kind, element_bytes, big_endian) = element(place, &text)?;
        if value(&text, "fortran_order") != Some("False") {
            return Err(Error::Unsupported {
                place: place.clone(),
                reason: "column-major order: save numpy.ascontiguousarray(array)".into(),
            });
        }
        let shape = shape(&text).ok_or_else(|| {
            Error::invalid(
                place,
                format!("has no shape of at most {MAX_AXES} axes: write it again with numpy.save"),
            )
        })?;
        let announced = element_count(&shape)
            .and_then(|count| count.checked_mul(element_bytes))
            .and_then(|bytes| bytes.checked_add(start));
        source.expect_bytes(announced.map(|bytes| bytes as u64), &shape)?;
        Ok(Self {
            kind,
            element_bytes,
            big_endian,
            shape,
            start,
        })
    }

    /// Returns the elements of an integer array as bytes.
    fn integers(&self, place: &str, bytes: Vec<u8>) -> Result<Vec<u8>> {
        if self.kind == Kind::Unsigned && self.element_bytes == 1 {
            return Ok(bytes);
        }
        let elements = bytes.chunks_exact(self.element_bytes);
        let most = if self.kind == Kind::Boolean { 1 } else { 255 };
        let converted = elements.enumerate().map(|(i, element)| {
            let value = self.integer(element);
            match u8::try_from(value) {
                Ok(byte) if byte <= most => Ok(byte),
                _ => Err(Error::invalid(
                    place,
                    format!("holds {value} at element {i}: only 0..={most} can be used"),
                )),
            }
        });
        converted.collect()
    }

    /// Returns one element of at most 8 bytes of an integer array.
    fn integer(&self, element: &[u8]) -> i128 {
        let mut little_endian = [0u8; 16];
        little_endian[..element.len()].copy_from_slice(element);
        if self.big_endian {
            little_endian[..element.len()].reverse();
        }
        // The sign bit moves to the top and back, which copies it.
        let unused_bits = 128 - 8 * element.len();
        match self.kind {
            Kind::Signed => i128::from_le_bytes(little_endian) << unused_bits >> unused_bits,
            _ => i128::from_le_bytes(little_endian),
        }
    }

    /// Returns the elements of a float array, all finite.
    fn reals(&self, place: &str, bytes: &[u8]) -> Result<Vec<f32>> {
        let elements = bytes.chunks_exact(self.element_bytes);
        let converted = elements.enumerate().map(|(i, element)| {
            let value = self.real(element);
            if value.is_finite() {
                return Ok(value);
            }
            Err(Error::invalid(
                place,
                format!("holds {value} at element {i}: only finite float32 values can be used"),
            ))
        });
        converted.collect()
    }

    /// Returns one element of 4 or 8 bytes of a float array.
    fn real(&self, element: &[u8]) -> f32 {
        let mut little_endian = [0u8; 8];
        little_endian[..element.len()].copy_from_slice(element);
        if self.big_endian {
            little_endian[..element.len()].reverse();
        }
        let bits = u64::from_le_bytes(little_endian);
        match element.len() {
            4 => f32::from_bits(bits as u32),
            _ => f64::from_bits(bits) as f32,
        }
    }
}

/// Returns the text of the header, with single quotes only, and where the elements begin.
fn dictionary(head: &[u8]) -> Option<(String, usize)> {
    let after_magic = head.strip_prefix(MAGIC)?;
    let (length, after_length) = match after_magic {
        [1, _, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => {
            let length = u32::from_le_bytes([*a, *b, *c, *d]);
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    let text = std::str::from_utf8(after_length.get(..length)?).ok()?;
    let start = head.len() - after_length.len() + length;
    Some((text.replace('"', "'"), start))
}

/// Returns the text after a key of the dictionary, up to the next comma or brace.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = after_key(text, key)?;
    Some(rest[..rest.find([',', '}'])?].trim())
}

/// Returns the text that follows a key of the dictionary and its colon.
fn after_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("'{key}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

/// Returns what an element is, its bytes, and whether the most significant comes first.
fn element(place: &str, text: &str) -> Result<(Kind, usize, bool)> {
    let description = value(text, "descr").unwrap_or_default();
    let inner = description.trim_matches('\'');
    let big_endian = inner.starts_with('>');
    let (kind, element_bytes) = match inner.trim_start_matches(['<', '>', '|', '=']) {
        "b1" => (Kind::Boolean, 1),
        "u1" => (Kind::Unsigned, 1),
        "u2" => (Kind::Unsigned, 2),
        "u4" => (Kind::Unsigned, 4),
        "u8" => (Kind::Unsigned, 8),
        "i1" => (Kind::Signed, 1),
        "i2" => (Kind::Signed, 2),
        "i4" => (Kind::Signed, 4),
        "i8" => (Kind::Signed, 8),
        "f4" => (Kind::Real, 4),
        "f8" => (Kind::Real, 8),
        _ => {
            return Err(Error::Unsupported {
                place: place.into(),
                reason: format!(
                    "elements of type {}: save an array of uint8 or float32",
                    quoted(inner)
                ),
            });
        }
    };
    Ok((kind, element_bytes, big_endian))
}

/// Returns the sizes of the axes, or `None` where they are not a short tuple of numbers.
fn shape(text: &str) -> Option<Vec<usize>> {
    let tuple = after_key(text, "shape")?.strip_prefix('(')?;
    let sizes = tuple[..tuple.find(')')?].trim().trim_end_matches(',');
    if sizes.is_empty() {
        return Some(Vec::new());
    }
    let mut shape = Vec::new();
    for size in sizes.split(',') {
        if shape.len() == MAX_AXES {
            return None;
        }
        shape.push(size.trim().trim_end_matches('L').parse().ok()?);
    }
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{npy, write};
    use crate::data::{read_images, read_labels};

    fn images_of(bytes: &[u8]) -> Result<ImageSet> {
        read_images(write(bytes).path())
    }

    fn labels_of(bytes: &[u8]) -> Result<Vec<u8>> {
        read_labels(write(bytes).path())
    }

    #[test]
    fn every_integer_type_gives_the_same_pixels() {
        for descr in [
            "|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4", "<u8", ">u8",
            "<i8", ">i8",
        ] {
            let width: usize = descr[2..].parse().unwrap();
            let mut data = Vec::new();
            for value in [0u64, 1, 127, 7, 8, 9] {
                let mut element = value.to_le_bytes()[..width].to_vec();
                if descr.starts_with('>') {
                    element.reverse();
                }
                data.extend(element);
            }
            let set = images_of(&npy(descr, "(2, 1, 3)", &data)).unwrap();
            assert_eq!(set.shape, [1, 3], "{descr}");
            assert_eq!(set.count(), 2, "{descr}");
            let expected = Pixels::Integer(vec![0, 1, 127, 7, 8, 9]);
            assert_eq!(set.pixels, expected, "{descr}");
        }
    }

    #[test]
    fn floats_of_either_width_and_order_are_read() {
        let values = [0.0f64, -1.5, 0.25, 1024.0];
        let bytes = |of: &dyn Fn(f64) -> Vec<u8>| values.iter().flat_map(|&v| of(v)).collect();
        let table: [(&str, Vec<u8>); 4] = [
            ("<f4", bytes(&|v| (v as f32).to_le_bytes().to_vec())),
            (">f4", bytes(&|v| (v as f32).to_be_bytes().to_vec())),
            ("<f8", bytes(&|v| v.to_le_bytes().to_vec())),
            (">f8", bytes(&|v| v.to_be_bytes().to_vec())),
        ];
        for (descr, data) in table {
            let set = images_of(&npy(descr, "(2, 2)", &data)).unwrap();
            let expected = Pixels::Real(vec![0.0, -1.5, 0.25, 1024.0]);
            assert_eq!(set.pixels, expected, "{descr}");
        }
    }

    #[test]
    fn labels_come_from_one_axis_or_a_column() {
        let data = [3i64, 0, 255].map(i64::to_le_bytes).concat();
        for shape in ["(3,)", "(3, 1)"] {
            assert_eq!(labels_of(&npy("<i8", shape, &data)).unwrap(), [3, 0, 255]);
        }
        assert_eq!(labels_of(&npy("|b1", "(2,)", &[1, 0])).unwrap(), [1, 0]);
    }

    #[test]
    fn a_header_of_version_2_with_other_quotes_is_read() {
        let text = r#"{"shape": (1, 2), "fortran_order": False, "descr": "|u1"}"#;
        let length = (text.len() as u32).to_le_bytes();
        let file = [MAGIC, &[2, 0], &length, text.as_bytes(), &[5, 6]].concat();
        let set = images_of(&file).unwrap();
        assert_eq!(set.pixels, Pixels::Integer(vec![5, 6]));
    }

    #[test]
    fn unusable_arrays_are_refused() {
        let long_header = |length: u32| [MAGIC, &[2, 0], &length.to_le_bytes(), b"{}"].concat();
        let table = [
            (npy("|u1", "()", &[1]), "2 to 4 axes"),
            (npy("|u1", "(4,)", &[1; 4]), "2 to 4 axes"),
            (npy("|u1", "(1, 1, 1, 1, 1)", &[1]), "2 to 4 axes"),
            (npy("|u1", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", &[1]), "8 axes"),
            (npy("|u1", "(0, 64)", &[]), "no pixels"),
            (npy("|u1", "(2, 2)", &[1; 3]), "fetch or write it again"),
            (npy("|u1", "(2, 2)", &[1; 5]), "fetch or write it again"),
            (npy("|u1", "(1099511627776, 64)", &[1]), "70368744177757"),
            (npy("<i8", "(2305843009213693952, 1)", &[1]), "more than"),
            (npy("<f8", "(4294967296, 4294967296)", &[1]), "more than"),
            (npy("|u1", "(99999999999999999999999, 1)", &[1]), "no shape"),
            (npy("|u1", "(-1, 64)", &[1]), "no shape"),
            (npy("|u1", "2, 2", &[1; 4]), "no shape"),
            (npy("<f2", "(1, 1)", &[0; 2]), "\"<f2\""),
            (npy("|O", "(1, 1)", &[0; 8]), "uint8 or float32"),
            (npy("<i2", "(1, 2)", &[0, 0, 0, 1]), "256 at element 1"),
            (npy(">i2", "(1, 1)", &[255, 255]), "holds -1 at element 0"),
            (npy("|b1", "(1, 2)", &[0, 2]), "0..=1"),
            (npy("<f4", "(1, 1)", &[0, 0, 192, 127]), "NaN at element 0"),
            (npy("<f8", "(1, 1)", &1e300f64.to_le_bytes()), "finite"),
            (long_header(u32::MAX), "header"),
            (long_header(70_000), "header"),
            (npy(&"[(".repeat(20_000), "(1, 1)", &[1]), "of type"),
            (MAGIC.to_vec(), "header"),
            ([MAGIC, &[1, 0, 9]].concat(), "header"),
            ([MAGIC, &[9; 40]].concat(), "header"),
        ];
        for (i, (bytes, expected)) in table.into_iter().enumerate() {
            let message = images_of(&bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "case {i}: {message}");
            assert!(message.len() < 300, "case {i}: {message}");
        }
        let column_major = "{'descr': '|u1', 'fortran_order': True, 'shape': (1, 1)}";
        let file = crate::data::tests::npy_with(column_major, &[1]);
        let message = images_of(&file).unwrap_err().to_string();
        assert!(message.contains("ascontiguousarray"), "{message}");
    }

    #[test]
    fn labels_that_are_no_classes_are_refused() {
        let table = [
            (npy("<f4", "(1,)", &[0; 4]), "astype"),
            (npy("|u1", "(2, 10)", &[0; 20]), "one axis"),
            (npy("|u1", "(0,)", &[]), "one axis"),
            (npy("|i1", "(1,)", &[128]), "-128"),
        ];
        for (bytes, expected) in table {
            let message = labels_of(&bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
