//! Parameter sets, refused below 132-bit security.
//!
//! The minimum noise for a key dimension comes from tfhe's own curve (`secure_noise`), a fit to
//! the lattice estimator at 132 bits for binary keys and Gaussian noise.

use std::fmt;

use serde::Serialize;
use tfhe::core_crypto::commons::noise_formulas::secure_noise::{
    minimal_glwe_variance_for_132_bits_security_gaussian,
    minimal_lwe_variance_for_132_bits_security_gaussian,
};
use tfhe::core_crypto::prelude::*;

use crate::core::error::{Error, Result};
use crate::core::security::SECURITY_BITS;
use crate::core::torus::TURN;

/// The numbers that define a parameter set, not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ParameterLiteral {
    /// n: dimension of the small LWE key that the blind rotation walks through.
    pub lwe_dimension: usize,
    /// k: number of mask polynomials.
    pub glwe_dimension: usize,
    /// N: coefficients of each polynomial, a power of two.
    pub polynomial_size: usize,
    /// Standard deviation of the small key's noise, as a share of the torus.
    pub lwe_noise_std: f64,
    /// Standard deviation of the GLWE key's noise, as a share of the torus.
    pub glwe_noise_std: f64,
    pub bootstrap_base_log: usize,
    pub bootstrap_levels: usize,
    pub keyswitch_base_log: usize,
    pub keyswitch_levels: usize,
}

/// A checked parameter set: every key has at least [`SECURITY_BITS`] bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ParameterSet(ParameterLiteral);

impl ParameterSet {
    /// Returns the checked set.
    ///
    /// # Errors
    ///
    /// [`Error::Parameters`] where a key's noise lies below tfhe's 132-bit minimum for its
    /// dimension, or a size is out of range.
    pub fn new(literal: ParameterLiteral) -> Result<Self> {
        let set = Self(literal);
        if !literal.polynomial_size.is_power_of_two()
            || !(256..=1 << 16).contains(&literal.polynomial_size)
        {
            return Err(Error::Parameters(format!(
                "{set}: polynomial size {} is no power of two from 256 to 65536",
                literal.polynomial_size
            )));
        }
        let decompositions = [
            (
                "bootstrap",
                literal.bootstrap_base_log,
                literal.bootstrap_levels,
            ),
            (
                "keyswitch",
                literal.keyswitch_base_log,
                literal.keyswitch_levels,
            ),
        ];
        for (what, base_log, levels) in decompositions {
            if base_log == 0 || levels == 0 || base_log * levels > 52 {
                return Err(Error::Parameters(format!(
                    "{set}: {what} decomposition 2^{base_log} x {levels} does not fit 1..=52 bits"
                )));
            }
        }
        if literal.keyswitch_base_log > 7 {
            let reason = "keyswitch digits must fit a signed byte: a base of 2^7 at most";
            return Err(Error::Parameters(format!("{set}: {reason}")));
        }
        let minimal_lwe = minimal_lwe_variance_for_132_bits_security_gaussian(
            LweDimension(literal.lwe_dimension),
            TURN,
        );
        let minimal_glwe = minimal_glwe_variance_for_132_bits_security_gaussian(
            GlweDimension(literal.glwe_dimension),
            PolynomialSize(literal.polynomial_size),
            TURN,
        );
        let keys = [
            ("LWE", literal.lwe_noise_std, minimal_lwe),
            ("GLWE", literal.glwe_noise_std, minimal_glwe),
        ];
        for (key, std, minimal) in keys {
            if std.is_nan() || std.powi(2) < minimal.0 {
                return Err(Error::Parameters(format!(
                    "{set}: {key} noise 2^{:.2} is below the 2^{:.2} that {SECURITY_BITS}-bit \
                     security needs at this dimension",
                    std.log2(),
                    minimal.0.sqrt().log2()
                )));
            }
        }
        Ok(set)
    }

