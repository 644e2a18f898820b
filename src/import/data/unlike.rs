//! Whether test images are of a kind with the images that a network was calibrated on.

use rayon::prelude::*;

use super::fitted_set::FittedSet;
use super::grid::Groups;
use crate::core::error::{Error, Result};
use crate::core::statistics::median;

/// Values of one set that reach so many times as far as those of the other are in other units.
const OTHER_UNITS: f64 = 10.0;
/// Fewer values tell nothing of how far they reach.
const FEWEST: usize = 20;
/// Fewer images tell little of the ranges of others.
const FEWEST_IMAGES: usize = 10;
/// Deviations by which the elements of two sets may differ in the mean. Halves of a data set differ
/// by a few hundredths, noise and photographs by one or more.
const MOST_SHIFT: f64 = 0.5;
/// Neighbours that correlate by less, in images of which others correlate by [`PICTURE`], are noise.
const NOISE: f64 = 0.1;
const PICTURE: f64 = 0.5;

/// Refuses a test set in other units than its calibration set: bytes beside floats from 0 to 1, or
/// raw features beside normalised ones.
///
/// # Errors
///
/// [`Error::Invalid`] with how the two differ.
pub(super) fn check_units(
    place: &str,
    groups: Groups,
    calibration: &FittedSet,
    test: &FittedSet,
) -> Result<()> {
    let ratio_of = |group| {
        let reach = |set: &FittedSet| reach(levels(set, calibration, groups, group));
        Some(reach(test)? / reach(calibration)?)
    };
    let ratios = (0..groups.count).into_par_iter().filter_map(ratio_of);
    let ratio = median(ratios.collect::<Vec<f64>>()).unwrap_or(1.0);
    let differs = match ratio {
        ratio if ratio > OTHER_UNITS => format!("{ratio:.0} times as far"),
        ratio if ratio < 1.0 / OTHER_UNITS => format!("1/{:.0} as far", 1.0 / ratio),
        _ if is_mostly_clipped(calibration, test, groups) => {
            return Err(Error::invalid(
                place,
                "most values of these test images lie beyond all those of the calibration images: \
                 give both in the same units, and prepared alike",
            ));
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(
        place,
        format!(
            "the test images have other units than the calibration images, their values reach \
             {differs}: give both in the same units, such as both from 0 to 255 or both divided by \
             255"
        ),
    ))
}

/// Returns what speaks against calibrating on the first `count` images of a set for such test
/// images, one sentence each.
///
/// `classes` are the numbers of the network's classes.
pub fn warnings(
    calibration: &FittedSet,
    count: usize,
    test: &FittedSet,
    input_shape: &[usize],
    classes: &[i64],
) -> Vec<String> {
    let elements = calibration.images.len() / calibration.count.max(1);
    let count = count.min(calibration.count);
    let images = &calibration.images[..count * elements];
    let mut warnings = Vec::new();
    let mut planes = images.chunks_exact(elements);
    let first = planes.next().unwrap_or_default();
    let labels = calibration.labels.as_deref().map(|labels| &labels[..count]);
    if count < FEWEST_IMAGES {
        warnings.push(format!(
            "only {count} images calibrate: ranges will be too narrow for others, give some hundred"
        ));
    } else if planes.all(|image| image == first) {
        warnings.push(format!(
            "all {count} images that calibrate are the same: give images like those to come"
        ));
    } else if let Some(labels) = labels
        && classes.len() > 1
        && labels.iter().all(|label| *label == labels[0])
    {
        warnings.push(format!(
            "all {count} images that calibrate are of class {}: give some of each class, or shuffle \
             the file",
            classes[labels[0] as usize]
        ));
    } else if test.count >= FEWEST_IMAGES {
        let shift = shift(images, &test.images, elements);
        if is_noise(images, &test.images, input_shape) {
            warnings.push(
                "the images that calibrate look like noise, the test images do not: calibrate on \
                 images like those to come"
                    .into(),
            );
        } else if shift > MOST_SHIFT {
            warnings.push(format!(
                "the images that calibrate differ from the test images, by {shift:.1} deviations of \
                 an element in the mean: calibrate on images like those to come"
            ));
        }
    }
    warnings
}

/// Returns by how many deviations the elements of two sets differ in the mean; those that are
/// constant in both aside.
fn shift(one: &[u8], other: &[u8], elements: usize) -> f64 {
    let (one, other) = (moments(one, elements), moments(other, elements));
    let shifts: Vec<f64> = one
        .into_iter()
        .zip(other)
        .filter_map(|((mean, deviation), (other_mean, other_deviation))| {
            let deviation = deviation.max(other_deviation);
            (deviation > 0.0).then(|| (mean - other_mean).abs() / deviation)
        })
        .collect();
    shifts.iter().sum::<f64>() / shifts.len().max(1) as f64
}

/// Returns mean and deviation of each element.
fn moments(images: &[u8], elements: usize) -> Vec<(f64, f64)> {
    let mut sums = vec![(0u64, 0u64); elements];
    for image in images.chunks_exact(elements) {
        for (sum, &value) in sums.iter_mut().zip(image) {
            sum.0 += u64::from(value);
            sum.1 += u64::from(value).pow(2);
        }
    }
    let count = (images.len() / elements).max(1) as f64;
    sums.into_iter()
        .map(|(sum, squares)| {
            let mean = sum as f64 / count;
            (mean, (squares as f64 / count - mean * mean).max(0.0).sqrt())
        })
        .collect()
}

/// Returns whether neighbours in the first images have nothing in common, where those of the others
/// have much.
fn is_noise(images: &[u8], others: &[u8], input_shape: &[usize]) -> bool {
    let &[_, _, width] = input_shape else {
        return false;
    };
    let of = |images| neighbours_correlation(images, width);
    matches!((of(images), of(others)), (Some(own), Some(other)) if own < NOISE && other > PICTURE)
}

/// Returns how far pixels correlate with those at their right; none where they do not change.
fn neighbours_correlation(images: &[u8], width: usize) -> Option<f64> {
    let pairs = images
        .chunks_exact(width)
        .flat_map(|row| row.windows(2).map(|pair| (pair[0].into(), pair[1].into())));
    let mut sums = [0.0f64; 6];
    for (left, right) in pairs {
        let (left, right): (f64, f64) = (left, right);
        let terms = [1.0, left, right, left * left, right * right, left * right];
        sums.iter_mut()
            .zip(terms)
            .for_each(|(sum, term)| *sum += term);
    }
    let [count, left, right, left_squares, right_squares, products] = sums;
    let variance = |sum: f64, squares: f64| squares * count - sum * sum;
    let scale = (variance(left, left_squares) * variance(right, right_squares)).sqrt();
    (scale > 0.0).then(|| (products * count - left * right) / scale)
}

/// Returns the values of a group of a set, in levels of the calibration set's grid, not rounded
/// where the set has reals.
fn levels(set: &FittedSet, calibration: &FittedSet, groups: Groups, group: usize) -> Vec<f32> {
    let (scale, offset) = (calibration.scale[group], calibration.offset[group]);
    match &set.reals {
        Some(reals) => groups
            .values(reals, group)
            .map(|real| ((f64::from(real) - offset) / scale) as f32)
            .collect(),
        None => groups.values(&set.images, group).map(f32::from).collect(),
    }
}

/// Returns how far all but the outermost tenth of some values reach, where they differ.
fn reach(mut values: Vec<f32>) -> Option<f64> {
    if values.len() < FEWEST {
        return None;
    }
    let outermost = values.len() / 20;
    let last = values.len() - 1 - outermost;
    let low = *values.select_nth_unstable_by(outermost, f32::total_cmp).1;
    let high = *values.select_nth_unstable_by(last, f32::total_cmp).1;
    Some(f64::from(high) - f64::from(low)).filter(|&reach| reach > 0.0)
}

/// Returns whether more than half of the values lie beyond the levels.
fn is_mostly_clipped(calibration: &FittedSet, test: &FittedSet, groups: Groups) -> bool {
    let beyond = |group| {
        levels(test, calibration, groups, group)
            .into_iter()
            .filter(|level| !(-0.5..255.5).contains(level))
            .count()
    };
    let count: usize = (0..groups.count).into_par_iter().map(beyond).sum();
    2 * count > test.images.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns images `[1, 4, 4]` whose pixels a function gives by image and place.
    fn set(count: usize, pixel: impl Fn(usize, usize) -> u8) -> FittedSet {
        let images = (0..count).flat_map(|image| (0..16).map(move |place| (image, place)));
        FittedSet {
            images: images.map(|(image, place)| pixel(image, place)).collect(),
            count,
            scale: vec![1.0],
            offset: vec![0.0],
            reals: None,
            labels: None,
            notes: Vec::new(),
        }
    }

    /// Returns a number that looks random.
    fn noise(image: usize, place: usize) -> u8 {
        ((image * 16 + place + 1).wrapping_mul(2_654_435_761) >> 13) as u8
    }

    /// Returns a picture: rows of one brightness.
    fn picture(image: usize, place: usize) -> u8 {
        noise(image, place / 4 * 4)
    }

    #[test]
    fn calibration_images_unlike_the_test_images_are_told_of() {
        let test = set(100, picture);
        let dark = |image, place| picture(image, place) / 8;
        let table = [
            (set(100, |image, place| picture(image + 100, place)), None),
            (set(100, noise), Some("look like noise")),
            (set(100, dark), Some("deviations of an element")),
            (set(100, |_, place| place as u8), Some("are the same")),
            (set(3, picture), Some("only 3 images")),
        ];
        for (calibration, expected) in table {
            let found = warnings(&calibration, 1000, &test, &[1, 4, 4], &[0, 1]);
            match expected {
                None => assert!(found.is_empty(), "{found:?}"),
                Some(expected) => {
                    assert_eq!(found.len(), 1, "{found:?}");
                    assert!(found[0].contains(expected), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn a_single_class_among_the_first_images_is_told_of() {
        let mut calibration = set(100, picture);
        let labels =
            |change: usize| Some((0..100).map(|image| u32::from(image >= change)).collect());
        for (change, expected) in [(20, true), (5, false)] {
            calibration.labels = labels(change);
            let found = warnings(&calibration, 15, &set(100, picture), &[1, 4, 4], &[7, 9]);
            let told = found
                .iter()
                .any(|warning| warning.contains("are of class 7"));
            assert_eq!(told, expected, "{found:?}");
        }
    }
}
