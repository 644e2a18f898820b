//! Copies of elements: picked, repeated, put into another order, with zeros between.

use super::blocks::{index_of, places, storage_shape, stored_places};
use super::draft::Stage;
use super::layout::AxisLayout;
use super::lowering::Lowering;
use super::value::Wire;
use crate::core::linear_map::PADDING;
use crate::import::fault::Outcome;
use crate::import::onnx::Node;
use crate::import::onnx::tensor::element_count;

/// Adds a step that picks elements of a wire, in the order of its axes, a zero for [`PADDING`], and
/// returns what it makes, whose axes have these sizes.
///
/// # Errors
///
/// A sentence where they are too many.
pub fn picked(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    mut picks: Vec<u32>,
    made: &[usize],
) -> Outcome<Wire> {
    lowering.draft.spend(picks.len())?;
    let stored = stored_places(wire);
    for pick in picks.iter_mut().filter(|pick| **pick != PADDING) {
        *pick = stored[*pick as usize];
    }
    let value = lowering.draft.materialise(wire)?;
    let name = lowering.name(node, None);
    let stage = Stage::Pick(picks);
    let root = lowering
        .draft
        .push(stage, vec![value], storage_shape(made), name)?;
    Ok(lowering.draft.output(root, made))
}

/// Adds a step that picks along each axis the indices that are listed, a zero where there is none.
///
/// # Errors
///
/// A sentence where they are too many.
pub fn by_axes(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    axes: &[Vec<Option<usize>>],
) -> Outcome<Wire> {
    let shape = wire.layout.shape();
    let made: Vec<usize> = axes.iter().map(Vec::len).collect();
    let count = element_count(&made)?;
    lowering.draft.spend(count)?;
    let pick = |place: Vec<usize>| {
        let along = place.iter().zip(axes).map(|(&index, axis)| axis[index]);
        let at: Option<Vec<usize>> = along.collect();
        at.map_or(PADDING, |at| index_of(0, &shape, &at) as u32)
    };
    let picks = places(&made).map(pick).collect();
    picked(lowering, node, wire, picks, &made)
}

/// Returns a wire stored in the order of its axes, its elements repeated along those of one until it has
/// this shape.
///
/// # Errors
///
/// As [`by_axes`].
pub fn spread_to(
    lowering: &mut Lowering<'_>,
    node: &Node,
    wire: &Wire,
    shape: &[usize],
) -> Outcome<Wire> {
    let own = wire.layout.shape();
    if own == shape && wire.layout.is_plain() {
        let layout = AxisLayout::plain(shape);
        return Ok(Wire {
            layout,
            ..wire.clone()
        });
    }
    let added = shape.len() - own.len();
    let layout = wire.layout.reshape(&[&vec![1; added], &own[..]].concat())?;
    let longer = Wire {
        layout,
        ..wire.clone()
    };
    let own = longer.layout.shape();
    let along = own.iter().zip(shape).map(|(&own, &size)| {
        let index = move |index| Some(if own == 1 { 0 } else { index });
        (0..size).map(index).collect()
    });
    let axes: Vec<Vec<Option<usize>>> = along.collect();
    by_axes(lowering, node, &longer, &axes)
}
