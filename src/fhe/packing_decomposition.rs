//! The decomposition of a packing keyswitch: a parameter beside those of a parameter set.

use serde::Serialize;

use super::parameters::ParameterSet;

/// Decomposition of a packing keyswitch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PackingDecomposition {
    pub base_log: usize,
    pub levels: usize,
}

impl PackingDecomposition {
    /// Returns the body coefficients of a seeded key.
    pub(super) fn body_count(&self, parameters: &ParameterSet) -> usize {
        parameters.big_dimension() * self.levels * parameters.literal().polynomial_size
    }
}
