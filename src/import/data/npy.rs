//! Images and labels in NumPy's `.npy` format.

use super::image_set::{ImageSet, Pixels};
use super::shape::{Fits, check_images_shape, check_labels_shape};
use super::source::Source;
use crate::core::error::{Error, Result};
use crate::machine::file;
use crate::model::npy::{Header, Kind};

/// Reads the images of an array with the number of images first.
///
/// # Errors
///
/// [`Error::Invalid`] or [`Error::Unsupported`] with what to change.
pub(super) fn images(source: Source, fits: &Fits) -> Result<ImageSet> {
    let place = source.place.clone();
    let header = header(&source)?;
    check_images_shape(&place, &header.shape, fits)?;
    let stored = source.into_bytes(header.start)?;
    let bytes = header.row_major(&place, &stored)?.unwrap_or(stored);
    let pixels = pixels(&header, &place, bytes)?;
    Ok(ImageSet {
        place,
        shape: header.shape[1..].to_vec(),
        pixels,
        labels: None,
    })
}

/// Reads the labels of an array of shape `[n]` or `[n, 1]`, n being at most `most`.
///
/// # Errors
///
/// As for [`images`].
pub(super) fn labels(source: Source, most: usize) -> Result<Vec<f64>> {
    let place = source.place.clone();
    let header = header(&source)?;
    check_labels_shape(&place, &header.shape, most)?;
    let bytes = source.into_bytes(header.start)?;
    check_booleans(&header, &place, &bytes)?;
    let elements = bytes.chunks_exact(header.element_bytes);
    let number = |element| match header.kind {
        Kind::Real => header.real(element),
        _ => header.integer(element) as f64,
    };
    file::collected(&place, elements.map(number))
}

/// Returns the header of a source, with whose length its shape agrees.
///
/// # Errors
///
/// As for [`images`].
pub(super) fn header(source: &Source) -> Result<Header> {
    Header::of(&source.place, source.head(), source.length)
}

/// Returns the elements as pixels: bytes as they are, and whole numbers of other types where
/// they are images of bytes. Features that come as whole numbers are reals, whatever their
/// range.
fn pixels(header: &Header, place: &str, bytes: Vec<u8>) -> Result<Pixels> {
    check_booleans(header, place, &bytes)?;
    let elements = bytes.chunks_exact(header.element_bytes);
    if header.kind == Kind::Real {
        return Ok(Pixels::Real(reals(header, place, &bytes)?));
    }
    if header.element_bytes == 1 && header.kind != Kind::Signed {
        return Ok(Pixels::Integer(bytes));
    }
    let integers = elements.map(|element| header.integer(element));
    let is_image = header.shape.len() > 2;
    let is_byte = |integer| u8::try_from(integer).is_ok();
    if is_image && integers.clone().all(is_byte) {
        let pixels = integers.map(|integer| integer as u8);
        Ok(Pixels::Integer(file::collected(place, pixels)?))
    } else {
        let reals = integers.map(|integer| integer as f32);
        Ok(Pixels::Real(file::collected(place, reals)?))
    }
}

/// Refuses a boolean that is neither zero nor one.
fn check_booleans(header: &Header, place: &str, bytes: &[u8]) -> Result<()> {
    let wrong = bytes.iter().position(|&byte| byte > 1);
    match wrong.filter(|_| header.kind == Kind::Boolean) {
        None => Ok(()),
        Some(at) => Err(Error::invalid(
            place,
            format!(
                "holds {} at element {at}, which is no boolean: fetch or write it again",
                bytes[at]
            ),
        )),
    }
}

