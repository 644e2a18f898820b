//! Predictions of what splits take, from the measured rows of a few of them.
//!
//! What a placement does is counted from its compiled programs (`work`), unit costs are fitted to
//! the phases and layers of the measured rows (`fit`), and both together predict every other
//! placement, bytes exactly. Look-ups of sets that differ only in n share a unit cost, in proportion
//! to the cost model.

pub mod calibration;
pub mod fit;
pub mod oracle;
pub mod work;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::choose::scenario::Measured;
use crate::circuit::compile::{Target, compile_placement};
use crate::core::error::{Error, Result};
use crate::core::placement::{Party, Placement};
use crate::model::Model;
use crate::record::cost_model::CostModel;
use crate::record::exposure::Knowledge;
use crate::record::exposure::closed::Closed;
use crate::record::row::SplitRow;
use calibration::{Calibration, OutOfSample};
use fit::{Fit, Work};
use work::{Done, Figure, count};

/// The file of predictions in a folder.
pub const PREDICTIONS: &str = "predictions.csv";
/// The file of fitted unit costs in a folder.
pub const UNITS: &str = "prediction-units.json";

/// Placements that each kind of work is measured in.
const TIMES_MEASURED: usize = 2;
/// The most placements that are measured for calibration.
const MOST_CALIBRATED: usize = 24;

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
    /// Out of sample, as the next two: of a calibration split, by a fit to the others.
    pub online_error: Option<f64>,
    pub client_memory_error: Option<f64>,
    pub server_memory_error: Option<f64>,
    pub reason: Option<String>,
}

/// Counts the work of a model's placements.
pub struct Counter<'a> {
    pub model: &'a Model,
    pub target: Target,
    pub cost: CostModel,
    pub threads: usize,
}

impl Counter<'_> {
    /// Returns what a placement does; the error's words where no parameter set carries it.
    ///
    /// # Errors
    ///
    /// All others of compiling it.
    pub fn count(&self, placement: &Placement) -> Result<std::result::Result<Done, String>> {
        match compile_placement(self.model, placement, &self.target) {
            Ok(programs) => Ok(Ok(count(
                self.model,
                placement,
                &programs,
                &self.cost,
                self.threads,
            ))),
            Err(Error::Parameters(reason)) => Ok(Err(reason)),
            Err(error) => Err(error),
        }
    }
}

/// Returns the placements to measure so that every kind of work among the candidates is measured
/// twice where half of them are enough for that: greedily what adds the most for its time, after
/// everything at the client and everything at the server.
///
/// # Errors
///
/// What compiling gives, but for placements that no parameter set carries.
pub fn calibration_placements(
    counter: &Counter<'_>,
    candidates: &[Placement],
) -> Result<Vec<Placement>> {
    let mut open: Vec<Candidate> = Vec::new();
    for placement in candidates {
        if let Ok(done) = counter.count(placement)? {
            let names = done.work.values().flat_map(|work| work.0.keys().cloned());
            open.push(Candidate {
                seconds: online(&Fit::default(), &done),
                placement: placement.clone(),
                names: names.collect(),
            });
        }
    }
    let names = open.iter().flat_map(|candidate| &candidate.names);
    let mut wanted: BTreeMap<String, usize> =
        names.map(|name| (name.clone(), TIMES_MEASURED)).collect();
    let layers = counter.model.layer_count();
    let ends = [Party::Client, Party::Server].map(|party| Placement::uniform(party, layers));
    let mut chosen: Vec<Placement> = Vec::new();
    // Measuring nearly all would predict nothing.
    let most = MOST_CALIBRATED.min(open.len().div_ceil(2));
    while chosen.len() < most {
        let gain = |candidate: &Candidate| {
            // What was never measured counts most.
            let wanted = candidate.names.iter().map(|name| wanted[name].pow(2));
            // Start and keys take about a second whatever the placement.
            wanted.sum::<usize>() as f64 / (1.0 + candidate.seconds)
        };
        let end = open.iter().position(|c| ends.contains(&c.placement));
        let best = end.or_else(|| {
            let gains = open.iter().map(gain).enumerate();
            let best = gains.max_by(|(_, a), (_, b)| a.total_cmp(b));
            best.filter(|(_, gain)| *gain > 0.0).map(|(index, _)| index)
        });
        let Some(best) = best else { break };
        let candidate = open.swap_remove(best);
        for name in candidate.names {
            wanted
                .entry(name)
                .and_modify(|times| *times = times.saturating_sub(1));
        }
        chosen.push(candidate.placement);
    }
    chosen.sort_by_key(Placement::to_string);
    Ok(chosen)
}

