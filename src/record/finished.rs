//! What a visit of a split measured: its samples, and what is known of the split after its first visit.

use serde::{Deserialize, Serialize};

use crate::record::deviations::Deviations;
use crate::record::learnt::Learnt;
use crate::record::party_memory::RoleMemories;
use crate::record::reads::SimulatedReads;
use crate::record::row::SampleRow;
use crate::record::spill::Spill;

/// Look-ups above which an inference takes so long that none is spent on warming up or on an audit:
/// page faults and cold caches are nothing beside it.
const LONG_LOOK_UPS: usize = 20_000;

/// Returns whether an inference with so many look-ups takes so long that no further one is spent on
/// warming up or on an audit.
pub fn is_long(look_up_count: usize) -> bool {
    look_up_count > LONG_LOOK_UPS
}

/// One timed inference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub row: SampleRow,
    /// Index of each server layer and the seconds that it took.
    pub layers: Vec<(usize, f64)>,
}

/// What is known of a split after its first visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    pub key_generation_s: Option<f64>,
    pub key_transfer_s: Option<f64>,
    pub evaluation_key_bytes: u64,
    pub packing_key_bytes: u64,
    pub rounds: usize,
    pub bootstrap_count: usize,
    pub start_rss_bytes: Option<u64>,
    pub peak_rss_bytes: Option<u64>,
    pub rss_sampling_period_s: Option<f64>,
    /// Each party in a process of its own; `None` where this system has no exact measure, or it is left
    /// out.
    pub roles: Option<RoleMemories>,
    /// Per server layer: its index, and the most bytes of ciphertexts that lived in one of its steps.
    pub live_ciphertexts: Vec<(usize, u64)>,
    /// Per server layer that holds the weights of others too: its index, and theirs.
    #[serde(default)]
    pub composed: Vec<(usize, Vec<usize>)>,
    /// What ciphertexts in files have cost in one inference.
    #[serde(default)]
    pub spill: Spill,
    pub client_weight_share: Option<f64>,
    #[serde(default)]
    pub accuracy_images: usize,
    /// None where the network's outputs are no classes, as the next.
    pub simulated_accuracy: Option<f64>,
    pub noiseless_accuracy: Option<f64>,
    pub range_overflow_count: u64,
    /// What was read with noise; of earlier logs not known.
    #[serde(default)]
    pub noisy_reads: Option<SimulatedReads>,
    /// Fraction of simulated answers that do not mark exactly one class; `None` for logits.
    #[serde(default)]
    pub no_label_share: Option<f64>,
    pub log2_p_fail: Option<f64>,
    pub log2_p_fail_lookup: Option<f64>,
    pub security_bits: Option<u32>,
    pub activation_s: Option<f64>,
    /// The distinct sets of the server segments, joined by `+`.
    pub parameter_set: String,
    /// One per activation layer on the server.
    pub deviations: Vec<LayerDeviations>,
    /// Of the server segments, in order.
    #[serde(flatten)]
    pub learnt: Learnt,
}

/// Step deviations of an activation layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerDeviations {
    /// Index of the layer in the model.
    pub layer: usize,
    /// Over the test set.
    pub predicted: Deviations,
    /// On the first image, with real keys; none where an inference takes too long.
    pub measured: Deviations,
}
