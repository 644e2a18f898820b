//! Blind rotation of batches of accumulators, on the registers that the CPU has.
//!
//! An accumulator is a GLWE ciphertext of a look-up table; rotated by an LWE ciphertext modulo 2N,
//! its constant coefficient becomes the table's cell at the phase. For each element of the
//! bootstrap key all accumulators of the batch take one step, so that the element, 74 kB at k = 2
//! and N = 1024, is read from memory once for all of them.

use rayon::prelude::*;
use tfhe::core_crypto::fft_impl::fft64::crypto::bootstrap::batch_blind_rotate_assign_scratch;
use tfhe::core_crypto::prelude::*;

use super::butterfly::{Points, zero};
use super::cmux::{self, Step};
use super::lanes::dispatch::on_path;
use super::lanes::{Lanes, Task};
use super::shape::Shape;
use super::transform::Transform;
use crate::core::simd::Path;

/// A bootstrap key in the Fourier domain, laid out for [`blind_rotate`].
pub struct RotationKey(Box<dyn Rotate>);

/// What a layout of the key can do.
trait Rotate: Send + Sync {
    /// Multiplies each accumulator by X^-phase of its ciphertext.
    fn rotate(&self, accumulators: &mut [u64], switched: &[SwitchedLwe]);
}

impl RotationKey {
    /// Transforms the key to the Fourier domain, on all cores, laid out for a path.
    pub fn on(path: Path, key: &LweBootstrapKeyOwned<u64>) -> Self {
        on_path!(path, LanesKey::lay_out(key)).unwrap_or_else(|| Self::with_tfhes_layout(key))
    }

    /// Lays the key out for tfhe's own rotation, which takes any shape.
    fn with_tfhes_layout(key: &LweBootstrapKeyOwned<u64>) -> Self {
        let mut fourier = FourierLweBootstrapKeyOwned::new(
            key.input_lwe_dimension(),
            key.glwe_size(),
            key.polynomial_size(),
            key.decomposition_base_log(),
            key.decomposition_level_count(),
        );
        par_convert_standard_lwe_bootstrap_key_to_fourier(key, &mut fourier);
        Self(Box::new(fourier))
    }
}

/// Returns what a blind rotation runs on.
pub fn instructions(path: Path) -> &'static str {
    match path {
        Path::Avx512 => "AVX-512: 8 doubles",
        Path::Avx2 => "AVX2 and FMA: 4 doubles",
        Path::Neon => "NEON: 2 · 2 doubles",
        Path::Scalar => "4 doubles, as the target has them",
    }
}

/// An LWE ciphertext modulo 2N, kept so that a batch can read its mask at random.
pub struct SwitchedLwe {
    modulus: CiphertextModulusLog,
    mask: Vec<usize>,
    body: usize,
}

impl SwitchedLwe {
    /// Evaluates a modulus switch.
    pub fn new(ciphertext: &impl ModulusSwitchedLweCiphertext<usize>) -> Self {
        Self {
            modulus: ciphertext.log_modulus(),
            mask: ciphertext.mask().collect(),
            body: ciphertext.body(),
        }
    }
}

impl ModulusSwitchedLweCiphertext<usize> for SwitchedLwe {
    fn log_modulus(&self) -> CiphertextModulusLog {
        self.modulus
    }

    fn lwe_dimension(&self) -> LweDimension {
        LweDimension(self.mask.len())
    }

    fn body(&self) -> usize {
        self.body
    }

    fn mask(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.mask.iter().copied()
    }
}

/// Multiplies each of the `accumulators`, `[batch, k + 1, N]`, by X^-phase of its ciphertext.
///
/// # Panics
///
/// Panics where the sizes do not fit the key.
pub fn blind_rotate(key: &RotationKey, accumulators: &mut [u64], switched: &[SwitchedLwe]) {
    key.0.rotate(accumulators, switched);
}

impl Rotate for FourierLweBootstrapKeyOwned {
    fn rotate(&self, accumulators: &mut [u64], switched: &[SwitchedLwe]) {
        let fft = Fft::new(self.polynomial_size());
        let mut buffers = ComputationBuffers::new();
        buffers.resize(
            batch_blind_rotate_assign_scratch::<u64>(
                self.glwe_size(),
                self.polynomial_size(),
                CiphertextCount(switched.len()),
                fft.as_view(),
            )
            .unaligned_bytes_required(),
        );
        let accumulators = GlweCiphertextListMutView::from_container(
            accumulators,
            self.glwe_size(),
            self.polynomial_size(),
            CiphertextModulus::new_native(),
        );
        self.as_view().batch_blind_rotate_assign(
            accumulators,
            switched,
            fft.as_view(),
            buffers.stack(),
        );
    }
}

