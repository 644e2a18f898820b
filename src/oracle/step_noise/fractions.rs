//! How much noise look-ups may be given.

use crate::circuit::analysis::DEFAULT_STEP_NOISE;

/// What is tried, as fractions of an output step, from cheap to dear.
pub const FRACTIONS: [f64; 5] = [DEFAULT_STEP_NOISE, 0.3, 0.18, 0.1, 0.05];
