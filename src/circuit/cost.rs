//! The cost model of a look-up: what it takes on a core, from operation counts and two figures of
//! the machine.

use crate::fhe::parameters::ParameterSet;
use crate::record::cost_model::CostModel;

impl CostModel {
    /// Returns the model that gives those measured core-seconds of a look-up, of which so many
    /// were its keyswitch, under a parameter set.
    pub fn fitted(parameters: &ParameterSet, look_up_core_s: f64, keyswitch_core_s: f64) -> Self {
        let steps = parameters.literal().lwe_dimension as f64;
        let rotation_s = (look_up_core_s - keyswitch_core_s).max(0.0);
        Self {
            rotation_ns: 1e9 * rotation_s / (steps * rotation_operations(parameters)),
            keyswitch_ns: 1e9 * keyswitch_core_s / keyswitch_multiplications(parameters),
        }
    }

    /// Returns the modelled core-seconds of a look-up.
    pub fn look_up_core_s(&self, parameters: &ParameterSet) -> f64 {
        let steps = parameters.literal().lwe_dimension as f64;
        1e-9 * (steps * rotation_operations(parameters) * self.rotation_ns
            + keyswitch_multiplications(parameters) * self.keyswitch_ns)
    }
}

/// Returns the floating-point operations of one step of a blind rotation: (k+1)·levels forward
/// and k+1 backward transforms of N/2 points at 5·log2 operations a point, (k+1)²·levels products
/// of 8, and 12 a coefficient for rotation, decomposition and conversion.
fn rotation_operations(parameters: &ParameterSet) -> f64 {
    let literal = parameters.literal();
    let points = literal.polynomial_size as f64 / 2.0;
    let polynomials = literal.glwe_dimension as f64 + 1.0;
    let levels = literal.bootstrap_levels as f64;
    let transforms = 5.0 * points * points.log2() * polynomials * (levels + 1.0);
    let products = 8.0 * points * levels * polynomials.powi(2);
    transforms + products + 24.0 * points * polynomials
}

fn keyswitch_multiplications(parameters: &ParameterSet) -> f64 {
    let literal = parameters.literal();
    let rows = parameters.big_dimension() * literal.keyswitch_levels;
    rows as f64 * (literal.lwe_dimension + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_model_gives_back_what_it_was_fitted_to() {
        let parameters = ParameterSet::fast().expect("secure");
        let model = CostModel::fitted(&parameters, 3e-3, 2e-4);
        assert!((model.look_up_core_s(&parameters) - 3e-3).abs() < 1e-12);
    }
}