/// A key in the Fourier domain, in registers of L lanes.
struct LanesKey<I: Lanes<L>, const L: usize> {
    lanes: I,
    shape: Shape,
    transform: Transform<I::Float, L>,
    /// `[n]` times the layout of [`cmux::to_fourier`].
    elements: Vec<Points<I::Float>>,
}

impl<I: Lanes<L>, const L: usize> LanesKey<I, L> {
    /// Returns the key where CPU and shape allow it.
    fn lay_out(key: &LweBootstrapKeyOwned<u64>) -> Option<RotationKey> {
        let lanes = I::detect()?;
        let shape = Shape {
            glwe_size: key.glwe_size().0,
            polynomial_size: key.polynomial_size().0,
            base_log: key.decomposition_base_log().0,
            levels: key.decomposition_level_count().0,
        };
        if !shape.fits(L) {
            return None;
        }
        let transform = Transform::new(lanes, shape.polynomial_size);
        // A register has two coefficients of each lane: a real and an imaginary part.
        let element_points = shape.ggsw_size() / (2 * L);
        let mut elements = vec![zero(lanes); key.as_ref().len() / (2 * L)];
        elements
            .par_chunks_exact_mut(element_points)
            .zip(key.as_ref().par_chunks_exact(shape.ggsw_size()))
            .for_each(|(fourier, ggsw)| {
                lanes.run(ToFourier {
                    ggsw,
                    shape: &shape,
                    transform: &transform,
                    fourier,
                });
            });
        Some(RotationKey(Box::new(Self {
            lanes,
            shape,
            transform,
            elements,
        })))
    }
}

/// Takes an element of the key to the Fourier domain.
struct ToFourier<'a, F, const L: usize> {
    ggsw: &'a [u64],
    shape: &'a Shape,
    transform: &'a Transform<F, L>,
    fourier: &'a mut [Points<F>],
}

impl<I: Lanes<L>, const L: usize> Task<I, L> for ToFourier<'_, I::Float, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: I) {
        cmux::to_fourier(lanes, self.ggsw, self.shape, self.transform, self.fourier);
    }
}

impl<I: Lanes<L>, const L: usize> Rotate for LanesKey<I, L> {
    fn rotate(&self, accumulators: &mut [u64], switched: &[SwitchedLwe]) {
        let Shape {
            glwe_size,
            polynomial_size,
            ..
        } = self.shape;
        assert_eq!(
            accumulators.len(),
            switched.len() * glwe_size * polynomial_size
        );
        let padded_size = self.shape.padded_size(L);
        let mut memory = vec![0; switched.len() * glwe_size * padded_size + LINE_WORDS];
        let aligned = memory.as_ptr().align_offset(LINE_WORDS * size_of::<u64>());
        let padded = &mut memory[aligned..][..switched.len() * glwe_size * padded_size];
        let polynomials = accumulators.chunks_exact(polynomial_size);
        for (index, (padded, polynomial)) in padded
            .chunks_exact_mut(padded_size)
            .zip(polynomials)
            .enumerate()
        {
            divide(polynomial, switched[index / glwe_size].body, padded);
            cmux::pad(padded, L);
        }
        self.lanes.run(RotatePadded {
            key: self,
            padded: &mut *padded,
            switched,
        });
        let polynomials = accumulators.chunks_exact_mut(polynomial_size);
        for (polynomial, padded) in polynomials.zip(padded.chunks_exact(padded_size)) {
            polynomial.copy_from_slice(&padded[..polynomial_size]);
        }
    }
}

/// Words of a line of the cache; a load across two of them takes twice the time.
const LINE_WORDS: usize = 8;

/// Takes all steps of a batch of padded accumulators.
struct RotatePadded<'a, I: Lanes<L>, const L: usize> {
    key: &'a LanesKey<I, L>,
    padded: &'a mut [u64],
    switched: &'a [SwitchedLwe],
}

