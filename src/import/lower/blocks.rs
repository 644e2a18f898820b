//! Linear layers of any form, and the places of the elements that they read.

use super::lowering::Lowering;
use super::value::Wire;
use crate::core::linear_map::LinearMap;
use crate::import::fault::Outcome;
use crate::import::network::Operation;
use crate::import::onnx::Node;

/// How many places of a window weigh as much as a number of the file.
pub const TAPS_PER_NUMBER: usize = 8;

/// Returns the shape in which a value of these axes is stored: a list, or channels, rows and columns.
pub fn storage_shape(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [] => vec![1],
        [count] => vec![count],
        [channels, length] => vec![channels, length, 1],
        [channels, ref middle @ .., last] => vec![channels, middle.iter().product(), last],
    }
}

/// What a linear layer computes of a value.
pub struct Map {
    pub map: LinearMap<f32>,
    /// One per output element.
    pub bias: Vec<f32>,
    /// Its numbers were not trained.
    pub fixed: bool,
}

impl Map {
    /// Returns the map without a bias.
    pub fn fixed(map: LinearMap<f32>) -> Self {
        Self {
            bias: vec![0.0; map.output_count],
            map,
            fixed: true,
        }
    }
}

/// Adds a linear layer of a node after a value and returns what it makes, whose axes have these sizes.
///
/// # Errors
///
/// A sentence where it is too large.
pub fn layer(
    lowering: &mut Lowering<'_>,
    node: &Node,
    value: usize,
    made: Map,
    shape: &[usize],
    origin: Option<&str>,
) -> Outcome<Wire> {
    let sizes = made.map.blocks.iter().map(|block| block.inputs.len());
    lowering
        .draft
        .spend(sizes.sum::<usize>() / TAPS_PER_NUMBER)?;
    let name = lowering.name(node, origin);
    let operation = Operation::Linear {
        map: made.map,
        bias: made.bias,
        fixed: made.fixed,
    };
    let root = lowering
        .draft
        .operation(operation, value, storage_shape(shape), name)?;
    Ok(lowering.draft.output(root, shape))
}

/// Returns all places in a box of these sizes, the last axis fastest.
pub fn places(sizes: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    let count: usize = sizes.iter().product();
    (0..count).map(|index| {
        let mut rest = index;
        let mut place = vec![0; sizes.len()];
        for (axis, &size) in sizes.iter().enumerate().rev() {
            place[axis] = rest % size;
            rest /= size;
        }
        place
    })
}

/// Returns the index of a place in a box of these sizes, after the boxes before it.
pub fn index_of(first: usize, sizes: &[usize], place: &[usize]) -> usize {
    let along = sizes.iter().zip(place);
    along.fold(first, |index, (size, place)| index * size + place)
}

/// Returns where each element of a wire, in the order of its axes, is stored.
pub fn stored_places(wire: &Wire) -> Vec<u32> {
    let count = wire.layout.count() as u32;
    wire.layout.order().unwrap_or_else(|| (0..count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_box_are_counted_from_the_last_axis() {
        let all: Vec<_> = places(&[2, 2]).collect();
        assert_eq!(all, [[0, 0], [0, 1], [1, 0], [1, 1]]);
        assert_eq!(index_of(1, &[2, 3], &[1, 2]), 11);
        assert_eq!(storage_shape(&[2, 3, 4, 5]), [2, 12, 5]);
        assert_eq!(storage_shape(&[2, 3]), [2, 3, 1]);
    }
}
