//! Brings a set of images into the form of a network's input: its shape, and integers with a scale
//! and an offset per channel.

use super::preprocessing::{Layout, Preprocessing};
use super::rounding::{MAX_LEVEL, check_levels, levels, round};
use super::{ImageSet, Pixels, element_count};
use crate::error::{Error, Result};

/// Images as the integers `0..=max` that the client starts from, with
/// `real = scale * integer + offset` per channel.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedSet {
    /// `count * elements` values, each image channels first.
    pub images: Vec<u8>,
    /// The number of images.
    pub count: usize,
    /// The largest integer that a pixel may have.
    pub max: u32,
    /// One per channel of an input `[channels, height, width]`, one for other inputs; positive.
    pub scale: Vec<f64>,
    /// As many as scales.
    pub offset: Vec<f64>,
    /// One class per image.
    pub labels: Option<Vec<u8>>,
    /// What the user should know: how far floats were rounded.
    pub note: Option<String>,
}

/// Fits images to a network's input `[channels, height, width]`, `[height, width]` or
/// `[elements]`.
///
/// Shapes fit where they agree but for axes of one, or where one of the two is flat and the number
/// of elements agrees. Integers keep their values, `max` (255 where `None`) being the largest that
/// may appear. Floats are rounded as in [`fit_real`], without a reference.
///
/// # Errors
///
/// [`Error::Invalid`] where shape, values or the number of labels do not fit; [`Error::Usage`]
/// where the preprocessing does not.
pub fn fit(
    set: ImageSet,
    input_shape: &[usize],
    preprocessing: &Preprocessing,
    max: Option<u32>,
) -> Result<FittedSet> {
    let max = max.unwrap_or(MAX_LEVEL);
    if !(1..=MAX_LEVEL).contains(&max) {
        return Err(Error::Usage(format!(
            "the largest pixel value {max}: give 1..=255"
        )));
    }
    let order = check_fit(&set, input_shape, preprocessing.layout)?;
    let count = set.count();
    let values = match set.pixels {
        Pixels::Integer(values) => values,
        Pixels::Real(_) if max != MAX_LEVEL => {
            return Err(Error::invalid(
                set.place,
                format!("holds floats, which become integers 0..=255, not 0..={max}: give bytes"),
            ));
        }
        Pixels::Real(_) => return fit_real(set, input_shape, preprocessing, None),
    };
    if let Some(at) = values.iter().position(|&value| u32::from(value) > max) {
        return Err(Error::invalid(
            set.place,
            format!(
                "image {} holds the pixel {}, above the largest value {max}: \
                 give a larger one or other images",
                at / (values.len() / count),
                values[at]
            ),
        ));
    }
    let (scale, offset) = preprocessing.scale_and_offset(channel_count(input_shape))?;
    Ok(FittedSet {
        images: channels_first(values, order),
        count,
        max,
        scale,
        offset,
        labels: set.labels,
        note: None,
    })
}

/// Fits images of floats: each channel is rounded to 256 levels between the least and the largest
/// value, or to the levels of a `reference` (scale and offset of another set's fit).
///
/// A test set takes its calibration set's levels, as the client knows no others; values beyond
/// them are clipped. Preprocessing comes first and changes nothing by default.
///
/// # Errors
///
/// As for [`fit`]; [`Error::Invalid`] also where the reference has other channels.
pub fn fit_real(
    set: ImageSet,
    input_shape: &[usize],
    preprocessing: &Preprocessing,
    reference: Option<(&[f64], &[f64])>,
) -> Result<FittedSet> {
    let order = check_fit(&set, input_shape, preprocessing.layout)?;
    let count = set.count();
    let channels = channel_count(input_shape);
    let (factor, shift) = preprocessing.scale_and_offset(channels)?;
    let values = match set.pixels {
        Pixels::Integer(values) => values.into_iter().map(f32::from).collect(),
        Pixels::Real(values) => values,
    };
    let plane = values.len() / count / channels;
    let mut values: Vec<f64> = channels_first(values, order)
        .into_iter()
        .map(f64::from)
        .collect();
    for (values, channel) in values.chunks_exact_mut(plane).zip((0..channels).cycle()) {
        for value in values {
            *value = factor[channel] * *value + shift[channel];
        }
    }
    let (scale, offset) = match reference {
        Some((scale, offset)) => (scale.to_vec(), offset.to_vec()),
        None => levels(&values, plane, channels),
    };
    check_levels(&set.place, channels, &scale, &offset)?;
    let rounded = round(&values, plane, &scale, &offset);
    Ok(FittedSet {
        note: Some(rounded.note()),
        images: rounded.images,
        count,
        max: MAX_LEVEL,
        scale,
        offset,
        labels: set.labels,
    })
}

