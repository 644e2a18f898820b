//! Average and max pools: windows of images.

use super::built::{Built, Checked, MOST_BITS};
use super::channels::{read_range, spread};
use super::windows::{Windows, image_shape};
use crate::model::layer::{AveragePool, Geometry, Linear, MaxPool, Operation, Window, widest};
use crate::model::room::Room;
use crate::model::tensors::Tensors;

/// Builds an average pool, for which room is taken; `range` names a tensor, and `input_ranges` are those
/// of the elements that it reads.
pub(super) fn build_average_pool(
    pool: &AveragePool,
    range: Option<&str>,
    shape: &[usize],
    input_ranges: &[(f32, f32)],
    tensors: &Tensors,
    room: &mut Room,
) -> Checked<Built> {
    let (channels, size) = image_shape("average_pool", shape)?;
    let kernel = pool.kernel;
    let windows = Windows::by_channel(pool.window, channels, size, kernel);
    let output = windows.output(room)?;
    if (0..2).any(|axis| pool.excess[axis] > pool.window.padding[axis + 2]) {
        return Err(format!(
            "excess {:?} is more than the padding at the bottom and the right, {:?}",
            pool.excess, pool.window.padding
        ));
    }
    let map = pool.map(channels, size, output);
    let range = match range {
        Some(name) => spread(&read_range(name, channels, tensors)?, map.output_count),
        None => {
            let (low, high) = widest(input_ranges.iter().copied()).unwrap_or((0.0, 0.0));
            // Where padding counts, a mean can come nearer to zero than any element.
            vec![(low.min(0.0), high.max(0.0)); map.output_count]
        }
    };
    let linear = Linear {
        bias: vec![0.0; map.output_count],
        correction: vec![0.0; map.output_count],
        range,
        weight_bits: MOST_BITS,
        // All means of a channel are on one scale, over however many elements each is.
        weight_scale: Some(vec![pool.scale(size, output); map.output_count]),
        geometry: Geometry::Other,
        map,
    };
    Ok(Built {
        op: "average_pool",
        shape: vec![channels, output[0], output[1]],
        parameter_count: 0,
        operation: Operation::Linear(linear),
    })
}

/// Builds a max pool, for which room is taken; `quantised` says whether it reads integers of few
/// bits on one scale, as comparisons under encryption need them.
pub(super) fn build_max_pool(
    kernel: [usize; 2],
    window: Window,
    shape: &[usize],
    quantised: bool,
    room: &mut Room,
) -> Checked<Built> {
    let (channels, size) = image_shape("max_pool", shape)?;
    let output = Windows::by_channel(window, channels, size, kernel).output(room)?;
    if !quantised {
        return Err(
            "max_pool must follow an activation, which makes its input small integers: put an \
             activation before it, if need be the identity"
                .into(),
        );
    }
    let pool = MaxPool::new(channels, size, kernel, window, output).ok_or_else(|| {
        format!(
            "padding {:?} leaves a window without elements",
            window.padding
        )
    })?;
    Ok(Built {
        op: "max_pool",
        shape: vec![channels, output[0], output[1]],
        parameter_count: 0,
        operation: Operation::MaxPool(pool),
    })
}
