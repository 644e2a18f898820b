//! Linear maps of single elements, and factors on the outputs and inputs of any map.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::linear_map::{Block, LinearMap, PADDING};

/// Returns the map that copies elements, and makes a zero where [`PADDING`] is named.
pub fn selection(picks: &[u32], input_count: usize) -> LinearMap<f32> {
    let one: Arc<[f32]> = [1.0].into();
    let blocks = picks.iter().enumerate().map(|(output, &input)| Block {
        weights: Arc::clone(&one),
        inputs: vec![input],
        outputs: vec![output as u32],
    });
    LinearMap {
        input_count,
        output_count: picks.len(),
        blocks: blocks.collect(),
    }
}

/// Returns the map that multiplies each element by a number of its own.
pub fn element_wise(scales: &[f32]) -> LinearMap<f32> {
    let mut shared: HashMap<u32, Arc<[f32]>> = HashMap::new();
    let blocks = scales.iter().enumerate().map(|(element, &scale)| {
        let weights = shared.entry(scale.to_bits());
        Block {
            weights: Arc::clone(weights.or_insert_with(|| [scale].into())),
            inputs: vec![element as u32],
            outputs: vec![element as u32],
        }
    });
    LinearMap {
        input_count: scales.len(),
        output_count: scales.len(),
        blocks: blocks.collect(),
    }
}

/// Returns the map with each output times a number of its own, and each input.
pub fn scaled(
    map: &LinearMap<f32>,
    outputs: impl Fn(usize) -> f32,
    inputs: impl Fn(usize) -> f32,
) -> LinearMap<f32> {
    let mut shared: HashMap<(*const f32, Vec<u32>), Arc<[f32]>> = HashMap::new();
    let blocks = map.blocks.iter().map(|block| {
        let rows: Vec<f32> = block.outputs.iter().map(|&o| outputs(o as usize)).collect();
        let column = |&input: &u32| match input {
            PADDING => 0.0,
            input => inputs(input as usize),
        };
        let columns: Vec<f32> = block.inputs.iter().map(column).collect();
        let bits = rows.iter().chain(&columns).map(|factor| factor.to_bits());
        let weights = shared.entry((block.weights.as_ptr(), bits.collect()));
        let weights = weights.or_insert_with(|| {
            let own = block.weights.chunks_exact(columns.len());
            own.zip(&rows)
                .flat_map(|(own, row)| own.iter().zip(&columns).map(move |(w, c)| w * row * c))
                .collect()
        });
        Block {
            weights: Arc::clone(weights),
            inputs: block.inputs.clone(),
            outputs: block.outputs.clone(),
        }
    });
    LinearMap {
        input_count: map.input_count,
        output_count: map.output_count,
        blocks: blocks.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_factors_are_maps() {
        let map = selection(&[2, PADDING, 0], 3);
        assert_eq!(map.apply_to(&[1.0, 2.0, 3.0]), [3.0, 0.0, 1.0]);
        let map = element_wise(&[2.0, 2.0, -1.0]);
        assert_eq!(map.apply_to(&[1.0, 2.0, 3.0]), [2.0, 4.0, -3.0]);
        assert!(Arc::ptr_eq(&map.blocks[0].weights, &map.blocks[1].weights));
    }

    #[test]
    fn outputs_and_inputs_are_scaled_and_equals_stay_shared() {
        let weights: Arc<[f32]> = [1.0, 10.0].into();
        let block = |inputs: [u32; 2], output| Block {
            weights: Arc::clone(&weights),
            inputs: inputs.to_vec(),
            outputs: vec![output],
        };
        let map = LinearMap {
            input_count: 3,
            output_count: 3,
            blocks: vec![block([0, 1], 0), block([1, 2], 1), block([2, PADDING], 2)],
        };
        let made = scaled(
            &map,
            |output| [1.0, 1.0, 3.0][output],
            |input| [2.0, 2.0, 5.0][input],
        );
        assert_eq!(made.apply_to(&[1.0, 1.0, 1.0]), [22.0, 52.0, 15.0]);
        let made = scaled(&map, |_| 2.0, |_| 1.0);
        assert!(Arc::ptr_eq(
            &made.blocks[0].weights,
            &made.blocks[1].weights
        ));
    }
}
