//! Sums, means and largest elements over axes.

use super::affine::{Affine, apply};
use super::arithmetic::integers;
use super::blocks::{index_of, places, stored_places};
use super::constants::arrange::axis_of;
use super::layout::AxisLayout;
use super::lowering::Lowering;
use super::pool::whole_image;
use super::value::{Value, Wire};
use super::window::are_all_but;
use super::windowed::{largest, weighted};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::Node;

/// Lowers `ReduceSum`, `ReduceMean`, `ReduceMax` and `ReduceMin`.
///
/// # Errors
///
/// A sentence where the batch is reduced, or there is no such axis.
pub fn reduce(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let axes = match lowering.optional_constant(node, 1)? {
        Some(axes) => integers(&axes.tensor)?.to_vec(),
        None => node.integers("axes")?.unwrap_or_default().to_vec(),
    };
    let wire = lowering.wire(node, 0)?;
    if axes.is_empty() && node.integer("noop_with_empty_axes", 0)? != 0 {
        return Ok(Value::Wire(wire));
    }
    let keeps_axes = node.integer("keepdims", 1)? != 0;
    if node.operator == "ReduceMean"
        && let Some(mean) = mean_of_image(lowering, node, &wire, &axes, keeps_axes)?
    {
        return Ok(mean);
    }
    let shape = wire.layout.shape();
    let reduced = reduced_axes(&axes, shape.len())?;
    let is_reduced = |axis: &usize| reduced.contains(axis);
    let size = |axis: usize| if is_reduced(&axis) { 1 } else { shape[axis] };
    let outer: Vec<usize> = (0..shape.len()).map(size).collect();
    let inner: Vec<usize> = reduced.iter().map(|&axis| shape[axis]).collect();
    let stored = stored_places(&wire);
    lowering.draft.spend(stored.len())?;
    let window = |place: Vec<usize>| -> Vec<u32> {
        let element = |within: Vec<usize>| {
            let mut place = place.clone();
            for (&axis, index) in reduced.iter().zip(within) {
                place[axis] = index;
            }
            stored[index_of(0, &shape, &place)]
        };
        places(&inner).map(element).collect()
    };
    let windows: Vec<Vec<u32>> = places(&outer).map(window).collect();
    let kept = (0..shape.len()).filter(|axis| keeps_axes || !is_reduced(axis));
    let made: Vec<usize> = kept.map(|axis| outer[axis]).collect();
    let negated = Affine::uniform(-1.0, 0.0);
    match node.operator.as_str() {
        "ReduceMax" => largest(lowering, node, &wire, windows, &made),
        "ReduceMin" => {
            let wire = apply(lowering, &wire, &negated, None)?;
            let Value::Wire(least) = largest(lowering, node, &wire, windows, &made)? else {
                return invalid("makes no value");
            };
            apply(lowering, &least, &negated, None).map(Value::Wire)
        }
        operator => {
            let count = inner.iter().product::<usize>() as f32;
            let weight = if operator == "ReduceMean" {
                1.0 / count
            } else {
                1.0
            };
            let windows = windows.into_iter().map(|window| (window, weight));
            weighted(lowering, node, &wire, windows, &made)
        }
    }
}

/// Returns which axes of an image are reduced, of `rank` without the batch, in order.
fn reduced_axes(axes: &[i64], rank: usize) -> Outcome<Vec<usize>> {
    let places = axes.iter().map(|&axis| axis_of(axis, rank + 1));
    let mut places = places.collect::<Outcome<Vec<_>>>()?;
    places.sort_unstable();
    places.dedup();
    if places.is_empty() || places.contains(&0) {
        return unsupported("adds up or compares the images of a batch");
    }
    Ok(places.into_iter().map(|axis| axis - 1).collect())
}

/// Returns the mean over rows and columns of an image, if that is asked for.
fn mean_of_image(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    axes: &[i64],
    keeps_axes: bool,
) -> Outcome<Option<Value>> {
    let first = wire.layout.channels_first();
    let is_last = !wire.layout.is_plain() && first.as_ref().is_some_and(AxisLayout::is_plain);
    let channel = if is_last { 3 } else { 1 };
    let is_image = is_last || wire.layout.is_plain() && wire.layout.shape().len() == 3;
    if !is_image || !are_all_but(channel, axes) {
        return Ok(None);
    }
    let wire = match first {
        Some(layout) if is_last => Wire {
            layout,
            ..wire.clone()
        },
        _ => wire.clone(),
    };
    let Value::Wire(mean) = whole_image(lowering, node, wire, false)? else {
        return invalid("makes no value");
    };
    let channels = mean.layout.count();
    let layout = AxisLayout::plain(&match (keeps_axes, is_last) {
        (false, _) => vec![channels],
        (true, false) => vec![channels, 1, 1],
        (true, true) => vec![1, 1, channels],
    });
    Ok(Some(Value::Wire(Wire { layout, ..mean })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_either_end_and_the_batch_stays() {
        assert_eq!(reduced_axes(&[-1, 1], 3).unwrap(), [0, 2]);
        assert_eq!(reduced_axes(&[2, 2], 3).unwrap(), [1]);
        for axes in [&[0][..], &[-4], &[], &[4]] {
            assert!(reduced_axes(axes, 3).is_err(), "{axes:?}");
        }
    }
}
