//! What the command line says of a sweep.

use std::path::PathBuf;

use crate::core::placement::Placement;
use crate::model::Granularity;
use crate::model::answer::Answer;
use crate::model::protection::Protection;
use crate::record::download::Download;
use crate::record::order::Order;
use crate::record::shard::Shard;
use crate::record::step_noise::StepNoise;

/// What the command line may say; each overrides the split file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub splits: Option<PathBuf>,
    pub model: Option<PathBuf>,
    pub granularity: Option<Granularity>,
    pub placements: Vec<Placement>,
    pub images: Option<usize>,
    pub repeats: Option<usize>,
    pub order: Option<Order>,
    pub seed: Option<u64>,
    pub parameters: Option<String>,
    pub step_noise: Option<StepNoise>,
    pub log2_p_fail_lookup: Option<f64>,
    pub download: Option<Download>,
    pub answer: Option<Answer>,
    pub protect: Option<Protection>,
    pub accuracy_images: Option<usize>,
    pub spill_above_bytes: Option<u64>,
    /// Leave out the processes that tell the memory of each party.
    pub skip_party_memory: bool,
    /// Seconds that attacks on a server segment may take.
    pub attack_budget_s: Option<f64>,
    /// Mount none.
    pub skip_attacks: bool,
    /// A file that `splitbench calibrate` wrote.
    pub calibration: Option<PathBuf>,
    /// Only this part of the placements.
    pub shard: Option<Shard>,
    /// Only the placements that so many seconds pay for, in order of promise.
    pub budget_s: Option<f64>,
}