    /// Returns the fast set: the cheapest bootstrap that carries 4-bit activations.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn fast() -> Result<Self> {
        Self::new(FAST)
    }

    /// Returns the accurate set: half the noise of the fast one at about 1.5 times its cost.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn accurate() -> Result<Self> {
        Self::new(ACCURATE)
    }

    /// Returns the numbers of the set.
    pub fn literal(&self) -> &ParameterLiteral {
        &self.0
    }

    /// Returns k·N, the dimension of the LWE ciphertexts between layers.
    pub fn big_dimension(&self) -> usize {
        self.0.glwe_dimension * self.0.polynomial_size
    }

    /// Returns the bytes of a seeded evaluation key on the wire: seed and bodies of `n·levels·(k + 1)`
    /// GLWE ciphertexts and of `k·N·levels` LWE ciphertexts.
    pub fn evaluation_key_bytes(&self) -> u64 {
        let literal = self.literal();
        let rows = literal.lwe_dimension * literal.bootstrap_levels * (literal.glwe_dimension + 1);
        let bootstrap = rows * literal.polynomial_size;
        let keyswitch = self.big_dimension() * literal.keyswitch_levels;
        (2 * size_of::<u128>() + 8 * (bootstrap + keyswitch)) as u64
    }

    /// Returns the number of `u64` coefficients of an LWE ciphertext between layers.
    pub fn big_size(&self) -> usize {
        self.big_dimension() + 1
    }

    /// Returns the bytes of LWE ciphertexts between layers.
    pub fn lwe_bytes(&self, count: usize) -> u64 {
        8 * (count * self.big_size()) as u64
    }

    /// Returns the bytes of GLWE ciphertexts.
    pub fn glwe_bytes(&self, count: usize) -> u64 {
        8 * (count * (self.big_dimension() + self.0.polynomial_size)) as u64
    }

    /// Returns log2(2N), the modulus that the blind rotation reads.
    pub(crate) fn rotation_modulus_log(&self) -> CiphertextModulusLog {
        self.polynomial_size().to_blind_rotation_input_modulus_log()
    }

    pub(crate) fn lwe_dimension(&self) -> LweDimension {
        LweDimension(self.0.lwe_dimension)
    }

    pub(crate) fn glwe_dimension(&self) -> GlweDimension {
        GlweDimension(self.0.glwe_dimension)
    }

    pub(crate) fn glwe_size(&self) -> GlweSize {
        self.glwe_dimension().to_glwe_size()
    }

    pub(crate) fn polynomial_size(&self) -> PolynomialSize {
        PolynomialSize(self.0.polynomial_size)
    }

    pub(crate) fn bootstrap_decomposition(
        &self,
    ) -> (DecompositionBaseLog, DecompositionLevelCount) {
        (
            DecompositionBaseLog(self.0.bootstrap_base_log),
            DecompositionLevelCount(self.0.bootstrap_levels),
        )
    }

    pub(crate) fn keyswitch_decomposition(
        &self,
    ) -> (DecompositionBaseLog, DecompositionLevelCount) {
        (
            DecompositionBaseLog(self.0.keyswitch_base_log),
            DecompositionLevelCount(self.0.keyswitch_levels),
        )
    }

    pub(crate) fn lwe_noise(&self) -> Gaussian<f64> {
        Gaussian::from_dispersion_parameter(StandardDev(self.0.lwe_noise_std), 0.0)
    }

    pub(crate) fn glwe_noise(&self) -> Gaussian<f64> {
        Gaussian::from_dispersion_parameter(StandardDev(self.0.glwe_noise_std), 0.0)
    }
}

impl fmt::Display for ParameterSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParameterLiteral {
            lwe_dimension,
            glwe_dimension,
            polynomial_size,
            bootstrap_base_log,
            bootstrap_levels,
            keyswitch_base_log,
            keyswitch_levels,
            ..
        } = self.0;
        write!(
            formatter,
            "n{lwe_dimension}-k{glwe_dimension}-N{polynomial_size}\
             -b{bootstrap_base_log}x{bootstrap_levels}-ks{keyswitch_base_log}x{keyswitch_levels}"
        )
    }
}

