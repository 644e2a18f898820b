//! The row of a split: what was asked of it, then, part by part, what its visits say.

use super::deviation_rates::DeviationRates;
use super::exposed::{with_closed_forms, with_exposure};
use super::failed::with_failures;
use super::split::Split;
use crate::core::placement::Placement;
use crate::core::statistics::{Interval, log_mean_of_groups, outlier_count};
use crate::model::Model;
use crate::record::drift::{NOISY, Pace};
use crate::record::exposure::closed::{Closed, client_bits_share};
use crate::record::finished::Finished;
use crate::record::history::Visited;
use crate::record::row::{SampleRow, SplitRow};

impl Split<'_> {
    /// Returns the split's row; of one without a visit, what was asked and what its layers alone say.
    pub fn row(&self, model: &Model, placement: &Placement, pace: &Pace) -> SplitRow {
        let row = self.asked(model, placement);
        let row = with_closed_forms(
            row,
            Closed::of(model, placement, self.settings.output_mode()),
        );
        if self.visits.is_empty() {
            return row;
        }
        let finished = self.finished();
        let row = with_failures(with_exposure(row, finished), finished);
        let row = self.with_online_time(row, pace);
        let row = self.with_phases(row);
        let row = self.with_exchanges(row);
        let row = self.with_agreement(row);
        let row = self.with_look_ups(row);
        match finished {
            Some(finished) => with_simulation(with_memory(row, finished), finished),
            None => row,
        }
    }

    fn asked(&self, model: &Model, placement: &Placement) -> SplitRow {
        let settings = self.settings;
        let (status, reason) = self.status();
        SplitRow {
            status: status.word().into(),
            reason: reason.cloned(),
            model: model.name.clone(),
            placement: placement.to_string(),
            images: settings.images,
            repeats: settings.repeats,
            download: settings.download.word().into(),
            answer: settings.answer.word().into(),
            protect: settings.protect.word().into(),
            client_weight_share: model.client_weight_share(placement),
            client_bits_share: client_bits_share(model, placement),
            ..SplitRow::default()
        }
    }

    /// Returns the row with the online time, and where and how steadily it was measured.
    fn with_online_time(&self, row: SplitRow, pace: &Pace) -> SplitRow {
        let online = self.over(|row| row.online_s);
        let rounds: Vec<Vec<f64>> = self.visits.iter().map(online_times).collect();
        let interval = online.and_then(|online| interval_around(online.median, &rounds));
        let drift = pace.drift(&self.visits);
        let environment = self.visits.first().and_then(|visit| visit.environment);
        SplitRow {
            host: environment.map(|environment| environment.host().to_string()),
            environment: self.environment(),
            online_s_median: online.map(|s| s.median),
            online_s_min: online.map(|s| s.min),
            online_s_max: online.map(|s| s.max),
            online_s_low: interval.map(|interval| interval.low),
            online_s_high: interval.map(|interval| interval.high),
            online_s_n: online.map(|s| s.n),
            online_s_outliers: outlier_count(rounds.concat()),
            calibration_drift: drift,
            noisy: drift.map(|drift| drift > NOISY),
            ..row
        }
    }

    /// Returns the row with the phases of the online time.
    fn with_phases(&self, row: SplitRow) -> SplitRow {
        let median_of = |value: fn(&SampleRow) -> f64| self.over(value).map(|s| s.median);
        let server = self.over(|row| row.server_compute_s);
        SplitRow {
            client_compute_s_median: median_of(|row| row.client_compute_s),
            encrypt_s_median: median_of(|row| row.encrypt_s),
            serialise_s_median: median_of(|row| row.serialise_s),
            server_compute_s_median: server.map(|s| s.median),
            server_compute_s_min: server.map(|s| s.min),
            server_compute_s_max: server.map(|s| s.max),
            deserialise_s_median: median_of(|row| row.deserialise_s),
            decrypt_s_median: median_of(|row| row.decrypt_s),
            harness_s_median: median_of(SampleRow::harness_s),
            ..row
        }
    }

    /// Returns the row with what the parties exchange: keys, uploads, downloads.
    fn with_exchanges(&self, row: SplitRow) -> SplitRow {
        let first = self.samples().next().map(|sample| &sample.row);
        let finished = self.finished();
        SplitRow {
            key_generation_s: finished.and_then(|f| f.key_generation_s),
            key_transfer_s: finished.and_then(|f| f.key_transfer_s),
            evaluation_key_bytes: finished.map(|f| f.evaluation_key_bytes),
            packing_key_bytes: finished.map(|f| f.packing_key_bytes),
            upload_bytes: first.map(|row| row.upload_bytes),
            download_bytes: first.map(|row| row.download_bytes),
            rounds: finished.map(|f| f.rounds),
            ..row
        }
    }

    /// Returns the row with how far encrypted answers agree with clear ones.
    fn with_agreement(&self, row: SplitRow) -> SplitRow {
        SplitRow {
            encrypted_agreement: self.fraction(|row| row.encrypted_agreement),
            label_agreement: self.fraction(|row| row.label_agreement),
            ..row
        }
    }

    /// Returns the row, whose phases are known, with its look-ups: how many, by which parameters, how
    /// fast, and how far off.
    fn with_look_ups(&self, row: SplitRow) -> SplitRow {
        let finished = self.finished();
        let activation_s = finished.and_then(|finished| finished.activation_s);
        let bootstraps = finished.map(|finished| finished.bootstrap_count);
        let efficiency = match (bootstraps, activation_s, row.server_compute_s_median) {
            (Some(count @ 1..), Some(seconds), Some(server_s)) => {
                Some(count as f64 * seconds / server_s)
            }
            _ => None,
        };
        let deviations = finished.map_or(&[][..], |finished| &finished.deviations);
        let rates = DeviationRates::of(deviations);
        SplitRow {
            parameter_set: finished.map_or_else(String::new, |f| f.parameter_set.clone()),
            security_bits: finished.and_then(|f| f.security_bits),
            bootstrap_count: bootstraps,
            activation_s,
            efficiency,
            predicted_one_step_rate: rates.predicted.map(|rates| rates.0),
            predicted_two_step_rate: rates.predicted.map(|rates| rates.1),
            measured_one_step_rate: rates.measured.map(|rates| rates.0),
            measured_two_step_rate: rates.measured.map(|rates| rates.1),
            audited_look_ups: rates.audited,
            ..row
        }
    }
}

