//! Ciphertexts as the rows of numbers that they are, by what the numbers mean.
//!
//! The kernels take rows whatever they hold, so that these are names and no types. What travels down is
//! of either kind.

use crate::core::linear_map::Row;

/// The mask of an LWE ciphertext, and its body.
pub type LweCiphertext = Row<u64>;

/// The mask polynomials of a GLWE ciphertext, and its body polynomial.
pub type GlweCiphertext = Row<u64>;

/// Adds a clear phase to a ciphertext.
pub fn add_to_body(ciphertext: &mut LweCiphertext, phase: u64) {
    if let Some(body) = ciphertext.last_mut() {
        *body = body.wrapping_add(phase);
    }
}

/// Returns a GLWE ciphertext's mask and the body coefficients of some elements, of which each is given
/// with its coefficient.
pub fn with_bodies(ciphertext: &GlweCiphertext, mask: usize, elements: &[(u32, u32)]) -> Row<u64> {
    let (mask, body) = ciphertext.split_at(mask);
    let bodies = elements
        .iter()
        .map(|&(_, coefficient)| body[coefficient as usize]);
    mask.iter().copied().chain(bodies).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_added_to_the_last_number_modulo_a_turn() {
        let mut ciphertext: LweCiphertext = vec![1, 2, u64::MAX].into();
        add_to_body(&mut ciphertext, 3);
        assert_eq!(*ciphertext, [1, 2, 2]);
    }

    #[test]
    fn bodies_follow_the_mask_in_the_order_of_their_elements() {
        let ciphertext: GlweCiphertext = vec![1, 2, 10, 11, 12].into();
        let found = with_bodies(&ciphertext, 2, &[(0, 2), (1, 0)]);
        assert_eq!(*found, [1, 2, 12, 10]);
    }
}
