//! What decides what a sweep's rows mean.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::placement::Placement;
use crate::model::Granularity;
use crate::model::answer::Answer;
use crate::model::output_mode::OutputMode;
use crate::model::protection::Protection;
use crate::record::cost_model::CostModel;
use crate::record::download::Download;
use crate::record::order::Order;
use crate::record::shard::Shard;
use crate::record::step_noise::SegmentFraction;

/// Everything that decides what a sweep's rows mean; equal settings give comparable rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Of the program that runs the sweep.
    #[serde(default)]
    pub splitbench_version: String,
    pub name: String,
    pub model: PathBuf,
    /// SHA-256 of the model.
    pub model_digest: String,
    #[serde(default)]
    pub granularity: Granularity,
    /// Which part of a larger sweep this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Every placement of that larger sweep; none where this is all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub whole: Vec<Placement>,
    /// The seconds that placements were chosen for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_s: Option<f64>,
    /// The placements to run.
    pub placements: Vec<Placement>,
    /// Placements that the budget leaves out; none of a network with too many to list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Placement>,
    pub images: usize,
    pub repeats: usize,
    #[serde(default)]
    pub order: Order,
    pub seed: u64,
    pub parameters: String,
    pub step_noise: f64,
    /// Server segments whose look-ups may have other noise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_step_noise: Vec<SegmentFraction>,
    pub log2_p_fail_lookup: f64,
    pub download: Download,
    #[serde(default)]
    pub answer: Answer,
    #[serde(default)]
    pub protect: Protection,
    /// The first so many test images that accuracy is simulated over; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_images: Option<usize>,
    /// Bytes of live ciphertexts above which those that wait spill to files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spill_above_bytes: Option<u64>,
    /// Whether the processes that tell the memory of each party are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_party_memory: bool,
    /// Seconds that attacks on a server segment may take; `None` where none are mounted.
    #[serde(default = "default_attack_budget")]
    pub attack_budget_s: Option<f64>,
    /// What the choice of parameter sets is based on.
    pub cost: CostModel,
}

impl Settings {
    /// Returns the settings of the whole sweep that these are a shard of.
    pub fn unsharded(mut self) -> Self {
        if self.shard.take().is_some() {
            self.placements = std::mem::take(&mut self.whole);
        }
        self
    }

    /// Returns how server segments end.
    pub fn output_mode(&self) -> OutputMode {
        OutputMode {
            answer: self.answer,
            protect: self.protect,
        }
    }
}

/// Names a setting that differs, one that explains others first.
pub fn difference(found: &Settings, wanted: &Settings) -> String {
    let fields = |settings: &Settings| serde_json::to_value(settings).unwrap_or_default();
    let (found, wanted) = (fields(found), fields(wanted));
    let all = found
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    let telling = ["model", "model_digest", "shard"].into_iter();
    for name in telling.chain(all.map(String::as_str)) {
        let (value, other) = (&found[name], &wanted[name]);
        if value != other {
            return match value {
                Value::Array(_) => format!("its {name} differ"),
                value => format!("its {name} is {value}, not {other}"),
            };
        }
    }
    "of another version".into()
}

/// Returns ten seconds, which is more than most attacks that end take.
pub fn default_attack_budget() -> Option<f64> {
    Some(10.0)
}
