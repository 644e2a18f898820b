//! Brings a set of images into the form of a network's input: its shape, and integers with a scale
//! and an offset per channel of an image or per element of a vector.

use super::classes::class_indices;
use super::fitted_set::FittedSet;
use super::grid::{Grid, Groups, grids};
use super::image_set::{ImageSet, Pixels};
use super::preprocessing::{ImageLayout, Preprocessing};
use super::rounding::{check_grids, round};
use super::unlike::check_units;
use crate::core::error::{Error, Result};
use crate::core::shape::element_count;
use crate::machine::file;

/// Fits images to a network's input `[channels, height, width]`, `[height, width]` or
/// `[elements]`, and their labels to its `classes`: the number of each, in the order of the
/// outputs; none where the outputs are no classes, and then labels are left out.
///
/// Shapes fit where they agree but for axes of one, or where one of the two is flat and the number
/// of elements agrees. Bytes keep their values. Floats are rounded to 256 levels of their channel,
/// or of their element where the input is a vector, which preprocessing comes before. A test set
/// takes the levels of its calibration set, the `reference`, as the client knows no others; values
/// beyond them are clipped.
///
/// # Errors
///
/// [`Error::Invalid`] where shape, values, labels or units do not fit; [`Error::Usage`] where the
/// preprocessing does not.
pub fn fit(
    set: ImageSet,
    input_shape: &[usize],
    classes: &[i64],
    preprocessing: &Preprocessing,
    reference: Option<&FittedSet>,
) -> Result<FittedSet> {
    let order = stored_order(&set.place, &set.shape, input_shape, preprocessing.layout)?;
    check_shape(&set.place, &set.shape, input_shape, preprocessing.layout)?;
    check_counts(&set)?;
    let labels = match &set.labels {
        Some(labels) if !classes.is_empty() => Some(class_indices(&set.place, labels, classes)?),
        _ => None,
    };
    let count = set.count();
    let groups = groups(input_shape);
    let (scale, offset) = preprocessing.scale_and_offset(groups.count)?;
    let kept = |reference: &FittedSet| reference.scale == scale && reference.offset == offset;
    let fitted = match set.pixels {
        Pixels::Integer(values) if reference.is_none_or(kept) => FittedSet {
            images: channels_first(&set.place, values, order)?,
            count,
            scale,
            offset,
            reals: None,
            labels,
            notes: Vec::new(),
        },
        pixels => {
            let values = pixels.into_reals(&set.place)?;
            let mut reals = channels_first(&set.place, values, order)?;
            let planes = reals.chunks_exact_mut(groups.plane);
            for (plane, (scale, offset)) in planes.zip(scale.iter().zip(&offset).cycle()) {
                for value in plane {
                    *value = (scale * f64::from(*value) + offset) as f32;
                }
            }
            FittedSet {
                count,
                labels,
                ..fit_reals(&set.place, reals, groups, input_shape.len() == 1, reference)?
            }
        }
    };
    if let Some(reference) = reference {
        check_units(&set.place, groups, reference, &fitted)?;
    }
    Ok(fitted)
}

/// Rounds reals to levels of their own or to those of a reference.
fn fit_reals(
    place: &str,
    reals: Vec<f32>,
    groups: Groups,
    is_vector: bool,
    reference: Option<&FittedSet>,
) -> Result<FittedSet> {
    let grids = match reference {
        None => grids(&reals, groups, is_vector),
        Some(FittedSet { scale, offset, .. }) => scale
            .iter()
            .zip(offset)
            .map(|(&scale, &offset)| Grid { scale, offset })
            .collect(),
    };
    check_grids(place, &grids)?;
    let rounded = round(place, &reals, groups, &grids)?;
    Ok(FittedSet {
        notes: rounded.notes(&grids, is_vector, reference.is_some()),
        images: rounded.images,
        count: 0,
        scale: grids.iter().map(|grid| grid.scale).collect(),
        offset: grids.iter().map(|grid| grid.offset).collect(),
        reals: Some(reals),
        labels: None,
    })
}

/// Returns which values have a scale of their own: channels of images and elements of vectors.
fn groups(input_shape: &[usize]) -> Groups {
    let count = match input_shape {
        [channels, _, _] => *channels,
        [elements] => *elements,
        _ => 1,
    };
    Groups {
        count,
        plane: input_shape.iter().product::<usize>() / count.max(1),
    }
}

