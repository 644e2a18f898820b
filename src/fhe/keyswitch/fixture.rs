//! The check of a tile's product.

use super::tiles::{Accumulate, DEPTH, LIMBS};

/// Compares sums of tiles with those of single numbers, for each size of digits.
pub fn check<const COLUMNS: usize, const GROUP: usize>(accumulate: Accumulate<COLUMNS, GROUP>) {
    let byte = |index: usize| (index.wrapping_mul(2_654_435_761) >> 7) as u8;
    for largest_digit in [1usize, 2, 8, 64] {
        let mut key = vec![[[[0u8; DEPTH]; COLUMNS]; LIMBS]; 300];
        let mut digits = vec![[[0i8; DEPTH]; GROUP]; 300];
        let bytes = key.as_flattened_mut().as_flattened_mut().as_flattened_mut();
        for (index, value) in bytes.iter_mut().enumerate() {
            // The largest limbs come together, as do the largest digits below.
            *value = if index % 3 == 0 { byte(index) } else { 255 };
        }
        let signed = digits.as_flattened_mut().as_flattened_mut();
        for (index, value) in signed.iter_mut().enumerate() {
            let range = 2 * largest_digit + 1;
            let any = usize::from(byte(index + 77)) % range;
            let digit = if index % 5 == 0 {
                any
            } else {
                (index / 4096 % 2) * (range - 1)
            };
            *value = (digit as i64 - largest_digit as i64) as i8;
        }
        let mut sums = [[[7; COLUMNS]; LIMBS]; GROUP];
        accumulate(&mut sums, &key, &digits, largest_digit);
        for (ciphertext, sums) in sums.iter().enumerate() {
            for (limb, sums) in sums.iter().enumerate() {
                for (column, &sum) in sums.iter().enumerate() {
                    let lines = key.iter().zip(&digits);
                    let products = lines.flat_map(|(key, digits)| {
                        (0..DEPTH).map(|row| {
                            let factor = i32::from(key[limb][column][row]);
                            factor * i32::from(digits[ciphertext][row])
                        })
                    });
                    assert_eq!(sum, 7 + products.sum::<i32>());
                }
            }
        }
    }
}
