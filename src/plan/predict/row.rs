//! Predictions as rows, beside what was measured.

use serde::{Deserialize, Serialize};

use super::calibration::{Calibration, OutOfSample};
use crate::choose::scenario::Measured;
use crate::core::statistics::summarise;
use crate::record::row::SplitRow;

/// One placement: a line of `predictions.csv`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictionRow {
    pub model: String,
    pub placement: String,
    pub parameter_set: String,
    pub online_s: Option<f64>,
    pub client_compute_s: Option<f64>,
    pub encrypt_s: Option<f64>,
    pub serialise_s: Option<f64>,
    pub server_compute_s: Option<f64>,
    pub deserialise_s: Option<f64>,
    pub decrypt_s: Option<f64>,
    pub key_generation_s: Option<f64>,
    pub key_transfer_s: Option<f64>,
    pub upload_bytes: Option<u64>,
    pub download_bytes: Option<u64>,
    pub evaluation_key_bytes: Option<u64>,
    pub rounds: usize,
    pub bootstrap_count: usize,
    pub client_peak_rss_bytes: Option<u64>,
    pub server_peak_rss_bytes: Option<u64>,
    pub client_weight_share: Option<f64>,
    /// By closed forms; none where those do not tell.
    pub exposed_weight_share: Option<f64>,
    pub exposed_weight_share_least: Option<f64>,
    /// As in `splits.csv`: nothing is attacked here.
    pub exposure_is: String,
    pub calibrated: bool,
    pub measured_online_s: Option<f64>,
    /// By unit costs that the split had no part in.
    pub out_of_sample_online_s: Option<f64>,
    /// Out of sample, as the next two: of a split of the machine calibration, by a fit to the others.
    pub online_error: Option<f64>,
    pub client_memory_error: Option<f64>,
    pub server_memory_error: Option<f64>,
    pub reason: Option<String>,
}

impl PredictionRow {
    /// Returns what a scenario is computed from; `None` where nothing is predicted.
    pub fn measured(&self) -> Option<Measured> {
        Some(Measured {
            online_s: self.online_s?,
            client_compute_s: self.client_compute_s?,
            encrypt_s: self.encrypt_s?,
            decrypt_s: self.decrypt_s?,
            serialise_s: self.serialise_s?,
            deserialise_s: self.deserialise_s?,
            key_generation_s: self.key_generation_s.unwrap_or(0.0),
            key_transfer_s: self.key_transfer_s.unwrap_or(0.0),
            upload_bytes: self.upload_bytes?,
            download_bytes: self.download_bytes?,
            evaluation_key_bytes: self.evaluation_key_bytes?,
            rounds: self.rounds,
        })
    }

    /// Returns the figures that can be compared with measured ones.
    fn figures(&self) -> OutOfSample {
        let memory = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        OutOfSample {
            online_s: self.online_s,
            client_memory: memory(self.client_peak_rss_bytes),
            server_memory: memory(self.server_peak_rss_bytes),
        }
    }

    /// Sets what was measured beside what is predicted, and how far a prediction that the
    /// measurement had no part in is from it.
    pub fn compare(&mut self, calibration: &Calibration, row: Option<&SplitRow>) {
        let left_out = calibration.left_out(&self.placement);
        self.calibrated = left_out.is_some();
        let other = row.map(|row| (self.figures(), OutOfSample::measured(row)));
        let Some((predicted, measured)) = left_out.or(other) else {
            return;
        };
        let error = |of: fn(&OutOfSample) -> Option<f64>| {
            of(&predicted)
                .zip(of(&measured))
                .filter(|(_, measured)| *measured > 0.0)
                .map(|(predicted, measured)| predicted / measured - 1.0)
        };
        self.measured_online_s = measured.online_s;
        self.out_of_sample_online_s = predicted.online_s;
        self.online_error = error(|figures| figures.online_s);
        self.client_memory_error = error(|figures| figures.client_memory);
        self.server_memory_error = error(|figures| figures.server_memory);
    }
}

/// Errors without their signs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    pub median: f64,
    pub worst: f64,
    pub n: usize,
}

impl Errors {
    /// Returns those of rows; `None` without any.
    pub fn of<'a>(
        rows: impl IntoIterator<Item = &'a PredictionRow>,
        error: fn(&PredictionRow) -> Option<f64>,
    ) -> Option<Self> {
        let errors: Vec<f64> = rows.into_iter().filter_map(error).map(f64::abs).collect();
        let summary = summarise(errors.iter().copied())?;
        Some(Self {
            median: summary.median,
            worst: summary.max,
            n: errors.len(),
        })
    }
}