impl<I: Lanes<L>, const L: usize> Task<I, L> for RotatePadded<'_, I, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: I) {
        let LanesKey {
            shape,
            transform,
            elements,
            ..
        } = self.key;
        let mut step = Step {
            shape,
            transform,
            digits: &mut vec![zero(lanes); shape.rows() * shape.points(L)],
        };
        let elements = elements.chunks_exact(shape.ggsw_size() / (2 * L));
        for (index, ggsw) in elements.enumerate() {
            let accumulators = self
                .padded
                .chunks_exact_mut(shape.glwe_size * shape.padded_size(L));
            for (accumulator, switched) in accumulators.zip(self.switched) {
                let a = switched.mask[index];
                if a != 0 {
                    cmux::rotate(lanes, accumulator, a, ggsw, &mut step);
                }
            }
        }
    }
}

/// Writes the polynomial divided by X^degree, 0 ≤ degree < 2N, to the start of `quotient`.
fn divide(polynomial: &[u64], degree: usize, quotient: &mut [u64]) {
    let size = polynomial.len();
    for (index, coefficient) in quotient[..size].iter_mut().enumerate() {
        let source = index + degree;
        let value = polynomial[source % size];
        *coefficient = if (source / size).is_multiple_of(2) {
            value
        } else {
            value.wrapping_neg()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic numbers that look uniform.
    fn numbers(seed: u64, count: usize) -> Vec<u64> {
        let mix = |mut z: u64| {
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let number = |index: u64| mix((seed << 32 | index).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..count as u64).map(number).collect()
    }

    fn switched(mask: Vec<usize>, body: usize, polynomial_size: usize) -> SwitchedLwe {
        SwitchedLwe {
            modulus: PolynomialSize(polynomial_size).to_blind_rotation_input_modulus_log(),
            mask,
            body,
        }
    }

    /// (k, N, base_log, levels): both parameter sets, more levels, other sizes, the smallest.
    const SHAPES: [(usize, usize, usize, usize); 10] = [
        (2, 1024, 23, 1),
        (1, 2048, 23, 1),
        (2, 1024, 15, 2),
        (1, 2048, 7, 3),
        (4, 512, 17, 1),
        (3, 256, 12, 2),
        (1, 4096, 22, 1),
        (1, 128, 23, 1),
        (2, 2048, 22, 1),
        (1, 16384, 16, 2),
    ];

    /// A uniform key: as good as an encrypted one where only arithmetic is compared.
    fn key(
        dimension: usize,
        (k, polynomial_size, base_log, levels): (usize, usize, usize, usize),
    ) -> LweBootstrapKeyOwned<u64> {
        let count = dimension * levels * (k + 1) * (k + 1) * polynomial_size;
        LweBootstrapKey::from_container(
            numbers(1, count),
            GlweSize(k + 1),
            PolynomialSize(polynomial_size),
            DecompositionBaseLog(base_log),
            DecompositionLevelCount(levels),
            CiphertextModulus::new_native(),
        )
    }

    /// Returns the largest difference between a rotation and tfhe's, in units of 2^-64, on all paths.
    fn largest_difference(
        key: &LweBootstrapKeyOwned<u64>,
        accumulators: Vec<u64>,
        switched: &[SwitchedLwe],
    ) -> u64 {
        let mut expected = accumulators.clone();
        blind_rotate(
            &RotationKey::with_tfhes_layout(key),
            &mut expected,
            switched,
        );
        let of_path = |path: Path| {
            let mut found = accumulators.clone();
            blind_rotate(&RotationKey::on(path, key), &mut found, switched);
            let differences = found.iter().zip(&expected);
            differences
                .map(|(a, b)| (a.wrapping_sub(*b) as i64).unsigned_abs())
                .max()
        };
        let differences = Path::available().filter_map(of_path);
        differences.max().expect("accumulators")
    }

    /// Each of (k + 1)·levels·N products of a digit up to B/2 and half a turn has an error of
    /// 2^-53 of itself; their sum grows with the square root of the count. The factor 2^5 is for
    /// the stages of two transforms and for the extreme of many values.
    fn rounding_errors(
        (k, polynomial_size, base_log, levels): (usize, usize, usize, usize),
    ) -> u64 {
        let count = ((k + 1) * levels * polynomial_size) as f64;
        (count.sqrt() * 2f64.powi(64 - 53 + base_log as i32 - 2 + 5)) as u64
    }

    #[test]
    fn a_step_equals_tfhes_within_rounding_errors() {
        for shape @ (k, size, ..) in SHAPES {
            let amounts = [0, 1, 7, 8, size / 2 - 1, size / 2, size - 3, size, size + 1];
            let more = [size + size / 2 + 5, 2 * size - 8, 2 * size - 1];
            let batch: Vec<SwitchedLwe> = (amounts.into_iter().chain(more))
                .map(|a| switched(vec![a], 2 * size - 1 - a, size))
                .collect();
            let accumulators = numbers(2, batch.len() * (k + 1) * size);
            let difference = largest_difference(&key(1, shape), accumulators, &batch);
            let bound = rounding_errors(shape);
            assert!(difference <= bound, "{shape:?}: {difference} > {bound}");
        }
    }

    #[test]
    fn ties_are_rounded_as_tfhe_rounds_them() {
        for shape @ (k, size, base_log, levels) in SHAPES {
            // X^N = -1, so the difference is -2 times a coefficient: here half a turn, give or
            // take less than half a unit of the decomposition.
            let half_unit = 1 << (63 - base_log * levels);
            let near = |number: u64| (1u64 << 62).wrapping_add(number % half_unit) - half_unit / 2;
            let accumulators = numbers(3, (k + 1) * size).into_iter().map(near).collect();
            let batch = [switched(vec![size], 0, size)];
            let difference = largest_difference(&key(1, shape), accumulators, &batch);
            let bound = 4 * rounding_errors(shape);
            assert!(difference <= bound, "{shape:?}: {difference} > {bound}");
        }
    }

    #[test]
    fn without_a_mask_a_rotation_is_exact() {
        for shape @ (k, size, ..) in SHAPES {
            let bodies = [0, 1, 9, size - 1, size, size + 4, 2 * size - 1];
            let batch = bodies.map(|body| switched(vec![0; 3], body, size));
            let accumulators = numbers(4, batch.len() * (k + 1) * size);
            assert_eq!(
                largest_difference(&key(3, shape), accumulators, &batch),
                0,
                "{shape:?}"
            );
        }
    }

    #[test]
    fn the_constant_coefficient_becomes_the_cell_at_the_phase() {
        let (dimension, size) = (30, 512);
        let mut seeder = new_seeder();
        let seeder = seeder.as_mut();
        let mut secret = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
        let mut encryption =
            EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
        let small: LweSecretKeyOwned<u64> =
            allocate_and_generate_new_binary_lwe_secret_key(LweDimension(dimension), &mut secret);
        let big: GlweSecretKeyOwned<u64> = allocate_and_generate_new_binary_glwe_secret_key(
            GlweDimension(2),
            PolynomialSize(size),
            &mut secret,
        );
        let key = par_allocate_and_generate_new_lwe_bootstrap_key(
            &small,
            &big,
            DecompositionBaseLog(20),
            DecompositionLevelCount(1),
            Gaussian::from_dispersion_parameter(StandardDev(1e-15), 0.0),
            CiphertextModulus::new_native(),
            &mut encryption,
        );
        let masks = numbers(5, 20 * dimension);
        let batch: Vec<SwitchedLwe> = masks
            .chunks_exact(dimension)
            .map(|mask| {
                let mask = mask.iter().map(|a| *a as usize % (2 * size)).collect();
                switched(mask, 5, size)
            })
            .collect();
        // Cell j holds j/2N of a turn: the identity.
        let cell = |index: usize| (index as u64) << (64 - (2 * size).ilog2());
        let table = (0..3 * size).map(|j| if j < 2 * size { 0 } else { cell(j - 2 * size) });
        let tables: Vec<u64> = table.collect::<Vec<_>>().repeat(batch.len());
        for path in Path::available() {
            let mut accumulators = tables.clone();
            blind_rotate(&RotationKey::on(path, &key), &mut accumulators, &batch);
            for (accumulator, switched) in accumulators.chunks_exact(3 * size).zip(&batch) {
                let pairs = switched.mask.iter().zip(small.as_ref());
                let product: usize = pairs.map(|(a, s)| a * *s as usize).sum();
                let phase = (switched.body + 2 * size * dimension - product) % (2 * size);
                let expected = match phase.checked_sub(size) {
                    None => cell(phase),
                    Some(rest) => cell(rest).wrapping_neg(),
                };
                let accumulator = GlweCiphertext::from_container(
                    accumulator,
                    PolynomialSize(size),
                    CiphertextModulus::new_native(),
                );
                let mut plaintexts = PlaintextList::new(0, PlaintextCount(size));
                decrypt_glwe_ciphertext(&big, &accumulator, &mut plaintexts);
                let error = plaintexts.as_ref()[0].wrapping_sub(expected) as i64;
                // A digit's rounding, 2^-21 of a turn, times the key's 1024 bits, over 30 steps.
                assert!(error.unsigned_abs() < 1 << 52, "{error}");
            }
        }
    }
}
