//! Dense layers and convolutions: weights and per-channel numbers from their tensors.

use super::built::{Built, Checked, MOST_BITS};
use super::channels::{read_range, spread};
use super::windows::{Windows, image_shape};
use crate::core::linear_map::LinearMap;
use crate::model::format::RawLinear;
use crate::model::layer::{Conv2d, Dense, Geometry, Image, Linear, Operation, Window};
use crate::model::room::Room;
use crate::model::tensors::Tensors;

/// Builds a dense layer.
pub(super) fn build_dense(
    raw: &RawLinear<'_>,
    shape: &[usize],
    tensors: &Tensors,
) -> Checked<Built> {
    let &[inputs] = shape else {
        return Err(format!(
            "dense needs a flat input, but {shape:?} arrives: flatten first"
        ));
    };
    let (weights, [outputs, _]) = tensors.get(raw.weights, [None, Some(inputs)])?;
    let map = Dense {
        weights: weights.to_vec(),
        outputs,
        inputs,
    }
    .map();
    let linear = build_linear(map, Geometry::Dense, outputs, raw, tensors)?;
    Ok(Built {
        op: "dense",
        shape: vec![outputs],
        parameter_count: weights.len() + outputs,
        operation: Operation::Linear(linear),
    })
}

/// Builds a convolution, for which room is taken.
pub(super) fn build_conv2d(
    raw: &RawLinear<'_>,
    window: Window,
    groups: usize,
    shape: &[usize],
    tensors: &Tensors,
    room: &mut Room,
) -> Checked<Built> {
    let (in_channels, size) = image_shape("conv2d", shape)?;
    if groups == 0 || !in_channels.is_multiple_of(groups) {
        return Err(format!(
            "groups of {groups} do not divide {in_channels} input channels"
        ));
    }
    let expected = [None, Some(in_channels / groups), None, None];
    let (weights, [out_channels, _, height, width]) = tensors.get(raw.weights, expected)?;
    if !out_channels.is_multiple_of(groups) {
        return Err(format!(
            "groups of {groups} do not divide {out_channels} output channels"
        ));
    }
    let kernel = [height, width];
    let windows = Windows {
        window,
        in_channels,
        out_channels,
        groups,
        size,
        kernel,
    };
    let output = windows.output(room)?;
    let conv = Conv2d {
        weights: weights.to_vec(),
        out_channels,
        in_channels,
        groups,
        kernel,
        window,
    };
    let geometry = if groups == 1 {
        Geometry::Convolution(Image {
            channels: in_channels,
            size,
            kernel,
            window,
            output,
        })
    } else {
        Geometry::Other
    };
    let map = conv.map(size, output);
    let linear = build_linear(map, geometry, out_channels, raw, tensors)?;
    Ok(Built {
        op: "conv2d",
        shape: vec![out_channels, output[0], output[1]],
        parameter_count: weights.len() + out_channels,
        operation: Operation::Linear(linear),
    })
}

/// Spreads per-channel tensors over the elements of a linear layer's output; a bias may hold one number
/// for each element.
pub(super) fn build_linear(
    map: LinearMap<f32>,
    geometry: Geometry,
    channels: usize,
    raw: &RawLinear<'_>,
    tensors: &Tensors,
) -> Checked<Linear> {
    let weight_bits = raw.weight_bits;
    if !(2..=MOST_BITS).contains(&weight_bits) {
        return Err(format!(
            "weight_bits must be 2 to {MOST_BITS}, not {weight_bits}"
        ));
    }
    let per_channel = |name: Option<&str>| -> Checked<Option<Vec<f32>>> {
        let Some(name) = name else { return Ok(None) };
        let (values, _) = tensors.get(name, [Some(channels)])?;
        Ok(Some(spread(values, map.output_count)))
    };
    let (bias, [count]) = tensors.get(raw.bias, [None])?;
    if count != channels && (geometry != Geometry::Other || count != map.output_count) {
        tensors.get(raw.bias, [Some(channels)])?;
    }
    let range = read_range(raw.range, channels, tensors)?;
    let weight_scale = per_channel(raw.weight_scale)?;
    let correction = per_channel(raw.correction)?;
    if let Some(scale) = weight_scale.iter().flatten().find(|scale| **scale <= 0.0) {
        return Err(format!(
            "weight_scale holds {scale}: scales must be positive"
        ));
    }
    let linear = Linear {
        bias: spread(bias, map.output_count),
        correction: correction.unwrap_or_else(|| vec![0.0; map.output_count]),
        range: spread(&range, map.output_count),
        weight_bits,
        weight_scale,
        geometry,
        map,
    };
    linear.check_weight_scale()?;
    Ok(linear)
}
