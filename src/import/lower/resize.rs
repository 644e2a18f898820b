//! `Resize` and `Upsample`, by the nearest element or linearly: along each axis an output is a sum of
//! one or two inputs.

use std::collections::HashMap;
use std::sync::Arc;

use super::arithmetic::{floats, integers};
use super::blocks::{Map, index_of, layer, places, stored_places};
use super::constants::arrange::axis_of;
use super::lowering::Lowering;
use super::value::Value;
use crate::core::linear_map::{Block, LinearMap};
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::Node;

/// The most that an axis is enlarged to.
const MOST_SIZE: usize = 1 << 12;

/// How one axis is resized.
struct Axis {
    input: usize,
    output: usize,
    scale: f32,
}

/// The settings of a node.
struct Settings<'a> {
    is_linear: bool,
    coordinates: &'a str,
    rounding: &'a str,
    /// Whether what shrinks is rounded up, as ONNX Runtime does before this could be told.
    is_ceiled: bool,
}

/// Lowers `Resize` and `Upsample`.
///
/// # Errors
///
/// A sentence where a mode is another, or the batch is resized.
pub fn resize(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    let wire = lowering.wire(node, 0)?;
    let shape = wire.layout.shape();
    let settings = settings(node, lowering.graph.opset)?;
    let axes = axes(lowering, node, &shape)?;
    let along: Vec<Vec<Vec<(usize, f32)>>> =
        axes.iter().map(|axis| settings.weights(axis)).collect();
    let made: Vec<usize> = axes.iter().map(|axis| axis.output).collect();
    let stored = stored_places(&wire);
    lowering.draft.spend(made.iter().product())?;
    let mut shared: HashMap<Vec<u32>, Arc<[f32]>> = HashMap::new();
    let blocks = places(&made).enumerate().map(|(output, place)| {
        let taps = place
            .iter()
            .zip(&along)
            .map(|(&place, along)| &along[place]);
        let mut read: Vec<(Vec<usize>, f32)> = vec![(Vec::new(), 1.0)];
        for taps in taps {
            let longer = |(at, weight): &(Vec<usize>, f32)| {
                let next = taps
                    .iter()
                    .map(|&(tap, factor)| ([&at[..], &[tap]].concat(), weight * factor));
                next.collect::<Vec<_>>()
            };
            read = read.iter().flat_map(longer).collect();
        }
        let weights: Vec<f32> = read.iter().map(|(_, weight)| *weight).collect();
        let bits = weights.iter().map(|weight| weight.to_bits()).collect();
        Block {
            weights: Arc::clone(shared.entry(bits).or_insert_with(|| weights.into())),
            inputs: read
                .iter()
                .map(|(at, _)| stored[index_of(0, &shape, at)])
                .collect(),
            outputs: vec![output as u32],
        }
    });
    let map = LinearMap {
        input_count: wire.layout.count(),
        output_count: made.iter().product(),
        blocks: blocks.collect(),
    };
    let value = lowering.draft.materialise(&wire)?;
    layer(lowering, node, value, Map::fixed(map), &made, None).map(Value::Wire)
}

fn settings(node: &Node, opset: i64) -> Outcome<Settings<'_>> {
    let is_linear = match node.text("mode", "nearest")? {
        "nearest" => false,
        "linear" | "bilinear" => true,
        _ => return unsupported("a mode other than nearest and linear"),
    };
    if node.integer("antialias", 0)? != 0 || node.integer("exclude_outside", 0)? != 0 {
        return unsupported("resizing that smooths, or leaves out what lies outside");
    }
    if node.text("keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return unsupported("resizing that keeps the ratio of the sides");
    }
    // Before it could be told, coordinates were multiplied and rounded down.
    let is_old = node.operator == "Upsample" || opset < 11;
    let (coordinates, rounding) = match is_old {
        true => ("asymmetric", "floor"),
        false => ("half_pixel", "round_prefer_floor"),
    };
    let coordinates = node.text("coordinate_transformation_mode", coordinates)?;
    let rounding = node.text("nearest_mode", rounding)?;
    let is_known = matches!(
        coordinates,
        "asymmetric" | "half_pixel" | "pytorch_half_pixel" | "align_corners"
    );
    let rounds = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"];
    if !is_known || !rounds.contains(&rounding) {
        return unsupported("a coordinate_transformation_mode or nearest_mode of another kind");
    }
    Ok(Settings {
        is_linear,
        coordinates,
        rounding,
        is_ceiled: is_old && node.operator == "Resize",
    })
}

