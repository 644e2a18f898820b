//! Blocks of integer weights below 2^31, as all but contrived ones are: products without the 64-bit
//! multiplication that few CPUs have in wide registers.
//!
//! A value is high · 2^32 + low, both signed and of 32 bits. Low halves are multiplied to 64 bits; of
//! the products with high halves only 32 bits count.

use super::panel::{PANEL, ROWS, add_products};
use crate::core::torus::halves;

/// Returns the weights, in two's complement, where all fit.
#[inline(always)]
pub fn weights(weights: &[u64]) -> Option<Vec<i32>> {
    let signed = weights.iter().map(|&weight| weight as i64);
    signed.map(|weight| i32::try_from(weight).ok()).collect()
}

/// Adds a block's output rows for `input`, all of them of `columns`. Inputs are element indices; what
/// is not there is a zero from padding.
#[inline(always)]
pub fn add_to(
    inputs: &[u32],
    weights: &[i32],
    output: &mut [Box<[u64]>],
    input: &[Box<[u64]>],
    columns: usize,
) {
    let depth = inputs.len();
    let mut low = vec![[0i32; PANEL]; depth];
    let mut high = low.clone();
    for start in (0..columns).step_by(PANEL) {
        let width = PANEL.min(columns - start);
        for (&index, (low, high)) in inputs.iter().zip(low.iter_mut().zip(&mut high)) {
            if let Some(row) = input.get(index as usize) {
                split(&row[start..start + width], low, high);
            }
        }
        for (rows, weights) in output.chunks_mut(ROWS).zip(weights.chunks(ROWS * depth)) {
            let mut low_sums = [[0i64; PANEL]; ROWS];
            add_products(&mut low_sums, width, weights, &low, |sum, weight, low| {
                sum.wrapping_add(i64::from(weight) * i64::from(low))
            });
            let mut high_sums = [[0i32; PANEL]; ROWS];
            add_products(
                &mut high_sums,
                width,
                weights,
                &high,
                |sum, weight, high| sum.wrapping_add(weight.wrapping_mul(high)),
            );
            for (row, (low, high)) in rows.iter_mut().zip(low_sums.iter().zip(&high_sums)) {
                let halves = low.iter().zip(high);
                for (sum, (&low, &high)) in row[start..start + width].iter_mut().zip(halves) {
                    let product = (low as u64).wrapping_add((high as u64) << 32);
                    *sum = sum.wrapping_add(product);
                }
            }
        }
    }
}

/// Writes the halves of values.
#[inline(always)]
fn split(values: &[u64], low: &mut [i32; PANEL], high: &mut [i32; PANEL]) {
    for ((low, high), &value) in low.iter_mut().zip(high).zip(values) {
        (*low, *high) = halves(value);
    }
}