/// Refuses images of a shape that does not fit a network's input.
///
/// # Errors
///
/// [`Error::Invalid`] with both shapes.
pub fn check_shape(
    place: &str,
    shape: &[usize],
    input: &[usize],
    layout: ImageLayout,
) -> Result<()> {
    let stored = match stored_order(place, shape, input, layout)? {
        Some([height, width, channels]) => vec![channels, height, width],
        None => shape.to_vec(),
    };
    let elements = element_count(input);
    let same = elements == element_count(shape) && elements.is_some_and(|n| n > 0);
    if same && agree(&stored, input) {
        return Ok(());
    }
    Err(Error::invalid(
        place,
        format!(
            "has images of shape {shape:?}, the network takes {input:?}: {}",
            remedy(shape, input, layout)
        ),
    ))
}

/// Refuses a set without images, or with another number of labels.
fn check_counts(set: &ImageSet) -> Result<()> {
    let place = &set.place;
    let count = set.count();
    if count == 0 {
        return Err(Error::invalid(place, "has no images: give at least one"));
    }
    match &set.labels {
        Some(labels) if labels.len() != count => Err(Error::invalid(
            place,
            format!(
                "has {count} images and {} labels: give one label per image",
                labels.len()
            ),
        )),
        _ => Ok(()),
    }
}

/// Returns `[height, width, channels]` of images that are stored with the channels last.
fn stored_order(
    place: &str,
    shape: &[usize],
    input: &[usize],
    layout: ImageLayout,
) -> Result<Option<[usize; 3]>> {
    match (layout, shape, input) {
        (ImageLayout::Chw, ..) | (ImageLayout::Hwc, [_, _], _) => Ok(None),
        (ImageLayout::Hwc, &[height, width, channels], _)
        | (ImageLayout::Hwc, [_], &[channels, height, width]) => {
            Ok(Some([height, width, channels]))
        }
        (ImageLayout::Hwc, ..) => Err(Error::invalid(
            place,
            format!(
                "has images of shape {shape:?}, whose channels are unknown: leave out --layout hwc"
            ),
        )),
    }
}

/// Returns whether two shapes of equally many elements describe the same image.
fn agree(stored: &[usize], input: &[usize]) -> bool {
    let longer_axes = |shape: &[usize]| -> Vec<usize> {
        shape.iter().copied().filter(|&size| size != 1).collect()
    };
    let (stored, input) = (longer_axes(stored), longer_axes(input));
    stored.len() <= 1 || input.len() <= 1 || stored == input
}

/// Returns what to change where shapes do not fit.
fn remedy(stored: &[usize], input: &[usize], layout: ImageLayout) -> &'static str {
    match (layout, stored, input) {
        (ImageLayout::Chw, &[height, width, channels], input)
            if [channels, height, width] == input =>
        {
            "add --layout hwc"
        }
        (ImageLayout::Hwc, stored, input) if stored == input => "leave out --layout hwc",
        _ => "bring the images to that size and number of channels",
    }
}

