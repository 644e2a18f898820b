//! Measures this machine's figures for the cost model, and how well it predicts.

use std::path::Path;

use crate::circuit::compile::{Choice, Target};
use crate::core::error::Result;
use crate::core::statistics::{Summary, median};
use crate::fhe::bootstrap::full_batches;
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
use crate::model::output_mode::OutputMode;
use crate::party::session::Session;
use crate::record::cost_model::CostModel;
use crate::record::download::Download;
use crate::sweep::reference_batch::ReferenceBatch;

/// Inferences that the client's figure is the median of, after one to warm up.
const CLIENT_INFERENCES: usize = 51;

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
    let reference_batch = ReferenceBatch::new(parameters, full_batches());
    let activation_s = reference_batch.look_up_s(None);
    let keyswitch_core_s = reference_batch.keyswitch_core_s();
    let cores = rayon::current_num_threads() as f64;
    Calibrated {
        parameters,
        activation_s,
        keyswitch_core_s,
        key_generation_s: reference_batch.key_generation_s,
        cost: CostModel::fitted(
            &parameters,
            activation_s.median * cores,
            keyswitch_core_s.median,
        ),
    }
}

/// Returns the seconds of a fixed client's phases: four float layers of digits-cnn, and encryption
/// and decryption of what crosses before and after its last layer. No device is like another in
/// all phases; this mix stands for a client's.
///
/// # Errors
///
/// What setting the placement up and running it give.
pub fn client_s() -> Result<f64> {
    let model = Model::load(Path::new("digits-cnn"))?;
    let target = Target {
        parameters: Choice::Fixed(ParameterSet::accurate()?),
        log2_p_fail_lookup: -64.0,
        download: Download::Plain,
        output_mode: OutputMode::default(),
        own_step_noise: Vec::new(),
    };
    let session = Session::set_up(&model, &"CCCCS".parse()?, &target)?;
    let image = model.test.image(0);
    session.infer(image)?;
    let phases_s = |_| {
        let times = session.infer(image)?.times;
        Ok(times.client_compute_s + times.encrypt_s + times.decrypt_s)
    };
    let seconds: Vec<f64> = (0..CLIENT_INFERENCES)
        .map(phases_s)
        .collect::<Result<_>>()?;
    Ok(median(seconds).unwrap_or_default())
}