/// Returns the elements of a float array, all finite.
fn reals(header: &Header, place: &str, bytes: &[u8]) -> Result<Vec<f32>> {
    let elements = bytes.chunks_exact(header.element_bytes);
    let per_image = header.shape[1..].iter().product::<usize>();
    let mut reals: Vec<f32> = file::buffer(place, elements.len())?;
    for (i, element) in elements.enumerate() {
        let value = header.real(element);
        if !(value as f32).is_finite() {
            let (element, image) = (i % per_image, i / per_image);
            return Err(Error::invalid(
                place,
                format!(
                    "holds {value:e} at element {element} of image {image}: only finite \
                     float32 values can be used"
                ),
            ));
        }
        reals.push(value as f32);
    }
    Ok(reals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::data::Part;
    use crate::import::data::tests::{npy, npy_with, read_images, read_labels, write};
    use crate::model::npy::MAGIC;

    fn images_of(bytes: &[u8]) -> Result<ImageSet> {
        read_images(write(bytes).path(), Part::Test)
    }

    fn labels_of(bytes: &[u8]) -> Result<Vec<f64>> {
        read_labels(write(bytes).path(), Part::Test)
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
        let data = [3i64, 0, -300].map(i64::to_le_bytes).concat();
        for shape in ["(3,)", "(3, 1)"] {
            let labels = labels_of(&npy("<i8", shape, &data)).unwrap();
            assert_eq!(labels, [3.0, 0.0, -300.0]);
        }
        let labels = labels_of(&npy("|b1", "(2,)", &[1, 0])).unwrap();
        assert_eq!(labels, [1.0, 0.0]);
        let data = [3.0f64, 0.5].map(f64::to_be_bytes).concat();
        assert_eq!(labels_of(&npy(">f8", "(2,)", &data)).unwrap(), [3.0, 0.5]);
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
            (npy("|u1", "()", &[1]), "2 to 8 axes"),
            (npy("|u1", "(4,)", &[1; 4]), "2 to 8 axes"),
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
            (npy("|O", "(1, 1)", &[0; 8]), "astype('float32')"),
            (npy("|b1", "(1, 2)", &[0, 2]), "no boolean"),
            (
                npy(
                    "<f4",
                    "(2, 2)",
                    &[[0; 12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 127]].concat()[8..],
                ),
                "NaN at element 1 of image 1",
            ),
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
        let unsaid = "{'descr': '|u1', 'fortran_order': Maybe, 'shape': (1, 1)}";
        let file = npy_with(unsaid, &[1]);
        let message = images_of(&file).unwrap_err().to_string();
        assert!(message.contains("numpy.save"), "{message}");
    }

    #[test]
    fn columns_first_are_read_as_rows_first() {
        let dictionary = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3, 2)}";
        // Element [i, j, k] is 100·i + 10·j + k.
        let data = [0i16, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121]
            .map(i16::to_le_bytes)
            .concat();
        let set = images_of(&npy_with(dictionary, &data)).unwrap();
        let expected = vec![0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121];
        assert_eq!(set.pixels, Pixels::Integer(expected));
    }

    #[test]
    fn whole_numbers_beyond_bytes_and_features_are_reals() {
        let data = [-1i32, 256, 3, 4].map(i32::to_le_bytes).concat();
        let set = images_of(&npy("<i4", "(1, 2, 2)", &data)).unwrap();
        assert_eq!(set.pixels, Pixels::Real(vec![-1.0, 256.0, 3.0, 4.0]));
        let data = [0i32, 1, 70, 90].map(i32::to_le_bytes).concat();
        let set = images_of(&npy("<i4", "(2, 2)", &data)).unwrap();
        assert_eq!(set.pixels, Pixels::Real(vec![0.0, 1.0, 70.0, 90.0]));
    }

    #[test]
    fn labels_that_are_no_classes_are_refused() {
        let table = [
            (npy("|b1", "(1,)", &[2]), "no boolean"),
            (npy("|u1", "(2, 10)", &[0; 20]), "one axis"),
            (npy("|u1", "(0,)", &[]), "one axis"),
            (npy("<U3", "(1,)", &[0; 12]), "\"<U3\""),
        ];
        for (bytes, expected) in table {
            let message = labels_of(&bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
