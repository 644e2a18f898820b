//! The keyswitch of many ciphertexts as one matrix product with a packed key.
//!
//! A keyswitch subtracts Σ digit · key row over all digits of the mask. tfhe does that one
//! ciphertext at a time and streams the whole key for each; here a block of key rows stays in the
//! cache while all ciphertexts of a batch use it. The key is rounded to the top 24 or 32 bits of
//! its coefficients; [`super::noise`] chooses and counts what that adds.

use rayon::prelude::*;
use tfhe::core_crypto::prelude::*;

use crate::core::linear_map::Row;

#[cfg(target_arch = "x86_64")]
use super::simd;

/// A keyswitching key laid out for [`PackedKeyswitchKey::keyswitch`].
pub struct PackedKeyswitchKey {
    decomposer: SignedDecomposer<u64>,
    /// n + 1.
    output_size: usize,
    /// Leading bits of a key coefficient that are kept.
    bits: u32,
    key: KeyswitchLayout,
}

enum KeyswitchLayout {
    /// `[k·N·levels, n + 1]`, for any CPU.
    Rows(Vec<u32>),
    /// `[tiles of columns, k·N·levels / 4]`, for AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni(Vec<Vec<simd::KeyLine>>),
}

impl PackedKeyswitchKey {
    /// Packs tfhe's key in the layout that is fastest on this CPU.
    pub fn pack(key: &LweKeyswitchKeyOwned<u64>, bits: u32) -> Self {
        let output_size = key.output_lwe_size().0;
        let rows: Vec<u32> = key
            .as_ref()
            .par_iter()
            .map(|&c| round_to_bits(c, bits))
            .collect();
        let packed = Self {
            decomposer: SignedDecomposer::new(
                key.decomposition_base_log(),
                key.decomposition_level_count(),
            ),
            output_size,
            bits,
            key: KeyswitchLayout::Rows(rows),
        };
        #[cfg(target_arch = "x86_64")]
        if packed.fits_vnni() {
            return packed.into_vnni();
        }
        packed
    }

    /// Returns `inputs` under the small key, in order.
    pub fn keyswitch(&self, inputs: &[Row<u64>]) -> Vec<LweCiphertextOwned<u64>> {
        let mut outputs = match &self.key {
            KeyswitchLayout::Rows(key) => self.subtract_rows(inputs, key),
            #[cfg(target_arch = "x86_64")]
            KeyswitchLayout::Vnni(tiles) => self.subtract_vnni(inputs, tiles),
        };
        for (output, input) in outputs.iter_mut().zip(inputs) {
            let body = output.get_mut_body().data;
            *body = body.wrapping_add(input[input.len() - 1]);
        }
        outputs
    }

    fn subtract_rows(&self, inputs: &[Row<u64>], key: &[u32]) -> Vec<LweCiphertextOwned<u64>> {
        let digits: Vec<Vec<i8>> = inputs.iter().map(|input| self.digits(input)).collect();
        let mut sums = vec![vec![0u32; self.output_size]; inputs.len()];
        for (index, row) in key.chunks_exact(self.output_size).enumerate() {
            for (sums, digits) in sums.iter_mut().zip(&digits) {
                let digit = i32::from(digits[index]) as u32;
                for (sum, &coefficient) in sums.iter_mut().zip(row) {
                    *sum = sum.wrapping_add(digit.wrapping_mul(coefficient));
                }
            }
        }
        sums.into_iter()
            .map(|sums| negated_ciphertext(sums.into_iter(), self.bits))
            .collect()
    }

    /// Returns the signed digits of a mask, `[k·N, levels]`, in the order of the key's rows.
    fn digits(&self, input: &[u64]) -> Vec<i8> {
        input[..input.len() - 1]
            .iter()
            .flat_map(|&coefficient| self.decomposer.decompose(coefficient))
            .map(|term| term.value() as i8)
            .collect()
    }
}

#[cfg(target_arch = "x86_64")]
impl PackedKeyswitchKey {
    /// Key lines that stay in the cache while all ciphertexts pass: 48 KiB.
    const BLOCK: usize = 256;

    fn fits_vnni(&self) -> bool {
        let depth = match &self.key {
            KeyswitchLayout::Rows(rows) => rows.len() / self.output_size,
            KeyswitchLayout::Vnni(_) => return true,
        };
        simd::available()
            && self.bits == 8 * simd::LIMBS as u32
            && self.decomposer.base_log().0 <= 7
            && depth.is_multiple_of(simd::DEPTH)
            && depth <= simd::LARGEST_DEPTH
    }

    fn into_vnni(mut self) -> Self {
        if let KeyswitchLayout::Rows(rows) = &self.key {
            let first_columns: Vec<usize> = (0..self.output_size).step_by(simd::TILE).collect();
            let tiles = first_columns.into_par_iter().map(|first| {
                rows.chunks_exact(simd::DEPTH * self.output_size)
                    .map(|lines| self.key_line(lines, first))
                    .collect()
            });
            self.key = KeyswitchLayout::Vnni(tiles.collect());
        }
        self
    }

    /// Returns sixteen columns of four key rows; columns beyond the last are zero.
    fn key_line(&self, rows: &[u32], first: usize) -> simd::KeyLine {
        let mut line = simd::KeyLine::default();
        for (depth, row) in rows.chunks_exact(self.output_size).enumerate() {
            for (column, coefficient) in row[first..].iter().take(simd::TILE).enumerate() {
                for (limb, byte) in line.iter_mut().zip(coefficient.to_le_bytes()) {
                    limb[column][depth] = byte;
                }
            }
        }
        line
    }

