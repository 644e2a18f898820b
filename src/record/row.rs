//! The rows of the CSV files. `results/COLUMNS.md` says what each column counts.

use serde::{Deserialize, Serialize};

use super::copy::Agreement;
use crate::core::units;

/// One inference: a line of `samples.csv`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    pub model: String,
    pub placement: String,
    pub repeat: usize,
    pub image_index: usize,
    pub true_label: usize,
    pub clear_label: usize,
    pub encrypted_label: usize,
    pub label_agreement: bool,
    pub encrypted_agreement: bool,
    pub online_s: f64,
    pub client_compute_s: f64,
    pub encrypt_s: f64,
    pub serialise_s: f64,
    pub server_compute_s: f64,
    pub deserialise_s: f64,
    pub decrypt_s: f64,
    pub upload_bytes: u64,
    pub download_bytes: u64,
    /// Filled in when the table is derived, as the next.
    pub calibration_s: Option<f64>,
    pub environment: Option<String>,
}

impl SampleRow {
    /// Returns what no phase accounts for: the harness's own cost.
    pub fn harness_s(&self) -> f64 {
        let phases = [
            self.client_compute_s,
            self.encrypt_s,
            self.serialise_s,
            self.server_compute_s,
            self.deserialise_s,
            self.decrypt_s,
        ];
        self.online_s - phases.iter().sum::<f64>()
    }
}

/// One placement: a line of `splits.csv`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitRow {
    pub model: String,
    pub placement: String,
    pub status: String,
    pub host: Option<String>,
    pub environment: Option<String>,
    pub parameter_set: String,
    pub images: usize,
    pub repeats: usize,
    pub online_s_median: Option<f64>,
    pub online_s_min: Option<f64>,
    pub online_s_max: Option<f64>,
    pub online_s_low: Option<f64>,
    pub online_s_high: Option<f64>,
    pub online_s_n: Option<usize>,
    pub online_s_outliers: Option<usize>,
    pub calibration_drift: Option<f64>,
    pub noisy: Option<bool>,
    pub client_compute_s_median: Option<f64>,
    pub encrypt_s_median: Option<f64>,
    pub serialise_s_median: Option<f64>,
    pub server_compute_s_median: Option<f64>,
    pub server_compute_s_min: Option<f64>,
    pub server_compute_s_max: Option<f64>,
    pub deserialise_s_median: Option<f64>,
    pub decrypt_s_median: Option<f64>,
    pub harness_s_median: Option<f64>,
    pub key_generation_s: Option<f64>,
    pub key_transfer_s: Option<f64>,
    pub upload_bytes: Option<u64>,
    pub download_bytes: Option<u64>,
    pub evaluation_key_bytes: Option<u64>,
    pub packing_key_bytes: Option<u64>,
    pub download: String,
    #[serde(default)]
    pub answer: String,
    #[serde(default)]
    pub protect: String,
    pub rounds: Option<usize>,
    pub bootstrap_count: Option<usize>,
    pub start_rss_bytes: Option<u64>,
    pub peak_rss_bytes: Option<u64>,
    pub rss_sampling_period_s: Option<f64>,
    pub client_start_rss_bytes: Option<u64>,
    pub client_peak_rss_bytes: Option<u64>,
    pub client_fits_gb: Option<u64>,
    pub server_start_rss_bytes: Option<u64>,
    pub server_peak_rss_bytes: Option<u64>,
    pub server_fits_gb: Option<u64>,
    pub server_ciphertext_bytes: Option<u64>,
    pub spilled_bytes: Option<u64>,
    pub spill_s: Option<f64>,
    pub mem_method: String,
    pub client_weight_share: Option<f64>,
    pub client_bits_share: Option<f64>,
    pub exposed_weight_share: Option<f64>,
    pub exposed_weight_share_least: Option<f64>,
    #[serde(default)]
    pub exposure_is: String,
    pub revealed_activations: Option<usize>,
    pub secret_keys: Option<usize>,
    pub log2_flooding_distance: Option<f64>,
    pub honest_queries: Option<usize>,
    #[serde(default)]
    pub honest_queries_are: String,
    pub malicious_queries: Option<usize>,
    #[serde(default)]
    pub malicious_queries_are: String,
    pub information_floor_queries: Option<usize>,
    pub chosen_input_recovered_share_1: Option<f64>,
    pub chosen_input_recovered_share_10: Option<f64>,
    pub chosen_input_recovered_share_all: Option<f64>,
    pub mask_recovered_share_1: Option<f64>,
    pub mask_recovered_share_10: Option<f64>,
    pub mask_recovered_share_all: Option<f64>,
    pub mask_full_recovered_share_all: Option<f64>,
    pub attack_s: Option<f64>,
    pub accuracy_images: Option<usize>,
    pub simulated_accuracy: Option<f64>,
    pub noiseless_accuracy: Option<f64>,
    pub range_overflow_count: Option<u64>,
    pub simulated_inferences: Option<u64>,
    pub simulated_reads: Option<u64>,
    pub out_of_range_count: Option<u64>,
    pub log2_out_of_range_high: Option<f64>,
    pub misread_count: Option<u64>,
    pub misread_inferences: Option<u64>,
    pub log2_misread_high: Option<f64>,
    pub no_label_share: Option<f64>,
    pub encrypted_agreement: Option<f64>,
    pub label_agreement: Option<f64>,
    pub log2_p_fail: Option<f64>,
    pub log2_p_fail_lookup: Option<f64>,
    #[serde(default)]
    pub log2_p_fail_is: String,
    pub meets_log2_p_fail_128: Option<bool>,
    pub security_bits: Option<u32>,
    pub predicted_one_step_rate: Option<f64>,
    pub predicted_two_step_rate: Option<f64>,
    pub measured_one_step_rate: Option<f64>,
    pub measured_two_step_rate: Option<f64>,
    pub audited_look_ups: Option<u64>,
    pub activation_s: Option<f64>,
    pub efficiency: Option<f64>,
    pub reason: Option<String>,
    /// Of copies after as many queries as a choice asks about, from `copies.csv`; no column.
    #[serde(skip)]
    pub copies: Option<Agreement>,
}

