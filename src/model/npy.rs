//! NumPy's `.npy` format: one array of integers or floats.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The header
//! is a Python dictionary; only its three keys are looked for, so no nesting can exhaust the
//! stack.

use crate::core::error::{Error, Result};
use crate::core::foreign::quoted;
use crate::core::shape::element_count;
use crate::machine::file;

/// The bytes that every `.npy` file begins with.
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// No array has more axes.
const MAX_AXES: usize = 8;

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Unsigned,
    Signed,
    Real,
}

/// What comes before the elements.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    pub element_bytes: usize,
    big_endian: bool,
    /// Whether the first axis runs fastest.
    column_major: bool,
    /// The sizes of the axes.
    pub shape: Vec<usize>,
    /// Where the elements begin.
    pub start: usize,
}

impl Header {
    /// Returns the header of a file of that length, with which its shape agrees; `head` are the file's
    /// first bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] or [`Error::Unsupported`] with what to change.
    pub fn of(place: &str, head: &[u8], length: u64) -> Result<Self> {
        let (text, start) = dictionary(head).ok_or_else(|| {
            Error::invalid(
                place,
                "has no readable .npy header: write it again with numpy.save",
            )
        })?;
        let (kind, element_bytes, big_endian) = element(place, &text)?;
        let column_major = match value(&text, "fortran_order") {
            Some("False") => false,
            Some("True") => true,
            _ => {
                return Err(Error::invalid(
                    place,
                    "does not say in which order its elements are: write it again with numpy.save",
                ));
            }
        };
        let shape = shape(&text).ok_or_else(|| {
            Error::invalid(
                place,
                format!("has no shape of at most {MAX_AXES} axes: write it again with numpy.save"),
            )
        })?;
        let announced = element_count(&shape)
            .and_then(|count| count.checked_mul(element_bytes))
            .and_then(|bytes| bytes.checked_add(start));
        file::check_announced(place, &shape, announced.map(|bytes| bytes as u64), length)?;
        Ok(Self {
            kind,
            element_bytes,
            big_endian,
            column_major,
            shape,
            start,
        })
    }

    /// Returns the elements with the last axis running fastest, none where they lie so already.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] where there is none for them.
    pub fn row_major(&self, place: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        if !self.column_major {
            return Ok(None);
        }
        let mut strides = Vec::with_capacity(self.shape.len());
        let mut stride = self.element_bytes;
        for &size in &self.shape {
            strides.push(stride);
            stride *= size;
        }
        let mut ordered = file::buffer(place, bytes.len())?;
        let mut index = vec![0; self.shape.len()];
        while ordered.len() < bytes.len() {
            let places = index.iter().zip(&strides);
            let start: usize = places.map(|(index, stride)| index * stride).sum();
            ordered.extend_from_slice(&bytes[start..start + self.element_bytes]);
            for (index, &size) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < size {
                    break;
                }
                *index = 0;
            }
        }
        Ok(Some(ordered))
    }

    /// Returns one element of at most 8 bytes of an integer array.
    pub fn integer(&self, element: &[u8]) -> i128 {
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

    /// Returns one element of 4 or 8 bytes of a float array.
    pub fn real(&self, element: &[u8]) -> f64 {
        let mut little_endian = [0u8; 8];
        little_endian[..element.len()].copy_from_slice(element);
        if self.big_endian {
            little_endian[..element.len()].reverse();
        }
        let bits = u64::from_le_bytes(little_endian);
        match element.len() {
            4 => f32::from_bits(bits as u32).into(),
            _ => f64::from_bits(bits),
        }
    }

    /// Returns what the elements are, as Rust names them.
    pub fn element_name(&self) -> String {
        let bits = 8 * self.element_bytes;
        match self.kind {
            Kind::Boolean => "bool".into(),
            Kind::Unsigned => format!("u{bits}"),
            Kind::Signed => format!("i{bits}"),
            Kind::Real => format!("f{bits}"),
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
                    "elements of type {}: save array.astype('float32'), or uint8",
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

    fn header_of(dictionary: &str, bytes: usize) -> Result<Header> {
        let length = (dictionary.len() as u16).to_le_bytes();
        let head = [MAGIC, &[1, 0], &length, dictionary.as_bytes()].concat();
        let length = head.len() + bytes;
        Header::of("x.npy", &head, length as u64)
    }

    #[test]
    fn a_header_says_what_its_elements_are_and_holds_against_the_length() {
        let of = |description: &str, bytes| {
            let shape = "'shape': (2, 3)";
            header_of(
                &format!("{{'descr': '{description}', 'fortran_order': False, {shape}}}"),
                bytes,
            )
        };
        for (description, bytes, name) in [
            ("|b1", 6, "bool"),
            ("|u1", 6, "u8"),
            ("<u2", 12, "u16"),
            (">i4", 24, "i32"),
            ("<f8", 48, "f64"),
        ] {
            let header = of(description, bytes).unwrap();
            assert_eq!(header.element_name(), name);
            assert_eq!(header.shape, [2, 3]);
            assert!(of(description, bytes + 1).is_err());
        }
    }

    #[test]
    fn elements_are_read_in_either_byte_order() {
        let dictionary = "{'descr': '>i2', 'fortran_order': False, 'shape': (1,)}";
        let header = header_of(dictionary, 2).unwrap();
        assert_eq!(header.integer(&[0xff, 0xfe]), -2);
        let dictionary = "{'descr': '<u2', 'fortran_order': False, 'shape': (1,)}";
        let header = header_of(dictionary, 2).unwrap();
        assert_eq!(header.integer(&[0xff, 0xfe]), 0xfeff);
    }
}