/// A placement that may be measured for calibration.
struct Candidate {
    /// Of an inference, by prior unit costs.
    seconds: f64,
    placement: Placement,
    /// The kinds of its work.
    names: BTreeSet<String>,
}

/// Returns the predicted row of a placement.
///
/// # Errors
///
/// What compiling it gives; where no parameter set carries it, the row says so.
pub fn predict(counter: &Counter<'_>, fit: &Fit, placement: &Placement) -> Result<PredictionRow> {
    let model = counter.model;
    let closed = Closed::of(model, placement, counter.target.ending);
    let row = PredictionRow {
        model: model.name.clone(),
        placement: placement.to_string(),
        rounds: placement.server_segments().len(),
        bootstrap_count: counter.target.ending.bootstrap_count(model, placement),
        client_weight_share: model.client_weight_share(placement),
        exposed_weight_share: closed
            .filter(|closed| closed.is_all)
            .map(|closed| closed.least),
        exposed_weight_share_least: closed.map(|closed| closed.least),
        exposure_is: match closed {
            Some(closed) if closed.is_all => Knowledge::ClosedForm.word().into(),
            Some(_) => Knowledge::NotMounted.word().into(),
            None => String::new(),
        },
        ..PredictionRow::default()
    };
    let done = match counter.count(placement)? {
        Ok(done) => done,
        Err(reason) => {
            return Ok(PredictionRow {
                reason: Some(reason),
                ..row
            });
        }
    };
    let of = |figure: Figure| done.work.get(&figure).map(|work| fit.predict(work));
    let phase = |figure: Figure| Some(of(figure).unwrap_or(0.0));
    let bytes = |figure: Figure| of(figure).map(|bytes| bytes.round() as u64);
    let sets: Vec<String> = done
        .parameter_sets
        .iter()
        .map(ToString::to_string)
        .collect();
    Ok(PredictionRow {
        parameter_set: sets.join("+"),
        online_s: Some(online(fit, &done)),
        client_compute_s: phase(Figure::ClientCompute),
        encrypt_s: phase(Figure::Encrypt),
        serialise_s: phase(Figure::Serialise),
        server_compute_s: Some(server(fit, &done)),
        deserialise_s: phase(Figure::Deserialise),
        decrypt_s: phase(Figure::Decrypt),
        key_generation_s: of(Figure::KeyGeneration),
        key_transfer_s: of(Figure::KeyTransfer),
        upload_bytes: Some(done.upload_bytes),
        download_bytes: Some(done.download_bytes),
        evaluation_key_bytes: Some(done.evaluation_key_bytes),
        client_peak_rss_bytes: bytes(Figure::ClientMemory),
        server_peak_rss_bytes: bytes(Figure::ServerMemory),
        ..row
    })
}

/// Returns the seconds of an inference.
fn online(fit: &Fit, done: &Done) -> f64 {
    let is_online = |figure: &Figure| {
        !matches!(
            figure,
            Figure::KeyGeneration
                | Figure::KeyTransfer
                | Figure::ClientMemory
                | Figure::ServerMemory
        )
    };
    let work = done.work.iter().filter(|(figure, _)| is_online(figure));
    work.map(|(_, work): (_, &Work)| fit.predict(work)).sum()
}

/// Returns the server's seconds of an inference.
fn server(fit: &Fit, done: &Done) -> f64 {
    let is_server = |figure: &Figure| matches!(figure, Figure::Layer(_) | Figure::Messages);
    let work = done.work.iter().filter(|(figure, _)| is_server(figure));
    work.map(|(_, work): (_, &Work)| fit.predict(work)).sum()
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
            let pair = of(&predicted).zip(of(&measured));
            let pair = pair.filter(|(_, measured)| *measured > 0.0);
            pair.map(|(predicted, measured)| predicted / measured - 1.0)
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
        let summary = crate::core::statistics::summarise(errors.iter().copied())?;
        Some(Self {
            median: summary.median,
            worst: summary.max,
            n: errors.len(),
        })
    }
}