/// Returns the number of channels that have a scale of their own.
fn channel_count(input_shape: &[usize]) -> usize {
    match input_shape {
        [channels, _, _] => *channels,
        _ => 1,
    }
}

/// Refuses a set that does not fit; returns `[height, width, channels]` where pixels must be
/// reordered.
fn check_fit(set: &ImageSet, input: &[usize], layout: Layout) -> Result<Option<[usize; 3]>> {
    let place = &set.place;
    let order = stored_order(set, input, layout)?;
    let stored = match order {
        Some([height, width, channels]) => vec![channels, height, width],
        None => set.shape.clone(),
    };
    let elements = element_count(input);
    let same = elements == element_count(&set.shape) && elements.is_some_and(|n| n > 0);
    if !same || !agree(&stored, input) {
        return Err(Error::invalid(
            place,
            format!(
                "has images of shape {:?}, the network takes {input:?}: {}",
                set.shape,
                remedy(&set.shape, input, layout)
            ),
        ));
    }
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
        _ => Ok(order),
    }
}

/// Returns `[height, width, channels]` of images that are stored with the channels last.
fn stored_order(set: &ImageSet, input: &[usize], layout: Layout) -> Result<Option<[usize; 3]>> {
    match (layout, set.shape.as_slice(), input) {
        (Layout::Chw, ..) | (Layout::Hwc, [_, _], _) => Ok(None),
        (Layout::Hwc, &[height, width, channels], _)
        | (Layout::Hwc, [_], &[channels, height, width]) => Ok(Some([height, width, channels])),
        (Layout::Hwc, ..) => Err(Error::invalid(
            &set.place,
            format!(
                "has images of shape {:?}, whose channels are unknown: leave out --layout hwc",
                set.shape
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
fn remedy(stored: &[usize], input: &[usize], layout: Layout) -> &'static str {
    match (layout, stored, input) {
        (Layout::Chw, &[height, width, channels], input) if [channels, height, width] == input => {
            "add --layout hwc"
        }
        (Layout::Hwc, stored, input) if stored == input => "leave out --layout hwc",
        _ => "bring the images to that size and number of channels",
    }
}

/// Returns images `[height, width, channels]` as `[channels, height, width]`; others unchanged.
fn channels_first<T: Copy>(values: Vec<T>, order: Option<[usize; 3]>) -> Vec<T> {
    let Some([height, width, channels]) = order else {
        return values;
    };
    values
        .chunks_exact(height * width * channels)
        .flat_map(|image| {
            let plane = |channel| image.iter().skip(channel).step_by(channels).copied();
            (0..channels).flat_map(plane)
        })
        .collect()
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
            layout: Layout::Hwc,
            ..Preprocessing::default()
        }
    }

    #[test]
    fn shapes_fit_where_they_describe_the_same_image() {
        type Case<'a> = (&'a [usize], &'a [usize], Layout, Option<&'a str>);
        let table: [Case; 13] = [
            (&[2, 3], &[1, 2, 3], Layout::Chw, None),
            (&[2, 3], &[2, 3], Layout::Hwc, None),
            (&[1, 2, 3], &[2, 3], Layout::Chw, None),
            (&[6], &[1, 2, 3], Layout::Chw, None),
            (&[6], &[3, 1, 2], Layout::Hwc, None),
            (&[1, 2, 3], &[6], Layout::Chw, None),
            (&[1, 2, 3], &[3, 1, 2], Layout::Hwc, None),
            (
                &[2, 3, 5],
                &[5, 2, 3],
                Layout::Chw,
                Some("add --layout hwc"),
            ),
            (
                &[5, 2, 3],
                &[5, 2, 3],
                Layout::Hwc,
                Some("leave out --layout"),
            ),
            (&[6], &[6], Layout::Hwc, Some("channels are unknown")),
            (&[2, 3], &[3, 2], Layout::Chw, Some("that size")),
            (&[2, 3], &[1, 2, 2], Layout::Chw, Some("that size")),
            (&[2, 3], &[usize::MAX, 6, 6], Layout::Chw, Some("that size")),
        ];
        for (stored, input, layout, expected) in table {
            let elements: usize = stored.iter().product();
            let set = bytes(stored, vec![1; 2 * elements]);
            let preprocessing = Preprocessing {
                layout,
                ..Preprocessing::default()
            };
            match (fit(set, input, &preprocessing, None), expected) {
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
            let fitted = fit(bytes(shape, values.clone()), &[3, 1, 2], &hwc(), None);
            assert_eq!(fitted.unwrap().images, expected);
        }
    }

    #[test]
    fn integers_keep_their_values_up_to_the_largest() {
        let set = bytes(&[2], vec![0, 3, 16, 2]);
        let fitted = fit(set.clone(), &[2], &Preprocessing::default(), Some(16)).unwrap();
        assert_eq!((fitted.images, fitted.max), (vec![0, 3, 16, 2], 16));
        assert_eq!(fitted.note, None);
        let refused = fit(set.clone(), &[2], &Preprocessing::default(), Some(15));
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("image 1 holds the pixel 16"), "{message}");
        for max in [0, 256] {
            let refused = fit(set.clone(), &[2], &Preprocessing::default(), Some(max));
            assert!(matches!(refused, Err(Error::Usage(_))));
        }
    }

    #[test]
    fn labels_are_one_per_image() {
        let mut set = bytes(&[2], vec![0; 6]);
        for (count, fits) in [(2, false), (3, true), (4, false)] {
            set.labels = Some(vec![0; count]);
            let fitted = fit(set.clone(), &[2], &Preprocessing::default(), None);
            assert_eq!(fitted.is_ok(), fits, "{count}");
        }
    }

    #[test]
    fn floats_become_levels_of_their_channel() {
        let values = vec![-1.0, 0.275, 10.0, 10.0, 1.55, 0.0, 10.0, 10.0];
        let set = floats(&[2, 1, 2], values.clone());
        let fitted = fit(set, &[2, 1, 2], &Preprocessing::default(), None).unwrap();
        assert_eq!(fitted.offset, [-1.0, 10.0]);
        assert!((fitted.scale[0] - 0.01).abs() < 1e-9);
        assert_eq!(fitted.scale[1], 1.0);
        for (i, (&level, value)) in fitted.images.iter().zip(&values).enumerate() {
            let channel = i / 2 % 2;
            let real = fitted.scale[channel] * f64::from(level) + fitted.offset[channel];
            assert!((real - f64::from(*value)).abs() <= 0.00501, "element {i}");
        }
        let note = fitted.note.unwrap();
        assert!(
            note.contains("256 levels") && !note.contains("clipped"),
            "{note}"
        );
    }

    #[test]
    fn a_test_set_takes_the_levels_of_its_calibration_set() {
        let reference = (&[0.5][..], &[-1.0][..]);
        let set = floats(&[2], vec![-2.0, 0.0, 0.6, 1e30]);
        let fitted = fit_real(set, &[2], &Preprocessing::default(), Some(reference)).unwrap();
        assert_eq!(fitted.images, [0, 2, 3, 255]);
        assert_eq!((fitted.scale, fitted.offset), (vec![0.5], vec![-1.0]));
        let note = fitted.note.unwrap();
        assert!(note.contains("by at most 1.00e-1; 2 of 4 values"), "{note}");
        let set = floats(&[3, 1, 1], vec![0.0; 3]);
        let refused = fit_real(set, &[3, 1, 1], &Preprocessing::default(), Some(reference));
        assert!(refused.unwrap_err().to_string().contains("3 channel(s)"));
    }

    #[test]
    fn preprocessing_comes_before_rounding() {
        let preprocessing = Preprocessing::parse(None, Some("0.5"), Some("0.5"), None).unwrap();
        let fitted = fit(floats(&[2], vec![0.0, 1.0]), &[2], &preprocessing, None).unwrap();
        assert_eq!(fitted.images, [0, 255]);
        assert_eq!(fitted.offset, [-1.0]);
        assert!((fitted.scale[0] - 2.0 / 255.0).abs() < 1e-15);
        let refused = fit(floats(&[2], vec![0.0; 2]), &[2], &preprocessing, Some(16));
        assert!(refused.unwrap_err().to_string().contains("holds floats"));
    }
}
