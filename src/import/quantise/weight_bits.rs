//! The bits of a layer's weights.

use super::bits::DEFAULT_WEIGHT_BITS;
use crate::import::network::{Layer, Operation};

/// Bits of the weights of a layer that reads the network's input: they cost nothing.
const FIRST_WEIGHT_BITS: u32 = 8;

/// Returns the bits of a layer's weights: the file's own where it has any and none are asked for.
pub fn weight_bits(layer: &Layer, asked: Option<u32>) -> u32 {
    let own = own_bits(layer);
    let is_fixed = matches!(layer.operation, Operation::Linear { fixed: true, .. });
    let reads_input = layer.inputs.first() == Some(&0);
    match (own, asked) {
        (1.., None) => own,
        (1.., Some(bits)) if own <= bits => own,
        _ if reads_input || is_fixed => FIRST_WEIGHT_BITS,
        (_, bits) => bits.unwrap_or(DEFAULT_WEIGHT_BITS),
    }
}

/// Returns the bits that a file says a layer's weights have; zero where it says nothing.
pub fn own_bits(layer: &Layer) -> u32 {
    match &layer.operation {
        Operation::Dense { quantisation, .. } | Operation::Conv2d { quantisation, .. } => {
            let own = quantisation.as_ref();
            own.map_or(0, |own| own.bits.clamp(2, 8))
        }
        _ => 0,
    }
}