/// Returns the least noise that 132-bit security needs for an LWE key, a hair above the curve.
pub fn secure_lwe_noise_std(dimension: usize) -> f64 {
    let variance =
        minimal_lwe_variance_for_132_bits_security_gaussian(LweDimension(dimension), TURN);
    variance.0.sqrt() * SECURE_SLACK
}

/// Returns the least noise that 132-bit security needs for a GLWE key, a hair above the curve.
pub fn secure_glwe_noise_std(dimension: usize, polynomial_size: usize) -> f64 {
    secure_lwe_noise_std(dimension * polynomial_size)
}

/// Keeps rounding of the square root from falling below the curve.
const SECURE_SLACK: f64 = 1.0 + 1e-9;

/// k·N = 2048 in two polynomials of 1024: a bootstrap reads 2048 cells.
const FAST: ParameterLiteral = ParameterLiteral {
    lwe_dimension: 768,
    glwe_dimension: 2,
    polynomial_size: 1024,
    lwe_noise_std: LWE_768_STD,
    glwe_noise_std: GLWE_2048_STD,
    bootstrap_base_log: 23,
    bootstrap_levels: 1,
    keyswitch_base_log: 2,
    keyswitch_levels: 8,
};

/// k·N = 2048 in one polynomial: a bootstrap reads 4096 cells.
const ACCURATE: ParameterLiteral = ParameterLiteral {
    lwe_dimension: 833,
    glwe_dimension: 1,
    polynomial_size: 2048,
    lwe_noise_std: LWE_833_STD,
    glwe_noise_std: GLWE_2048_STD,
    bootstrap_base_log: 23,
    bootstrap_levels: 1,
    keyswitch_base_log: 2,
    keyswitch_levels: 8,
};

/// sqrt(2^(5.31469 - 0.0497829·768)), tfhe's 132-bit curve at n = 768, rounded up.
const LWE_768_STD: f64 = 1.109_9e-5;
/// The same curve at n = 833, rounded up.
const LWE_833_STD: f64 = 3.616_0e-6;
/// The same curve at k·N = 2048 with its floor of four units of 2^-64, rounded up.
const GLWE_2048_STD: f64 = 2.845_4e-15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_sets_are_secure_and_waste_little_noise() {
        for set in [ParameterSet::fast(), ParameterSet::accurate()] {
            let literal = *set.expect("secure").literal();
            let minimal = minimal_lwe_variance_for_132_bits_security_gaussian(
                LweDimension(literal.lwe_dimension),
                TURN,
            );
            assert!(literal.lwe_noise_std < 1.001 * minimal.0.sqrt());
        }
    }

    #[test]
    fn weakened_sets_are_refused() {
        let weakened = [
            (
                "smaller LWE key",
                ParameterLiteral {
                    lwe_dimension: 760,
                    ..FAST
                },
            ),
            (
                "less LWE noise",
                ParameterLiteral {
                    lwe_noise_std: 0.99 * LWE_768_STD,
                    ..FAST
                },
            ),
            (
                "smaller GLWE key",
                ParameterLiteral {
                    glwe_dimension: 1,
                    ..FAST
                },
            ),
            (
                "less GLWE noise",
                ParameterLiteral {
                    glwe_noise_std: 2.8e-15,
                    ..ACCURATE
                },
            ),
            (
                "NaN noise",
                ParameterLiteral {
                    glwe_noise_std: f64::NAN,
                    ..ACCURATE
                },
            ),
            (
                "odd polynomial",
                ParameterLiteral {
                    polynomial_size: 1000,
                    ..FAST
                },
            ),
            (
                "no levels",
                ParameterLiteral {
                    keyswitch_levels: 0,
                    ..FAST
                },
            ),
        ];
        for (what, literal) in weakened {
            assert!(ParameterSet::new(literal).is_err(), "{what} was accepted");
        }
    }
}
