//! A tile's product on AVX2: `vpmaddubsw` multiplies unsigned and signed bytes and adds two products
//! to each 16-bit lane; before those overflow, `vpmaddwd` widens the sums to 32 bits.

use std::arch::x86_64::*;

use super::tiles::{DEPTH, DigitLine, KeyLine, LIMBS, Sums};

/// Columns of a tile: the 32-bit lanes of a register.
const COLUMNS: usize = 8;
/// Ciphertexts of a group: 4 · 3 sums, 3 key limbs and the digits fit the 16 registers.
const GROUP: usize = 4;

/// Returns whether this CPU has the instructions.
fn available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Adds Σ digit · key to the sums of a tile.
///
/// # Panics
///
/// Panics where the CPU lacks the instructions.
pub fn accumulate(
    sums: &mut Sums<COLUMNS, GROUP>,
    key: &[KeyLine<COLUMNS>],
    digits: &[DigitLine<GROUP>],
    largest_digit: usize,
) {
    assert!(available(), "AVX2");
    // Each line adds two products of a limb and a digit to a lane.
    let lines = i16::MAX as usize / (2 * 255 * largest_digit);
    for (key, digits) in key.chunks(lines).zip(digits.chunks(lines)) {
        // SAFETY: the CPU has the instructions.
        unsafe { with_instructions(sums, key, digits) }
    }
}

/// Takes as many lines as 16 bits hold the sums of.
#[target_feature(enable = "avx2")]
fn with_instructions(
    sums: &mut Sums<COLUMNS, GROUP>,
    key: &[KeyLine<COLUMNS>],
    digits: &[DigitLine<GROUP>],
) {
    let mut registers = [[_mm256_setzero_si256(); LIMBS]; GROUP];
    for (key, digits) in key.iter().zip(digits) {
        let limbs = key.map(load);
        for (registers, digits) in registers.iter_mut().zip(digits) {
            let digits = _mm256_set1_epi32(i32::from_le_bytes(digits.map(|digit| digit as u8)));
            for (register, limb) in registers.iter_mut().zip(limbs) {
                *register = _mm256_add_epi16(*register, _mm256_maddubs_epi16(limb, digits));
            }
        }
    }
    let ones = _mm256_set1_epi16(1);
    let sums = sums.as_flattened_mut().iter_mut();
    for (sum, register) in sums.zip(registers.as_flattened()) {
        // SAFETY: both are 32 bytes without padding or invalid values.
        let lanes: [i32; COLUMNS] =
            unsafe { std::mem::transmute(_mm256_madd_epi16(*register, ones)) };
        for (sum, lane) in sum.iter_mut().zip(lanes) {
            *sum = sum.wrapping_add(lane);
        }
    }
}

#[inline(always)]
fn load(bytes: [[u8; DEPTH]; COLUMNS]) -> __m256i {
    // SAFETY: both are 32 bytes without padding or invalid values.
    unsafe { std::mem::transmute(bytes) }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check;
    use super::*;

    #[test]
    fn sums_equal_those_of_single_numbers() {
        if available() {
            check(accumulate);
        } else {
            eprintln!("skipped: this CPU has no AVX2");
        }
    }
}