/// Returns a split's row with the memory that it took: of both parties, of each, of ciphertexts.
fn with_memory(row: SplitRow, finished: &Finished) -> SplitRow {
    let client = finished.roles.map(|roles| roles.client);
    let server = finished.roles.and_then(|roles| roles.server);
    let live = finished.live_ciphertexts.iter();
    SplitRow {
        start_rss_bytes: finished.start_rss_bytes,
        peak_rss_bytes: finished.peak_rss_bytes,
        rss_sampling_period_s: finished.rss_sampling_period_s,
        client_start_rss_bytes: client.map(|memory| memory.start_bytes),
        client_peak_rss_bytes: client.map(|memory| memory.peak_bytes),
        client_fits_gb: client.and_then(|memory| memory.fits_gb()),
        server_start_rss_bytes: server.map(|memory| memory.start_bytes),
        server_peak_rss_bytes: server.map(|memory| memory.peak_bytes),
        server_fits_gb: server.and_then(|memory| memory.fits_gb()),
        server_ciphertext_bytes: live.map(|&(_, bytes)| bytes).max(),
        spilled_bytes: Some(finished.spill.bytes),
        spill_s: Some(finished.spill.seconds),
        mem_method: mem_method(finished).into(),
        ..row
    }
}

/// Returns a split's row with what was simulated over the test images.
fn with_simulation(row: SplitRow, finished: &Finished) -> SplitRow {
    SplitRow {
        accuracy_images: Some(finished.accuracy_images),
        simulated_accuracy: finished.simulated_accuracy,
        noiseless_accuracy: finished.noiseless_accuracy,
        range_overflow_count: Some(finished.range_overflow_count),
        no_label_share: finished.no_label_share,
        ..row
    }
}

/// Returns the 95 % interval of a split's online time, over visits with keys of their own; none where
/// those are fewer than three. It is that of the geometric mean, widened where the median lies outside.
fn interval_around(median: f64, visits: &[Vec<f64>]) -> Option<Interval> {
    let interval = log_mean_of_groups(visits.iter().cloned())?.interval(0.95)?;
    Some(Interval {
        low: interval.low.min(median),
        high: interval.high.max(median),
    })
}

fn online_times(visit: &Visited<'_>) -> Vec<f64> {
    visit
        .samples
        .iter()
        .map(|sample| sample.row.online_s)
        .collect()
}

/// Returns the word for how a split's memory was measured.
fn mem_method(finished: &Finished) -> &'static str {
    match (finished.roles, finished.peak_rss_bytes) {
        (Some(_), _) => "high_water_mark",
        (None, Some(_)) => "sampled",
        (None, None) => "",
    }
}
