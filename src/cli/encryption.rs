//! The options that say how a placement is encrypted.

use std::path::PathBuf;

use clap::Args;

use crate::model::answer::Answer;
use crate::model::protection::Protection;
use crate::record::download::Download;
use crate::record::step_noise::StepNoise;
use crate::sweep::Overrides;

/// What decides how a placement is encrypted.
#[derive(Debug, Clone, Args)]
pub struct EncryptionArguments {
    /// Parameter sets: auto (the cheapest that is precise enough, per server segment), exact, fast
    /// or accurate [default: auto]
    #[arg(long, value_name = "CHOICE")]
    parameters: Option<String>,
    /// With auto: the noise that a look-up may have, as a fraction of an output step,
    /// the mean over channels, or auto for the most, up to 0.5, that costs at most 0.3 points of
    /// the model's calibration images [default: auto]
    #[arg(long, value_name = "FRACTION")]
    step_noise: Option<StepNoise>,
    /// log2 of the failure probability that no look-up may exceed [default: -64]
    #[arg(long, value_name = "LOG2", allow_negative_numbers = true)]
    log2_p_fail: Option<f64>,
    /// How answers travel: as they are, under a shared mask with a packing key, or as whole LWE
    /// ciphertexts [default: plain]
    #[arg(long, value_enum)]
    download: Option<Download>,
    /// What the client gets where the server runs the last layer: logits, or only the label of the
    /// largest, found under encryption [default: logits]
    #[arg(long, value_enum)]
    answer: Option<Answer>,
    /// What hides the model in answers: nothing, encryptions of zero and flooding noise on those that
    /// are linear combinations, a bootstrap of every answer, or one of every uploaded value, which lets
    /// no other than honest ones pass [default: none]
    #[arg(long, value_enum)]
    protect: Option<Protection>,
    /// With auto: figures of the machine, written by `splitbench calibrate`
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
}

impl EncryptionArguments {
    /// Returns what was said, and nothing of what else there is to say.
    pub fn overrides(self) -> Overrides {
        Overrides {
            parameters: self.parameters,
            step_noise: self.step_noise,
            log2_p_fail_lookup: self.log2_p_fail,
            download: self.download,
            answer: self.answer,
            protect: self.protect,
            calibration: self.calibration,
            ..Overrides::default()
        }
    }
}
