//! The ends of a network: its input, and the classes that its outputs stand for.

use super::built::{Checked, MOST_ELEMENTS};
use super::channels::spread;
use super::float32::is_positive_f32;
use crate::core::shape::element_count;
use crate::model::format::{PerChannel, RawInput};
use crate::model::input::Input;

/// Returns the number of each class of a network with so many outputs.
pub fn check_classes(raw: Option<Vec<i64>>, output_count: usize) -> Checked<Vec<i64>> {
    let Some(classes) = raw else {
        let count = if output_count > 1 { output_count } else { 0 };
        return Ok((0..).take(count).collect());
    };
    let of_sign = output_count == 1 && classes.len() == 2;
    if !(classes.is_empty() || classes.len() == output_count || of_sign) {
        return Err(format!(
            "classes has {} numbers for {output_count} outputs: give one for each, two for a \
             single output, or none where they are no classes",
            classes.len()
        ));
    }
    let mut sorted = classes.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("classes has {} twice", pair[0])),
        None => Ok(classes),
    }
}

/// Checks the raw input.
pub fn check_input(raw: RawInput) -> Checked<Input> {
    let count = element_count(&raw.shape);
    let Some(count) = count.filter(|count| (1..=MOST_ELEMENTS).contains(count)) else {
        return Err(format!(
            "input.shape {:?} must hold 1 to {MOST_ELEMENTS} elements",
            raw.shape
        ));
    };
    if raw.shape.is_empty() {
        return Err("input.shape [] must hold 1 element or more".into());
    }
    let channels = raw.shape[0];
    let scale = spread_channels("scale", raw.scale, channels, count)?;
    let offset = spread_channels("offset", raw.offset, channels, count)?;
    if !(scale.iter().copied().all(is_positive_f32) && (1..=255).contains(&raw.max)) {
        return Err("input.scale must be positive float32s and input.max from 1 to 255".into());
    }
    if !offset.iter().all(|&offset| (offset as f32).is_finite()) {
        return Err("input.offset must be float32s".into());
    }
    Ok(Input {
        shape: raw.shape,
        max: raw.max,
        scale,
        offset,
    })
}

fn spread_channels(
    field: &str,
    raw: PerChannel,
    channels: usize,
    count: usize,
) -> Checked<Vec<f64>> {
    match raw {
        PerChannel::All(value) => Ok(vec![value; count]),
        PerChannel::Each(values) if values.len() == channels => Ok(spread(&values, count)),
        PerChannel::Each(values) => Err(format!(
            "input.{field} has {} numbers for {channels} channels: give one, or one for each",
            values.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_and_a_single_output_has_two_or_none() {
        type Case<'a> = (Option<&'a [i64]>, usize, Checked<Vec<i64>>);
        let table: [Case<'_>; 8] = [
            (None, 3, Ok(vec![0, 1, 2])),
            (None, 1, Ok(vec![])),
            (Some(&[]), 3, Ok(vec![])),
            (Some(&[-1, 1]), 1, Ok(vec![-1, 1])),
            (Some(&[7, 3]), 2, Ok(vec![7, 3])),
            (Some(&[0, 1, 2]), 2, Err("3 numbers for 2 outputs".into())),
            (Some(&[4]), 2, Err("1 numbers for 2 outputs".into())),
            (Some(&[4, 5, 4]), 3, Err("4 twice".into())),
        ];
        for (raw, outputs, expected) in table {
            match (check_classes(raw.map(<[i64]>::to_vec), outputs), expected) {
                (Err(message), Err(part)) => assert!(message.contains(&part), "{message}"),
                (found, expected) => assert_eq!(found, expected),
            }
        }
    }
}
