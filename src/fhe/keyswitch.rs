//! The keyswitch of many ciphertexts as one matrix product with a packed key.
//!
//! A keyswitch subtracts Σ digit · key row over all digits of the mask. tfhe does that one
//! ciphertext at a time and streams the whole key for each; here a block of key rows stays in the
//! cache while all ciphertexts of a batch use it. The key is rounded to the top 24 or 32 bits of
//! its coefficients; [`super::noise`] chooses and counts what that adds.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod digits;
#[cfg(all(test, target_arch = "x86_64"))]
mod fixture;
#[cfg(target_arch = "x86_64")]
mod tiles;
#[cfg(target_arch = "x86_64")]
mod vnni;

use rayon::prelude::*;
use tfhe::core_crypto::prelude::*;

use self::digits::Decomposition;
#[cfg(target_arch = "x86_64")]
use self::tiles::Tiles;
use crate::core::linear_map::Row;
use crate::core::simd::{self, Path, Task};

/// A keyswitching key laid out for [`PackedKeyswitchKey::keyswitch`].
pub struct PackedKeyswitchKey {
    decomposition: Decomposition,
    /// n + 1.
    output_size: usize,
    /// Leading bits of a key coefficient that are kept.
    bits: u32,
    layout: Layout,
}

enum Layout {
    /// `[levels, k·N, n + 1]`, for any CPU.
    Rows(Vec<u32>),
    /// For AVX2.
    #[cfg(target_arch = "x86_64")]
    Narrow(Tiles<8, 4>),
    /// For AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    Wide(Tiles<16, 8>),
}

impl PackedKeyswitchKey {
    /// Packs tfhe's key in the layout that is fastest on this CPU.
    pub fn pack(key: &LweKeyswitchKeyOwned<u64>, bits: u32) -> Self {
        Self::on(simd::path(), key, bits)
    }

    /// Packs tfhe's key for a path.
    pub(super) fn on(path: Path, key: &LweKeyswitchKeyOwned<u64>, bits: u32) -> Self {
        let decomposition = Decomposition {
            base_log: key.decomposition_base_log().0,
            levels: key.decomposition_level_count().0,
        };
        assert!(
            decomposition.base_log < 8,
            "digits of seven bits and a sign"
        );
        let output_size = key.output_lwe_size().0;
        let rows = rows(key, bits);
        Self {
            layout: Layout::new(path, rows, output_size, bits, decomposition),
            decomposition,
            output_size,
            bits,
        }
    }

    /// Returns `inputs` under the small key, in order.
    pub fn keyswitch(&self, inputs: &[Row<u64>]) -> Vec<LweCiphertextOwned<u64>> {
        let masks = inputs.iter().map(|input| &input[..input.len() - 1]);
        let digits: Vec<Vec<i8>> = masks.map(|mask| self.decomposition.digits(mask)).collect();
        let sums = match &self.layout {
            Layout::Rows(rows) => simd::run(MultiplyRows {
                rows,
                digits: &digits,
                output_size: self.output_size,
            }),
            #[cfg(target_arch = "x86_64")]
            Layout::Narrow(tiles) => tiles.multiply(&digits, self.decomposition),
            #[cfg(target_arch = "x86_64")]
            Layout::Wide(tiles) => tiles.multiply(&digits, self.decomposition),
        };
        let pairs = sums.into_iter().zip(inputs);
        let outputs = pairs.map(|(sums, input)| {
            let sums = sums.into_iter().take(self.output_size);
            let mut output = negated_ciphertext(sums, self.bits);
            let body = output.get_mut_body().data;
            *body = body.wrapping_add(input[input.len() - 1]);
            output
        });
        outputs.collect()
    }
}

impl Layout {
    #[cfg(target_arch = "x86_64")]
    fn new(
        path: Path,
        rows: Vec<u32>,
        output_size: usize,
        bits: u32,
        decomposition: Decomposition,
    ) -> Self {
        let depth = rows.len() / output_size;
        if path < Path::Avx2 || !tiles::fit(depth, bits, decomposition) {
            Self::Rows(rows)
        } else if path == Path::Avx512 && vnni::available() {
            Self::Wide(Tiles::new(&rows, output_size, vnni::accumulate))
        } else {
            Self::Narrow(Tiles::new(&rows, output_size, avx2::accumulate))
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn new(
        _path: Path,
        rows: Vec<u32>,
        _output_size: usize,
        _bits: u32,
        _decomposition: Decomposition,
    ) -> Self {
        Self::Rows(rows)
    }
}

/// Returns what a keyswitch runs on.
pub fn instructions(path: Path) -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if path == Path::Avx512 && vnni::available() {
        return "AVX-512 VNNI where keys have 24 bits";
    }
    if path >= Path::Avx2 {
        return "AVX2 in bytes where keys have 24 bits";
    }
    "32-bit integers"
}

/// Returns the leading bits of a key's coefficients, `[levels, k·N, n + 1]`.
fn rows(key: &LweKeyswitchKeyOwned<u64>, bits: u32) -> Vec<u32> {
    let (levels, size) = (key.decomposition_level_count().0, key.output_lwe_size().0);
    let input_dimension = key.input_key_lwe_dimension().0;
    let mut rows = vec![0; key.as_ref().len()];
    let sources = key.as_ref();
    rows.par_chunks_exact_mut(size)
        .enumerate()
        .for_each(|(index, row)| {
            let (level, coefficient) = (index / input_dimension, index % input_dimension);
            let source = &sources[(coefficient * levels + level) * size..];
            for (kept, &coefficient) in row.iter_mut().zip(source) {
                *kept = round_to_bits(coefficient, bits);
            }
        });
    rows
}

/// Makes Σ digit · row of each ciphertext.
struct MultiplyRows<'a> {
    rows: &'a [u32],
    digits: &'a [Vec<i8>],
    output_size: usize,
}

impl Task for MultiplyRows<'_> {
    type Output = Vec<Vec<u32>>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let mut sums = vec![vec![0u32; self.output_size]; self.digits.len()];
        for (index, row) in self.rows.chunks_exact(self.output_size).enumerate() {
            for (sums, digits) in sums.iter_mut().zip(self.digits) {
                let digit = i32::from(digits[index]) as u32;
                for (sum, &coefficient) in sums.iter_mut().zip(row) {
                    *sum = sum.wrapping_add(digit.wrapping_mul(coefficient));
                }
            }
        }
        sums
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
        let inputs = inputs(11);
        let of_path = |path| PackedKeyswitchKey::on(path, &key, 24).keyswitch(&inputs);
        let outputs = Path::available().flat_map(of_path);
        for (input, output) in inputs.iter().cycle().zip(outputs) {
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
    fn all_layouts_give_the_same_bits() {
        let (_, _, key) = insecure_key();
        let inputs = inputs(9);
        let of_path = |path| PackedKeyswitchKey::on(path, &key, 24).keyswitch(&inputs);
        let expected = of_path(Path::Scalar);
        for path in Path::available() {
            for (found, expected) in of_path(path).iter().zip(&expected) {
                assert_eq!(found.as_ref(), expected.as_ref(), "{path}");
            }
        }
    }
}
