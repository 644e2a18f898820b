//! A tile's product on AVX-512 VNNI: `vpdpbusd` adds four products of an unsigned and a signed byte
//! to each 32-bit lane.

use std::arch::x86_64::{__m512i, _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512};

use super::tiles::{DEPTH, DigitLine, KeyLine, LIMBS, Sums};

/// Columns of a tile: the 32-bit lanes of a register.
const COLUMNS: usize = 16;
/// Ciphertexts of a group: 8 · 3 sums and 3 key limbs fit the 32 registers.
const GROUP: usize = 8;

/// Returns whether this CPU has the instructions.
pub fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
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
    _largest_digit: usize,
) {
    assert!(available(), "AVX-512 VNNI");
    // SAFETY: the CPU has the instructions.
    unsafe { with_instructions(sums, key, digits) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn with_instructions(
    sums: &mut Sums<COLUMNS, GROUP>,
    key: &[KeyLine<COLUMNS>],
    digits: &[DigitLine<GROUP>],
) {
    let mut registers = [[_mm512_setzero_si512(); LIMBS]; GROUP];
    for (key, digits) in key.iter().zip(digits) {
        let limbs = key.map(load);
        for (registers, digits) in registers.iter_mut().zip(digits) {
            let digits = _mm512_set1_epi32(i32::from_le_bytes(digits.map(|digit| digit as u8)));
            for (register, limb) in registers.iter_mut().zip(limbs) {
                *register = _mm512_dpbusd_epi32(*register, limb, digits);
            }
        }
    }
    let sums = sums.as_flattened_mut().iter_mut();
    for (sum, register) in sums.zip(registers.as_flattened()) {
        // SAFETY: both are 64 bytes without padding or invalid values.
        let lanes: [i32; COLUMNS] = unsafe { std::mem::transmute(*register) };
        for (sum, lane) in sum.iter_mut().zip(lanes) {
            *sum = sum.wrapping_add(lane);
        }
    }
}

#[inline(always)]
fn load(bytes: [[u8; DEPTH]; COLUMNS]) -> __m512i {
    // SAFETY: both are 64 bytes without padding or invalid values.
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
            eprintln!("skipped: this CPU has no AVX-512 VNNI");
        }
    }
}