impl SplitRow {
    /// Returns what is known of its failures in words: the probability, and how often a value was out of
    /// range; `None` where nothing is encrypted.
    pub fn failure_words(&self) -> Option<String> {
        let mut words = format!("failure {}", units::power_of_two(self.log2_p_fail?));
        if !self.log2_p_fail_is.is_empty() {
            words += &format!(" per inference, {}", self.log2_p_fail_is);
        }
        words += &match (self.out_of_range_count, self.misread_count) {
            (Some(0), _) => "; no value out of range".to_owned(),
            (Some(count), Some(misread)) => {
                format!("; {count} values out of range, {misread} misread")
            }
            _ => "; values out of range not counted".to_owned(),
        };
        if let (Some(high), Some(reads)) = (self.log2_out_of_range_high, self.simulated_reads) {
            words += &format!(" of {reads}, {} at most", units::power_of_two(high));
        }
        Some(words)
    }
}

/// Returns the number of queries after which copies of splits with a server are known; none where none is.
pub fn queries_of_copies(rows: &[SplitRow]) -> Option<usize> {
    let of_server = rows.iter().filter(|row| row.rounds != Some(0));
    let mut agreements = of_server.filter_map(|row| row.copies);
    agreements.next().map(|copies| copies.queries)
}

/// One server layer of one placement: a line of `layers.csv`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerRow {
    pub model: String,
    pub placement: String,
    pub layer_index: usize,
    pub layer: String,
    pub op: String,
    /// Other layers whose weights are composed into its own, and whose time is in its time.
    #[serde(default)]
    pub composed_layers: String,
    pub bootstrap_count: usize,
    pub server_compute_s_median: f64,
    pub server_compute_s_min: f64,
    pub server_compute_s_max: f64,
    pub n: usize,
    pub live_ciphertext_bytes: Option<u64>,
    pub predicted_one_step_rate: Option<f64>,
    pub predicted_two_step_rate: Option<f64>,
    pub measured_one_step_rate: Option<f64>,
    pub measured_two_step_rate: Option<f64>,
    pub audited_look_ups: Option<u64>,
    pub environment: Option<String>,
}

