//! Predicted noise of each operation, by tfhe's own formulas, and Gaussian tails.
//!
//! Variances are shares of the torus squared: a variance of 2^-20 is a standard deviation of
//! 2^-10 of a full turn.

use tfhe::core_crypto::commons::noise_formulas::{
    centered_mean_shifted_modulus_switch::centered_binary_shifted_modulus_switch_additive_variance,
    lwe_keyswitch::keyswitch_additive_variance_132_bits_security_gaussian,
    lwe_packing_keyswitch::packing_keyswitch_additive_variance_132_bits_security_gaussian,
    lwe_programmable_bootstrap::pbs_variance_132_bits_security_gaussian_fft_mul,
};

use tfhe::core_crypto::prelude::{DecompositionBaseLog, DecompositionLevelCount, LweDimension};

use super::packing_decomposition::PackingDecomposition;
use super::parameters::ParameterSet;
use crate::core::torus::TURN;

/// Bits of a double that the FFT works in.
const MANTISSA_BITS: f64 = 53.0;

/// Returns the variance of a fresh encryption.
pub fn fresh_variance(parameters: &ParameterSet) -> f64 {
    parameters.literal().glwe_noise_std.powi(2)
}

/// Returns the variance of a bootstrap's output.
pub fn bootstrap_variance(parameters: &ParameterSet) -> f64 {
    let (base_log, levels) = parameters.bootstrap_decomposition();
    pbs_variance_132_bits_security_gaussian_fft_mul(
        parameters.lwe_dimension(),
        parameters.glwe_dimension(),
        parameters.polynomial_size(),
        base_log,
        levels,
        MANTISSA_BITS,
        TURN,
    )
    .0
}

/// Returns the variance that a look-up adds to its input before it reads the table: keyswitch and
/// centred modulus switch.
pub fn look_up_variance(parameters: &ParameterSet) -> f64 {
    let (base_log, levels) = parameters.keyswitch_decomposition();
    let big = LweDimension(parameters.big_dimension());
    let keyswitch = keyswitch_additive_variance_132_bits_security_gaussian(
        big,
        parameters.lwe_dimension(),
        base_log,
        levels,
        TURN,
        TURN,
    );
    let modulus_switch = centered_binary_shifted_modulus_switch_additive_variance(
        parameters.lwe_dimension(),
        TURN,
        2.0 * parameters.literal().polynomial_size as f64,
    );
    keyswitch.0 + modulus_switch.0 + key_rounding_variance(parameters, key_bits(parameters))
}

/// Returns how many bits of a keyswitching key's coefficients the engine keeps: 24, for which it has
/// its fastest product, where their rounding is small beside the modulus switch, else 32.
pub fn key_bits(parameters: &ParameterSet) -> u32 {
    let cells = 2.0 * parameters.literal().polynomial_size as f64;
    let modulus_switch = centered_binary_shifted_modulus_switch_additive_variance(
        parameters.lwe_dimension(),
        TURN,
        cells,
    );
    if key_rounding_variance(parameters, 24) <= modulus_switch.0 / 64.0 {
        24
    } else {
        32
    }
}

/// Returns the variance that rounding the keyswitching key to its top bits adds: each of the
/// k·N·levels digits, of variance B²/12 + 1/6, meets the rounding errors of a body and of the half
/// of n mask coefficients that a binary key selects, each uniform of variance 2^(-2·bits) / 12.
fn key_rounding_variance(parameters: &ParameterSet, bits: u32) -> f64 {
    let literal = parameters.literal();
    let digits = (parameters.big_dimension() * literal.keyswitch_levels) as f64;
    let digit = (2.0 * literal.keyswitch_base_log as f64).exp2() / 12.0 + 1.0 / 6.0;
    let terms = 1.0 + literal.lwe_dimension as f64 / 2.0;
    digits * digit * terms * (-2.0 * f64::from(bits)).exp2() / 12.0
}

/// Returns the variance that rounding every coefficient of an LWE ciphertext to its top `bytes`
/// bytes adds: one rounding error for the body and one for each of the half of the mask that a
/// binary key selects, each uniform with variance 2^(-16·bytes) / 12.
pub fn rounding_variance(parameters: &ParameterSet, bytes: usize) -> f64 {
    if bytes == 8 {
        return 0.0;
    }
    let terms = 1.0 + parameters.big_dimension() as f64 / 2.0;
    terms * body_rounding_variance(bytes)
}

/// Returns the variance that rounding only the body to its top `bytes` bytes adds.
pub fn body_rounding_variance(bytes: usize) -> f64 {
    match bytes {
        8 => 0.0,
        bytes => (-16.0 * bytes as f64).exp2() / 12.0,
    }
}

/// Returns the variance of an encryption of zero made from a public key: a binary r of k·N coefficients
/// meets E, the mask's noise meets the binary secret key, and the body has noise of its own.
pub fn zero_variance(parameters: &ParameterSet) -> f64 {
    let selected = parameters.big_dimension() as f64 / 2.0;
    fresh_variance(parameters) * (2.0 * selected + 1.0)
}