/// Returns images `[height, width, channels]` as `[channels, height, width]`; others unchanged.
fn channels_first<T: Copy>(
    place: &str,
    values: Vec<T>,
    order: Option<[usize; 3]>,
) -> Result<Vec<T>> {
    let Some([height, width, channels]) = order else {
        return Ok(values);
    };
    let mut planes = file::buffer(place, values.len())?;
    for image in values.chunks_exact(height * width * channels) {
        for channel in 0..channels {
            planes.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    Ok(planes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(shape: &[usize], values: Vec<u8>) -> ImageSet {
        ImageSet {
            place: "x.npy".into(),
            shape: shape.to_vec(),
            pixels: Pixels::Integer(values),
            labels: None,
        }
    }

    fn floats(shape: &[usize], values: Vec<f32>) -> ImageSet {
        ImageSet {
            pixels: Pixels::Real(values),
            ..bytes(shape, Vec::new())
        }
    }

    fn hwc() -> Preprocessing {
        Preprocessing {
            layout: ImageLayout::Hwc,
            ..Preprocessing::default()
        }
    }

    #[test]
    fn shapes_fit_where_they_describe_the_same_image() {
        type Case<'a> = (&'a [usize], &'a [usize], ImageLayout, Option<&'a str>);
        let table: [Case; 13] = [
            (&[2, 3], &[1, 2, 3], ImageLayout::Chw, None),
            (&[2, 3], &[2, 3], ImageLayout::Hwc, None),
            (&[1, 2, 3], &[2, 3], ImageLayout::Chw, None),
            (&[6], &[1, 2, 3], ImageLayout::Chw, None),
            (&[6], &[3, 1, 2], ImageLayout::Hwc, None),
            (&[1, 2, 3], &[6], ImageLayout::Chw, None),
            (&[1, 2, 3], &[3, 1, 2], ImageLayout::Hwc, None),
            (
                &[2, 3, 5],
                &[5, 2, 3],
                ImageLayout::Chw,
                Some("add --layout hwc"),
            ),
            (
                &[5, 2, 3],
                &[5, 2, 3],
                ImageLayout::Hwc,
                Some("leave out --layout"),
            ),
            (&[6], &[6], ImageLayout::Hwc, Some("channels are unknown")),
            (&[2, 3], &[3, 2], ImageLayout::Chw, Some("that size")),
            (&[2, 3], &[1, 2, 2], ImageLayout::Chw, Some("that size")),
            (
                &[2, 3],
                &[usize::MAX, 6, 6],
                ImageLayout::Chw,
                Some("that size"),
            ),
        ];
        for (stored, input, layout, expected) in table {
            let elements: usize = stored.iter().product();
            let set = bytes(stored, vec![1; 2 * elements]);
            let preprocessing = Preprocessing {
                layout,
                ..Preprocessing::default()
            };
            match (fit(set, input, &[], &preprocessing, None), expected) {
                (Ok(fitted), None) => assert_eq!(fitted.count, 2),
                (Err(error), Some(expected)) => {
                    let message = error.to_string();
                    assert!(message.starts_with("x.npy: "), "{message}");
                    assert!(message.contains(expected), "{message}");
                }
                (result, _) => panic!("{stored:?} to {input:?}: {result:?}"),
            }
        }
    }

    #[test]
    fn channels_last_become_planes() {
        let values = vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
        let expected = [1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16];
        for shape in [&[1, 2, 3][..], &[6]] {
            let fitted = fit(bytes(shape, values.clone()), &[3, 1, 2], &[], &hwc(), None);
            assert_eq!(fitted.unwrap().images, expected);
        }
    }

    /// Fits a set by itself, as it is stored.
    fn fitted(set: ImageSet, shape: &[usize]) -> Result<FittedSet> {
        fit(set, shape, &[0, 1], &Preprocessing::default(), None)
    }

    #[test]
    fn bytes_keep_their_values() {
        let fitted = fitted(bytes(&[2], vec![0, 3, 16, 2]), &[2]).unwrap();
        assert_eq!(fitted.images, [0, 3, 16, 2]);
        assert_eq!((fitted.scale, fitted.offset), (vec![1.0; 2], vec![0.0; 2]));
        assert_eq!((fitted.notes.len(), fitted.reals), (0, None));
    }

    #[test]
    fn labels_are_one_per_image() {
        let mut set = bytes(&[2], vec![0; 6]);
        for (count, fits) in [(2, false), (3, true), (4, false)] {
            set.labels = Some(vec![1.0; count]);
            assert_eq!(fitted(set.clone(), &[2]).is_ok(), fits, "{count}");
        }
        let no_classes = fit(set, &[2], &[], &Preprocessing::default(), None);
        assert!(
            no_classes.is_err(),
            "labels that are left out are counted all the same"
        );
    }

    #[test]
    fn floats_become_levels_of_their_channel() {
        let values = vec![-1.0, 0.27512, 10.0, 10.0, 1.55, 0.0, 10.0, 10.0];
        let fitted = fitted(floats(&[2, 1, 2], values.clone()), &[2, 1, 2]).unwrap();
        assert_eq!(fitted.offset, [-1.0, 10.0]);
        assert!((fitted.scale[0] - 0.01).abs() < 1e-9);
        for (i, (&level, value)) in fitted.images.iter().zip(&values).enumerate() {
            let channel = i / 2 % 2;
            let real = fitted.scale[channel] * f64::from(level) + fitted.offset[channel];
            assert!((real - f64::from(*value)).abs() <= 0.00501, "element {i}");
        }
        assert_eq!(fitted.reals, Some(values));
        let [note] = fitted.notes.as_slice() else {
            panic!("{:?}", fitted.notes);
        };
        assert!(note.contains("256 levels of each channel"), "{note}");
        assert!(note.contains("2 scales and 2 offsets"), "{note}");
    }

    #[test]
    fn features_of_other_sizes_all_have_levels() {
        let values: Vec<f32> = (0..100)
            .flat_map(|i| {
                [
                    (i as f32).sin() * 1e-3,
                    (i as f32).cos() * 1e3,
                    (i % 2) as f32,
                ]
            })
            .collect();
        let fitted = fitted(floats(&[3], values.clone()), &[3]).unwrap();
        let mut most = [0.0f64; 3];
        for (i, (&level, &value)) in fitted.images.iter().zip(&values).enumerate() {
            let element = i % 3;
            let real = fitted.scale[element] * f64::from(level) + fitted.offset[element];
            most[element] = most[element].max((real - f64::from(value)).abs());
        }
        assert!(
            most[0] < 4e-6 && most[1] < 4.0 && most[2] < 1e-12,
            "{most:?}"
        );
        let note = &fitted.notes[0];
        assert!(note.contains("256 levels of each element"), "{note}");
        assert!(note.contains("3 scales and 3 offsets"), "{note}");
    }

    #[test]
    fn a_test_set_takes_the_levels_of_its_calibration_set() {
        let calibration = fitted(floats(&[1], vec![-1.0, 126.5, 0.3]), &[1]).unwrap();
        assert_eq!((calibration.scale[0], calibration.offset[0]), (0.5, -1.0));
        let fit_test = |set| {
            fit(
                set,
                &[1],
                &[],
                &Preprocessing::default(),
                Some(&calibration),
            )
        };
        let test = fit_test(floats(&[1], vec![-2.0, 0.0, 0.6, 1e30, 5.0])).unwrap();
        assert_eq!(test.images, [0, 2, 3, 255, 12]);
        assert_eq!(test.scale, calibration.scale);
        assert!(
            test.notes[0].contains("2 of 5 test values"),
            "{:?}",
            test.notes
        );
        // Bytes beside floats of the same units.
        let test = fit_test(bytes(&[1], vec![0, 100])).unwrap();
        assert_eq!(test.images, [2, 202]);
        assert_eq!(test.reals, Some(vec![0.0, 100.0]));
    }

    #[test]
    fn test_sets_in_other_units_are_refused() {
        let pixels: Vec<u8> = (0..400).map(|i| (i * 89 % 256) as u8).collect();
        let real = |factor: f32, shift: f32| -> ImageSet {
            let reals = pixels
                .iter()
                .map(|&pixel| f32::from(pixel) * factor + shift);
            floats(&[2, 2], reals.collect())
        };
        let table = [
            (
                real(1.0 / 255.0, 0.0),
                bytes(&[2, 2], pixels.clone()),
                Some("255 times as far"),
            ),
            (
                bytes(&[2, 2], pixels.clone()),
                real(1.0 / 255.0, 0.0),
                Some("1/255 as far"),
            ),
            (real(1.0, 0.0), bytes(&[2, 2], pixels.clone()), None),
            (bytes(&[2, 2], pixels.clone()), real(0.5, 0.0), None),
            (real(1.0, 0.0), real(1.0, -200.0), Some("most values")),
        ];
        for (i, (calibration, test, expected)) in table.into_iter().enumerate() {
            let shape = [1, 2, 2];
            let calibration = fitted(calibration, &shape).unwrap();
            let preprocessing = Preprocessing::default();
            match (
                fit(test, &shape, &[], &preprocessing, Some(&calibration)),
                expected,
            ) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => {
                    assert!(error.to_string().contains(expected), "case {i}: {error}");
                }
                (outcome, _) => panic!("case {i}: {:?}", outcome.map(|set| set.notes)),
            }
        }
    }

    #[test]
    fn preprocessing_comes_before_rounding() {
        let preprocessing = Preprocessing::parse(None, Some("0.5"), Some("0.5"), None).unwrap();
        let fitted = fit(
            floats(&[2], vec![0.0, 1.0]),
            &[2],
            &[],
            &preprocessing,
            None,
        )
        .unwrap();
        assert_eq!(fitted.reals, Some(vec![-1.0, 1.0]));
    }
}
