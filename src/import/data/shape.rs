//! Shapes and counts of images and labels, as files announce them: what is refused before it is read.

use crate::core::error::{Error, Result};

/// The most images of a file or folder.
pub(super) const MOST_IMAGES: usize = 1_000_000;

/// The most axes of an array of images.
const MOST_AXES: usize = 8;

/// Refuses, in the name of a file, the shape of one image that its header announces.
pub type Fits<'a> = dyn Fn(&str, &[usize]) -> Result<()> + 'a;

/// Refuses an array whose shape, with the number of images first, is not that of images, or not of
/// such as fit.
pub(super) fn check_images_shape(place: &str, shape: &[usize], fits: &Fits) -> Result<()> {
    if !(2..=MOST_AXES).contains(&shape.len()) {
        return Err(Error::invalid(
            place,
            format!(
                "has shape {shape:?}: images need 2 to {MOST_AXES} axes, images first, as in \
                 [10000, 28, 28]"
            ),
        ));
    }
    if shape.contains(&0) {
        return Err(Error::invalid(
            place,
            format!("has shape {shape:?}, which holds no pixels: give at least one image"),
        ));
    }
    check_image_count(place, shape[0])?;
    fits(place, &shape[1..])
}

/// Refuses more images than any use asks for.
fn check_image_count(place: &str, count: usize) -> Result<()> {
    if count <= MOST_IMAGES {
        return Ok(());
    }
    let reason = format!("has {count} images, at most {MOST_IMAGES} are read: give fewer");
    Err(Error::invalid(place, reason))
}

/// Refuses an array of labels of another shape than `[n]` or `[n, 1]`, or of more labels than `most`.
pub(super) fn check_labels_shape(place: &str, shape: &[usize], most: usize) -> Result<()> {
    match shape {
        [count] | [count, 1] if *count > 0 => check_label_count(place, *count, most),
        _ => Err(Error::invalid(
            place,
            format!("has shape {shape:?}: labels need one axis, one class number per image"),
        )),
    }
}

/// Refuses more labels than there are images.
pub(super) fn check_label_count(place: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    let reason = format!("has {count} labels for {most} images: give one label per image");
    Err(Error::invalid(place, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_two_to_eight_axes_and_pixels() {
        let check = |shape: &[usize]| check_images_shape("images", shape, &|_, _| Ok(()));
        for shape in [&[1, 784][..], &[10, 28, 28], &[MOST_IMAGES, 3, 2, 2]] {
            assert!(check(shape).is_ok(), "{shape:?}");
        }
        for shape in [
            &[10][..],
            &[1; 9],
            &[0, 28],
            &[10, 0],
            &[MOST_IMAGES + 1, 1],
        ] {
            assert!(check(shape).is_err(), "{shape:?}");
        }
        let refuse = |place: &str, _: &[usize]| Err(Error::invalid(place, "does not fit"));
        assert!(check_images_shape("images", &[10, 28, 28], &refuse).is_err());
    }

    #[test]
    fn labels_are_one_number_per_image() {
        for (shape, is_right) in [
            (&[3][..], true),
            (&[3, 1], true),
            (&[3, 2], false),
            (&[0], false),
            (&[], false),
            (&[4], false),
        ] {
            let checked = check_labels_shape("labels", shape, 3);
            assert_eq!(checked.is_ok(), is_right, "{shape:?}");
        }
    }
}