/// Returns how each axis but the batch is resized.
fn axes(lowering: &mut Lowering<'_>, node: &Node, shape: &[usize]) -> Outcome<Vec<Axis>> {
    let rank = shape.len() + 1;
    let is_short = node.operator == "Upsample" || node.inputs.len() == 2;
    let scales = lowering.optional_constant(node, if is_short { 1 } else { 2 })?;
    let mut scales = match scales {
        Some(scales) => floats(&scales.tensor)?.to_vec(),
        None => node.floats("scales")?.unwrap_or_default().to_vec(),
    };
    let mut sizes = Vec::new();
    if scales.is_empty()
        && let Some(given) = lowering.optional_constant(node, 3)?
    {
        sizes = integers(&given.tensor)?.to_vec();
    }
    let named = match node.integers("axes")? {
        Some(axes) => axes
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Outcome<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    if scales.len().max(sizes.len()) != named.len() {
        return invalid("scales or sizes for another number of axes");
    }
    let mut axes: Vec<Axis> = std::iter::once(&1)
        .chain(shape)
        .map(|&size| Axis {
            input: size,
            output: size,
            scale: 1.0,
        })
        .collect();
    scales.resize(named.len(), 0.0);
    for (index, &axis) in named.iter().enumerate() {
        let input = axes[axis].input;
        let (output, scale) = match sizes.get(index) {
            // The batch is one image here, whatever the file says.
            Some(_) if axis == 0 => (1, 1.0),
            Some(&size) => (size.max(0) as usize, size as f32 / input as f32),
            None => {
                let scale = scales[index];
                ((input as f32 * scale).floor() as usize, scale)
            }
        };
        if !(1..=MOST_SIZE).contains(&output) {
            return invalid(format!("resizes {input} to {output}"));
        }
        axes[axis] = Axis {
            input,
            output,
            scale,
        };
    }
    if axes[0].output != 1 {
        return unsupported("resizes the batch");
    }
    axes.remove(0);
    Ok(axes)
}

impl Settings<'_> {
    /// Returns for each output along an axis the inputs that it is made of, and their weights.
    fn weights(&self, axis: &Axis) -> Vec<Vec<(usize, f32)>> {
        (0..axis.output)
            .map(|output| {
                let place = self.coordinate(axis, output as f32);
                if self.is_linear {
                    linear(place.into(), axis.input)
                } else {
                    vec![(self.rounded(place.into(), axis), 1.0)]
                }
            })
            .collect()
    }

    /// Returns where an output lies among the inputs, in the single precision that ONNX Runtime computes it in: a
    /// last bit decides which element is nearest.
    fn coordinate(&self, axis: &Axis, output: f32) -> f32 {
        let (input_count, output_count) = (axis.input as f32, axis.output as f32);
        match self.coordinates {
            "asymmetric" => output / axis.scale,
            "align_corners" if axis.output == 1 => 0.0,
            "align_corners" => output * (input_count - 1.0) / (output_count - 1.0),
            "pytorch_half_pixel" if axis.output == 1 => 0.0,
            _ => (output + 0.5) / axis.scale - 0.5,
        }
    }

    fn rounded(&self, place: f64, axis: &Axis) -> usize {
        let nearest = match self.rounding {
            "floor" if self.is_ceiled && axis.scale < 1.0 => place.ceil(),
            "floor" => place.floor(),
            "ceil" => place.ceil(),
            "round_prefer_floor" => (place - 0.5).ceil(),
            _ => (place + 0.5).floor(),
        };
        nearest.clamp(0.0, (axis.input - 1) as f64) as usize
    }
}

/// Returns the two elements around a place and their weights; beyond the ends, the end.
fn linear(place: f64, count: usize) -> Vec<(usize, f32)> {
    let place = place.clamp(0.0, (count - 1) as f64);
    let (first, rest) = (place.floor() as usize, place.fract());
    if rest == 0.0 {
        return vec![(first, 1.0)];
    }
    vec![(first, (1.0 - rest) as f32), (first + 1, rest as f32)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(input: usize, output: usize) -> Axis {
        Axis {
            input,
            output,
            scale: output as f32 / input as f32,
        }
    }

    #[test]
    fn places_are_those_of_single_precision_and_old_shrinking_rounds_up() {
        let shrunk = |is_ceiled| {
            let settings = Settings {
                is_linear: false,
                coordinates: "asymmetric",
                rounding: "floor",
                is_ceiled,
            };
            let axis = Axis {
                input: 10,
                output: 6,
                scale: 0.6,
            };
            let taps = settings.weights(&axis);
            taps.iter().map(|taps| taps[0].0).collect::<Vec<_>>()
        };
        // As ONNX Runtime gives them, of operator sets 11 and 10.
        assert_eq!(shrunk(false), [0, 1, 3, 5, 6, 8]);
        assert_eq!(shrunk(true), [0, 2, 4, 5, 7, 9]);
    }

    #[test]
    fn the_nearest_element_depends_on_coordinates_and_rounding() {
        for (coordinates, rounding, expected) in [
            ("asymmetric", "floor", [0, 0, 1, 1]),
            ("asymmetric", "ceil", [0, 1, 1, 1]),
            ("half_pixel", "round_prefer_floor", [0, 0, 1, 1]),
            ("align_corners", "round_prefer_ceil", [0, 0, 1, 1]),
        ] {
            let settings = Settings {
                is_linear: false,
                coordinates,
                rounding,
                is_ceiled: false,
            };
            let found: Vec<usize> = settings
                .weights(&axis(2, 4))
                .iter()
                .map(|taps| taps[0].0)
                .collect();
            assert_eq!(found, expected, "{coordinates} {rounding}");
        }
    }

    #[test]
    fn linear_weights_lie_between_neighbours() {
        let settings = Settings {
            is_linear: true,
            coordinates: "half_pixel",
            rounding: "floor",
            is_ceiled: false,
        };
        let found = settings.weights(&axis(2, 4));
        let expected = [
            vec![(0, 1.0)],
            vec![(0, 0.75), (1, 0.25)],
            vec![(0, 0.25), (1, 0.75)],
            vec![(1, 1.0)],
        ];
        assert_eq!(found, expected);
    }
}