/// Returns log2 of the statistical distance that flooding noise leaves between `count` values with
/// noise of at most `quantile` standard deviations and values without: a Gaussian of deviation s
/// moved by v differs from itself by at most v / (s·√(2π)).
pub fn log2_flooding_distance(count: usize, quantile: f64, std: f64, flooding_std: f64) -> f64 {
    let shift = quantile * std / (flooding_std * (2.0 * std::f64::consts::PI).sqrt());
    (count as f64 * shift).log2().min(0.0)
}

/// Returns the variance that packing `count` ciphertexts into one adds to each.
pub fn packing_variance(
    parameters: &ParameterSet,
    decomposition: &PackingDecomposition,
    count: usize,
) -> f64 {
    packing_keyswitch_additive_variance_132_bits_security_gaussian(
        LweDimension(parameters.big_dimension()),
        parameters.glwe_dimension(),
        parameters.polynomial_size(),
        DecompositionBaseLog(decomposition.base_log),
        DecompositionLevelCount(decomposition.levels),
        count as f64,
        TURN,
    )
    .0
}

/// Returns the variance that the floating-point FFT adds to a coefficient of a polynomial product
/// with integer weights of that squared norm.
///
/// Each of the N torus coefficients enters as a double in [-1/2, 1/2), rounded to 2^-54 at worst,
/// and each butterfly rounds once more; ‖w‖²·N·2^-106 lies above what was measured by a factor of
/// four and more (2^-39 against 2^-37 for 784 weights of 8 bits at N = 2048).
pub fn product_variance(parameters: &ParameterSet, squared_norm: f64) -> f64 {
    squared_norm * parameters.literal().polynomial_size as f64 * (-106.0f64).exp2()
}

/// Returns log2 P(|Z| > z) of a standard normal variable, also where the probability underflows.
pub fn log2_two_sided_tail(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    if x < 5.0 {
        return libm::erfc(x).log2();
    }
    // erfc(x) = exp(-x²) / (x sqrt(pi)) · (1 - 1/(2x²) + 3/(4x⁴) - …), Abramowitz and Stegun
    // 7.1.23; at x ≥ 5 three terms leave a relative error below 3·10⁻⁵.
    let inverse = 1.0 / (2.0 * x * x);
    let series = 1.0 - inverse + 3.0 * inverse * inverse - 15.0 * inverse.powi(3);
    let prefactor = series / (x * std::f64::consts::PI.sqrt());
    -x * x * std::f64::consts::LOG2_E + prefactor.log2()
}

/// Returns the z at which the two-sided tail is 2^`log2_probability`.
pub fn two_sided_quantile(log2_probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e4);
    while high - low > 1e-9 * (1.0 + low) {
        let middle = (low + high) / 2.0;
        if log2_two_sided_tail(middle) > log2_probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_match_tables_and_join_smoothly() {
        // P(|Z| > 1.96) = 0.05, P(|Z| > 6) = 1.973·10⁻⁹.
        assert!((log2_two_sided_tail(1.959_964).exp2() - 0.05).abs() < 1e-7);
        assert!((log2_two_sided_tail(6.0).exp2() / 1.973_175e-9 - 1.0).abs() < 1e-5);
        let join = 5.0 * std::f64::consts::SQRT_2;
        let gap = log2_two_sided_tail(join - 1e-9) - log2_two_sided_tail(join + 1e-9);
        assert!(gap.abs() < 1e-4, "{gap}");
        assert!(log2_two_sided_tail(1e3) < -7e5);
    }

    #[test]
    fn quantiles_invert_tails() {
        for log2_probability in [-1.0, -20.0, -64.0, -128.0, -1000.0] {
            let z = two_sided_quantile(log2_probability);
            assert!((log2_two_sided_tail(z) - log2_probability).abs() < 1e-3);
        }
    }

    #[test]
    fn rounding_the_keyswitching_key_is_small_where_it_is_coarse() {
        let fast = ParameterSet::fast().expect("secure");
        assert_eq!(key_bits(&fast), 24);
        assert!(key_rounding_variance(&fast, 24) < look_up_variance(&fast) / 1000.0);
        assert!(key_rounding_variance(&fast, 32) < key_rounding_variance(&fast, 24) / 60_000.0);
    }

    #[test]
    fn the_fast_set_is_noisier_than_the_accurate_one() {
        let fast = ParameterSet::fast().expect("secure");
        let accurate = ParameterSet::accurate().expect("secure");
        assert!(look_up_variance(&fast) > look_up_variance(&accurate));
        let bits = bootstrap_variance(&fast).sqrt().log2();
        assert!((-16.5..-14.0).contains(&bits), "bootstrap noise 2^{bits}");
        assert!(fresh_variance(&fast) < bootstrap_variance(&fast));
        assert!(rounding_variance(&fast, 4) > body_rounding_variance(4));
    }
}