/// One server segment of one placement: a line of `exposure.csv`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExposureRow {
    pub model: String,
    pub placement: String,
    pub segment: usize,
    pub layers: String,
    pub kind: String,
    pub weights: usize,
    pub weight_bits: usize,
    pub revealed_activations: usize,
    pub unknowns_per_output: Option<usize>,
    pub equations_per_query: Option<usize>,
    pub honest_queries: Option<usize>,
    pub honest_queries_are: String,
    pub honest_rank_share: Option<f64>,
    pub malicious_queries: Option<usize>,
    pub malicious_queries_are: String,
    pub information_floor_queries: Option<usize>,
    pub mask_inferences: Option<usize>,
    pub chosen_input_queries: Option<usize>,
    pub chosen_input_recovered_share_1: Option<f64>,
    pub chosen_input_recovered_share_10: Option<f64>,
    pub chosen_input_recovered_share_all: Option<f64>,
    pub chosen_input_method: String,
    pub chosen_input_s: Option<f64>,
    pub mask_queries: Option<usize>,
    pub mask_recovered_share_1: Option<f64>,
    pub mask_recovered_share_10: Option<f64>,
    pub mask_recovered_share_all: Option<f64>,
    pub mask_method: String,
    pub mask_s: Option<f64>,
    pub mask_full_recovered_share_1: Option<f64>,
    pub mask_full_recovered_share_10: Option<f64>,
    pub mask_full_recovered_share_all: Option<f64>,
    pub mask_full_method: String,
    pub mask_full_s: Option<f64>,
    pub log2_flooding_distance: Option<f64>,
    pub attack_reason: Option<String>,
    pub environment: Option<String>,
}

/// One stage of one visit: a line of `stages.csv`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageRow {
    pub model: String,
    pub placement: String,
    pub repeat: usize,
    pub stage: String,
    pub seconds: f64,
    pub environment: Option<String>,
}

/// Copies of a split after so many queries: a line of `copies.csv`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CopyRow {
    pub model: String,
    pub placement: String,
    pub queries: usize,
    pub seeds: usize,
    pub copy_agreement: Option<f64>,
    pub copy_agreement_least: Option<f64>,
    pub copy_agreement_most: Option<f64>,
    pub copy_accuracy: Option<f64>,
    pub copy_accuracy_least: Option<f64>,
    pub copy_accuracy_most: Option<f64>,
    pub own_agreement: Option<f64>,
    pub own_agreement_least: Option<f64>,
    pub own_agreement_most: Option<f64>,
    pub own_accuracy: Option<f64>,
    pub own_accuracy_least: Option<f64>,
    pub own_accuracy_most: Option<f64>,
    pub ceiling_agreement: Option<f64>,
    pub queries_until_90: String,
    pub queries_until_95: String,
    pub queries_until_99: String,
    pub server_weights: usize,
    pub ordinary_images: usize,
    pub judged_images: usize,
    pub copy_s: f64,
    pub reason: Option<String>,
}

/// How a split ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Measured, and every decrypted value lies within the error model.
    Ok,
    /// The worker ended with an error.
    Failed,
    /// The worker was stopped at the time limit.
    Timeout,
    /// The worker ran out of memory, or past its limit.
    Oom,
    /// A decrypted value lies outside the error model.
    Mismatch,
    /// Fewer rounds than asked for have ended, all well, because the sweep was interrupted.
    Partial,
    /// Not run, because the sweep was interrupted.
    Skipped,
}

impl Status {
    /// Returns whether a visit that ended so may end well under other limits, or on a machine with
    /// nothing else to do.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Failed | Self::Timeout | Self::Oom)
    }

    /// Returns the word in the status column.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Oom => "oom",
            Self::Mismatch => "mismatch",
            Self::Partial => "partial",
            Self::Skipped => "skipped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_with_what_was_seen() {
        let mut row = SplitRow::default();
        assert_eq!(row.failure_words(), None, "nothing encrypted");
        row.log2_p_fail = Some(-61.25);
        let words = |row: &SplitRow| row.failure_words().expect("encrypted");
        assert_eq!(
            words(&row),
            "failure 2^−61.2; values out of range not counted"
        );
        row.log2_p_fail_is = "computed".into();
        row.simulated_reads = Some(1 << 20);
        row.out_of_range_count = Some(0);
        row.misread_count = Some(0);
        row.log2_out_of_range_high = Some(-18.4);
        let none = "failure 2^−61.2 per inference, computed; no value out of range of 1048576, \
                    2^−18.4 at most";
        assert_eq!(words(&row), none);
        row.out_of_range_count = Some(285);
        row.misread_count = Some(4);
        let some = "; 285 values out of range, 4 misread of 1048576, 2^−18.4 at most";
        assert!(words(&row).ends_with(some), "{}", words(&row));
    }
}