    fn subtract_vnni(
        &self,
        inputs: &[Row<u64>],
        tiles: &[Vec<simd::KeyLine>],
    ) -> Vec<LweCiphertextOwned<u64>> {
        let groups: Vec<Vec<simd::DigitLine>> = inputs
            .chunks(simd::GROUP)
            .map(|group| self.digit_lines(group))
            .collect();
        let mut sums = vec![vec![0u32; tiles.len() * simd::TILE]; inputs.len()];
        let mut tile_sums = vec![simd::Sums::default(); groups.len()];
        for (tile, key) in tiles.iter().enumerate() {
            tile_sums.fill(simd::Sums::default());
            for (block, key) in key.chunks(Self::BLOCK).enumerate() {
                for (sums, digits) in tile_sums.iter_mut().zip(&groups) {
                    simd::accumulate(sums, key, &digits[block * Self::BLOCK..]);
                }
            }
            for (sums, limbs) in sums.iter_mut().zip(tile_sums.as_flattened()) {
                let columns = &mut sums[tile * simd::TILE..][..simd::TILE];
                for (column, sum) in columns.iter_mut().enumerate() {
                    let shifted = |limb: usize| (limbs[limb][column] as u32) << (8 * limb);
                    *sum = (0..simd::LIMBS).map(shifted).fold(0, u32::wrapping_add);
                }
            }
        }
        sums.into_iter()
            .map(|sums| negated_ciphertext(sums.into_iter().take(self.output_size), self.bits))
            .collect()
    }

    /// Returns the digits of a group's masks, four rows a line; absent ciphertexts are zero.
    fn digit_lines(&self, group: &[Row<u64>]) -> Vec<simd::DigitLine> {
        let digits: Vec<Vec<i8>> = group.iter().map(|input| self.digits(input)).collect();
        let line_count = digits
            .first()
            .map_or(0, |digits| digits.len() / simd::DEPTH);
        let mut lines = vec![simd::DigitLine::default(); line_count];
        for (lane, digits) in digits.iter().enumerate() {
            let fours = digits.as_chunks::<{ simd::DEPTH }>().0;
            for (line, &four) in lines.iter_mut().zip(fours) {
                line[lane] = four;
            }
        }
        lines
    }
}

/// Returns the ciphertext whose coefficients are the negated sums, back in the torus's top bits.
fn negated_ciphertext(sums: impl Iterator<Item = u32>, bits: u32) -> LweCiphertextOwned<u64> {
    let coefficients = sums
        .map(|sum| (u64::from(sum) << (u64::BITS - bits)).wrapping_neg())
        .collect();
    LweCiphertext::from_container(coefficients, CiphertextModulus::new_native())
}

/// Returns the coefficient's nearest value of so many bits, modulo 2^32.
fn round_to_bits(coefficient: u64, bits: u32) -> u32 {
    let dropped = u64::BITS - bits;
    (coefficient.wrapping_add(1 << (dropped - 1)) >> dropped) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small key pair: k·N = 64 to n = 20 at negligible noise; insecure, for arithmetic only.
    fn insecure_key() -> (
        LweSecretKeyOwned<u64>,
        LweSecretKeyOwned<u64>,
        LweKeyswitchKeyOwned<u64>,
    ) {
        let mut seeder = new_seeder();
        let seeder = seeder.as_mut();
        let mut secret = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
        let mut encryption =
            EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
        let big = allocate_and_generate_new_binary_lwe_secret_key(LweDimension(64), &mut secret);
        let small = allocate_and_generate_new_binary_lwe_secret_key(LweDimension(20), &mut secret);
        let key = allocate_and_generate_new_lwe_keyswitch_key(
            &big,
            &small,
            DecompositionBaseLog(2),
            DecompositionLevelCount(8),
            Gaussian::from_dispersion_parameter(StandardDev(1e-15), 0.0),
            CiphertextModulus::new_native(),
            &mut encryption,
        );
        (big, small, key)
    }

    fn inputs(count: usize) -> Vec<Row<u64>> {
        let number = |i: usize| (i as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..count)
            .map(|c| (0..65).map(|i| number(c * 65 + i)).collect())
            .collect()
    }

    #[test]
    fn the_product_agrees_with_tfhes_keyswitch() {
        let (_, _, key) = insecure_key();
        let packed = PackedKeyswitchKey::pack(&key, 24);
        let inputs = inputs(11);
        for (input, output) in inputs.iter().zip(packed.keyswitch(&inputs)) {
            let input = LweCiphertext::from_container(&input[..], CiphertextModulus::new_native());
            let mut expected = LweCiphertext::new(0, LweSize(21), CiphertextModulus::new_native());
            keyswitch_lwe_ciphertext(&key, &input, &mut expected);
            for (found, expected) in output.as_ref().iter().zip(expected.as_ref()) {
                let error = found.wrapping_sub(*expected) as i64;
                // 512 digits of at most 2, each with a rounding error of at most 2^-25.
                assert!(error.unsigned_abs() <= 1 << (64 - 25 + 10), "{error}");
            }
        }
    }

    #[test]
    fn both_layouts_give_the_same_bits() {
        let (_, _, key) = insecure_key();
        let packed = PackedKeyswitchKey::pack(&key, 24);
        let portable = PackedKeyswitchKey {
            decomposer: SignedDecomposer::new(
                key.decomposition_base_log(),
                key.decomposition_level_count(),
            ),
            output_size: packed.output_size,
            bits: 24,
            key: KeyswitchLayout::Rows(
                key.as_ref().iter().map(|&c| round_to_bits(c, 24)).collect(),
            ),
        };
        let inputs = inputs(9);
        for (found, expected) in packed
            .keyswitch(&inputs)
            .iter()
            .zip(portable.keyswitch(&inputs))
        {
            assert_eq!(found.as_ref(), expected.as_ref());
        }
    }
}
