//! Measures this machine's figures for the cost model, and how well it predicts.

use crate::cost::CostModel;
use crate::fhe::parameters::ParameterSet;
use crate::statistics::Summary;
use crate::yardstick::Yardstick;

/// Look-ups of a measured batch.
const BATCH: usize = 64;

/// Measured times of one parameter set.
#[derive(Debug, Clone, Copy)]
pub struct Calibrated {
    pub parameters: ParameterSet,
    /// Seconds per look-up with all cores busy.
    pub activation_s: Summary,
    /// Core-seconds per keyswitch.
    pub keyswitch_core_s: Summary,
    pub key_generation_s: f64,
    /// The cost model that these times fit.
    pub cost: CostModel,
}

/// Measures a parameter set with keys of its own.
pub fn calibrate(parameters: ParameterSet) -> Calibrated {
    let yardstick = Yardstick::new(parameters, BATCH);
    let activation_s = yardstick.look_up_s();
    let keyswitch_core_s = yardstick.keyswitch_core_s();
    let cores = rayon::current_num_threads() as f64;
    Calibrated {
        parameters,
        activation_s,
        keyswitch_core_s,
        key_generation_s: yardstick.key_generation_s,
        cost: CostModel::fitted(
            &parameters,
            activation_s.median * cores,
            keyswitch_core_s.median,
        ),
    }
}
