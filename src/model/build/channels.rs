//! Numbers that a tensor holds once per channel.

use super::built::Checked;
use crate::model::tensors::Tensors;

/// Repeats one number per channel for each of its elements.
pub(super) fn spread<T: Copy>(per_channel: &[T], count: usize) -> Vec<T> {
    let size = count / per_channel.len();
    per_channel
        .iter()
        .flat_map(|&value| std::iter::repeat_n(value, size))
        .collect()
}

/// Returns the smallest and largest value of each channel.
///
/// # Errors
///
/// A sentence where the tensor has another shape, or an end lies above the other.
pub(super) fn read_range(
    name: &str,
    channels: usize,
    tensors: &Tensors,
) -> Checked<Vec<(f32, f32)>> {
    let (values, _) = tensors.get(name, [Some(channels), Some(2)])?;
    let ranges = values.as_chunks::<2>().0;
    if let Some([low, high]) = ranges.iter().find(|[low, high]| low > high) {
        return Err(format!(
            "tensor {name:?} holds a range from {low} to {high}"
        ));
    }
    Ok(ranges.iter().map(|&range| range.into()).collect())
}
