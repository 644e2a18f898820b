//! The keyswitch's matrix product on AVX-512 VNNI.
//!
//! `vpdpbusd` adds four products of an unsigned and a signed byte to each 32-bit lane. A key
//! coefficient is three unsigned byte limbs (24 bits), a digit one signed byte; each limb has its
//! own sum, and the limbs are put together at the end, modulo 2^32. No sum can wrap within its
//! lane before that: |Σ limb · digit| ≤ 255 · 128 · depth < 2^31 for depth ≤ 65,000.

use std::arch::x86_64::{__m512i, _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512};

/// Columns of a tile: the 32-bit lanes of a register.
pub const TILE: usize = 16;
/// Ciphertexts of a tile: 8 · 3 sums and 3 key limbs fit the 32 registers.
pub const GROUP: usize = 8;
/// Digits that one instruction takes.
pub const DEPTH: usize = 4;
/// Byte limbs of a key coefficient.
pub const LIMBS: usize = 3;
/// The largest depth of a product, in digits.
pub const LARGEST_DEPTH: usize = 65_000;

/// For four key rows and sixteen columns: `[limb][column][row]`, one register per limb.
pub type KeyLine = [[[u8; DEPTH]; TILE]; LIMBS];
/// Four consecutive digits of each ciphertext of a group.
pub type DigitLine = [[i8; DEPTH]; GROUP];
/// The sums of a tile, limbs apart.
pub type Sums = [[[i32; TILE]; LIMBS]; GROUP];

/// Returns whether this CPU has the instructions.
pub fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// Adds Σ digit · key to the sums of a tile.
///
/// # Panics
///
/// Panics where the CPU lacks the instructions.
pub fn accumulate(sums: &mut Sums, key: &[KeyLine], digits: &[DigitLine]) {
    assert!(available(), "AVX-512 VNNI");
    // SAFETY: the CPU has the instructions.
    unsafe { accumulate_vnni(sums, key, digits) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn accumulate_vnni(sums: &mut Sums, key: &[KeyLine], digits: &[DigitLine]) {
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
    for (sum, register) in sums
        .as_flattened_mut()
        .iter_mut()
        .zip(registers.as_flattened())
    {
        // SAFETY: both are 64 bytes without padding or invalid values.
        let lanes: [i32; TILE] = unsafe { std::mem::transmute(*register) };
        for (sum, lane) in sum.iter_mut().zip(lanes) {
            *sum = sum.wrapping_add(lane);
        }
    }
}

#[inline(always)]
fn load(bytes: [[u8; DEPTH]; TILE]) -> __m512i {
    // SAFETY: both are 64 bytes without padding or invalid values.
    unsafe { std::mem::transmute(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_equal_the_scalar_product() {
        if !available() {
            eprintln!("skipped: this CPU has no AVX-512 VNNI");
            return;
        }
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
        let mut key = vec![KeyLine::default(); 5];
        let mut digits = vec![DigitLine::default(); 5];
        for (i, value) in key
            .as_flattened_mut()
            .as_flattened_mut()
            .as_flattened_mut()
            .iter_mut()
            .enumerate()
        {
            *value = byte(i);
        }
        for (i, value) in digits
            .as_flattened_mut()
            .as_flattened_mut()
            .iter_mut()
            .enumerate()
        {
            *value = byte(i + 77) as i8;
        }
        let mut sums = Sums::default();
        accumulate(&mut sums, &key, &digits);
        for ciphertext in 0..GROUP {
            for limb in 0..LIMBS {
                for column in 0..TILE {
                    let expected: i32 = key
                        .iter()
                        .zip(&digits)
                        .flat_map(|(key, digits)| {
                            (0..DEPTH).map(|d| {
                                i32::from(key[limb][column][d]) * i32::from(digits[ciphertext][d])
                            })
                        })
                        .sum();
                    assert_eq!(sums[ciphertext][limb][column], expected);
                }
            }
        }
    }
}
