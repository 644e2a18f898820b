//! A results folder: derived files, written whole or not at all.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

mod exposed;
mod failed;
mod splits;
mod table;

use exposed::{with_closed_forms, with_exposure};
use failed::with_failures;
pub use splits::read_splits;
pub use table::write_csv;

use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::core::statistics::{Interval, Summary, log_mean_of_groups, outlier_count, summarise};
use crate::core::text::check_columns;
use crate::machine::file::{self, MOST_RECORD_BYTES};
use crate::model::Model;
use crate::model::outline::LayerOutline;
use crate::record::deviations::Deviations;
use crate::record::drift::{NOISY, Pace};
use crate::record::environment::Environment;
use crate::record::exposure::closed::{Closed, client_bits_share};
use crate::record::finished::{Finished, LayerDeviations, Sample};
use crate::record::history::{Visited, by_split};
use crate::record::log::Record;
use crate::record::row::{ExposureRow, LayerRow, SampleRow, SplitRow, StageRow, Status};
use crate::record::settings::Settings;
use crate::record::visit::Visit;

pub const SAMPLES: &str = "samples.csv";
pub const SPLITS: &str = "splits.csv";
pub const LAYERS: &str = "layers.csv";
pub const EXPOSURE: &str = "exposure.csv";
pub const STAGES: &str = "stages.csv";
pub const ENVIRONMENT: &str = "environment.json";
pub const CHARTS: &str = "charts";
pub const REPORT: &str = "report.html";

/// What `environment.json` says: the settings, the network, and every environment that rows name by
/// its digest.
#[derive(Debug, Clone, Serialize)]
pub struct Description<'a> {
    pub settings: &'a Settings,
    pub layers: Vec<LayerOutline>,
    pub environments: Vec<Described<'a>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Described<'a> {
    pub digest: String,
    #[serde(flatten)]
    pub environment: &'a Environment,
}

impl<'a> Description<'a> {
    /// Describes a sweep of a model that ran in these environments.
    pub fn of(settings: &'a Settings, model: &Model, environments: Vec<&'a Environment>) -> Self {
        let described = environments.into_iter().map(|environment| Described {
            digest: environment.digest(),
            environment,
        });
        Self {
            settings,
            layers: model.outline(),
            environments: described.collect(),
        }
    }
}

/// The tables of a results folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    pub samples: Vec<SampleRow>,
    pub splits: Vec<SplitRow>,
    pub layers: Vec<LayerRow>,
    pub exposure: Vec<ExposureRow>,
    pub stages: Vec<StageRow>,
}

impl Tables {
    /// Derives the tables from a log's records; splits without a visit that ended are `skipped`.
    pub fn derive(settings: &Settings, model: &Model, records: &[Record]) -> Self {
        let mut splits = by_split(records);
        let pace = Pace::of(splits.values().flatten());
        let mut tables = Self::default();
        for placement in &settings.placements {
            let visits = splits.remove(placement).unwrap_or_default();
            let split = Split { visits, settings };
            tables.samples.extend(split.sample_rows());
            tables.splits.push(split.row(model, placement, &pace));
            tables.layers.extend(split.layer_rows(model, placement));
            tables
                .exposure
                .extend(split.exposure_rows(model, placement));
            tables.stages.extend(split.stage_rows(model));
        }
        let unvisited = Split {
            visits: Vec::new(),
            settings,
        };
        let left_out = settings.left_out.iter().map(|placement| SplitRow {
            reason: Some("left out: the budget went to splits of more promise".into()),
            ..unvisited.row(model, placement, &pace)
        });
        tables.splits.extend(left_out);
        tables
    }

    /// Writes the CSV files into a folder.
    ///
    /// # Errors
    ///
    /// [`Error::Write`]; the old file then still stands.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_csv(&folder.join(SAMPLES), &self.samples)?;
        write_csv(&folder.join(SPLITS), &self.splits)?;
        write_csv(&folder.join(LAYERS), &self.layers)?;
        write_csv(&folder.join(EXPOSURE), &self.exposure)?;
        write_csv(&folder.join(STAGES), &self.stages)
    }
}

/// The visits of a split, in the order of their rounds.
struct Split<'a> {
    visits: Vec<Visited<'a>>,
    settings: &'a Settings,
}

impl Split<'_> {
    fn samples(&self) -> impl Iterator<Item = &Sample> {
        let samples = self.visits.iter().flat_map(|visit| &visit.samples);
        samples.copied()
    }

    fn finished(&self) -> Option<&Finished> {
        self.visits
            .iter()
            .find_map(|visit| visit.end.finished.as_ref())
    }

    /// Returns the status and the reason of the first visit that did not end well.
    fn status(&self) -> (Status, Option<&String>) {
        let mut ends = self.visits.iter().map(|visit| visit.end);
        match ends.find(|end| end.status != Status::Ok) {
            Some(end) => (end.status, end.reason.as_ref()),
            None if self.visits.is_empty() => (Status::Skipped, None),
            None if self.visits.len() < self.settings.repeats => (Status::Partial, None),
            None => (Status::Ok, None),
        }
    }

    /// Returns the digests of the environments that the visits ran in, each once, joined by `+`.
    fn environment(&self) -> Option<String> {
        let mut digests: Vec<String> = Vec::new();
        for environment in self.visits.iter().filter_map(|visit| visit.environment) {
            let digest = environment.digest();
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        (!digests.is_empty()).then(|| digests.join("+"))
    }

    fn over(&self, value: impl Fn(&SampleRow) -> f64) -> Option<Summary> {
        summarise(self.samples().map(|sample| value(&sample.row)))
    }

    fn share(&self, holds: impl Fn(&SampleRow) -> bool) -> Option<f64> {
        let total = self.samples().count();
        let count = self.samples().filter(|sample| holds(&sample.row)).count();
        (total > 0).then(|| count as f64 / total as f64)
    }

    fn sample_rows(&self) -> impl Iterator<Item = SampleRow> {
        self.visits.iter().flat_map(|visit| {
            let environment = visit.environment.map(Environment::digest);
            let calibration_s = visit.end.calibration_s;
            let calibration_s = calibration_s.map(|[before, after]| (before + after) / 2.0);
            visit.samples.iter().map(move |sample| SampleRow {
                calibration_s,
                environment: environment.clone(),
                ..sample.row.clone()
            })
        })
    }

    fn stage_rows(&self, model: &Model) -> impl Iterator<Item = StageRow> {
        self.visits.iter().flat_map(move |visit| {
            let environment = visit.environment.map(Environment::digest);
            let Visit { placement, repeat } = &visit.end.visit;
            let stages = visit.end.stages.iter();
            stages.map(move |(stage, seconds)| StageRow {
                model: model.name.clone(),
                placement: placement.to_string(),
                repeat: *repeat,
                stage: stage.to_string(),
                seconds: *seconds,
                environment: environment.clone(),
            })
        })
    }

    fn row(&self, model: &Model, placement: &Placement, pace: &Pace) -> SplitRow {
        let settings = self.settings;
        let (status, reason) = self.status();
        let row = SplitRow {
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
        };
        let row = with_closed_forms(row, Closed::of(model, placement, settings.ending()));
        let Some(first_visit) = self.visits.first() else {
            return row;
        };
        let online = self.over(|row| row.online_s);
        let server = self.over(|row| row.server_compute_s);
        let median_of = |value: fn(&SampleRow) -> f64| self.over(value).map(|s| s.median);
        let rounds: Vec<Vec<f64>> = self.visits.iter().map(online_times).collect();
        let interval = online.and_then(|online| interval_around(online.median, &rounds));
        let drift = pace.drift(&self.visits);
        let first = self.samples().next().map(|sample| &sample.row);
        let finished = self.finished();
        let activation_s = finished.and_then(|finished| finished.activation_s);
        let bootstraps = finished.map(|finished| finished.bootstrap_count);
        let efficiency = match (bootstraps, activation_s, server) {
            (Some(count @ 1..), Some(seconds), Some(server)) => {
                Some(count as f64 * seconds / server.median)
            }
            _ => None,
        };
        let roles = finished.and_then(|finished| finished.roles);
        let client = roles.map(|roles| roles.client);
        let server_memory = roles.and_then(|roles| roles.server);
        let live = finished.map_or(&[][..], |finished| &finished.live_ciphertexts);
        let live = live.iter().copied();
        let deviations = finished.map_or(&[][..], |finished| &finished.deviations);
        let rates = DeviationRates::of(deviations);
        let row = with_failures(with_exposure(row, finished), finished);
        SplitRow {
            host: first_visit
                .environment
                .map(|environment| environment.host().to_string()),
            environment: self.environment(),
            parameter_set: finished.map_or_else(String::new, |f| f.parameter_set.clone()),
            predicted_one_step_rate: rates.predicted.map(|rates| rates.0),
            predicted_two_step_rate: rates.predicted.map(|rates| rates.1),
            measured_one_step_rate: rates.measured.map(|rates| rates.0),
            measured_two_step_rate: rates.measured.map(|rates| rates.1),
            audited_look_ups: rates.audited,
            online_s_median: online.map(|s| s.median),
            online_s_min: online.map(|s| s.min),
            online_s_max: online.map(|s| s.max),
            online_s_low: interval.map(|interval| interval.low),
            online_s_high: interval.map(|interval| interval.high),
            online_s_n: online.map(|s| s.n),
            online_s_outliers: outlier_count(rounds.concat()),
            calibration_drift: drift,
            noisy: drift.map(|drift| drift > NOISY),
            client_compute_s_median: median_of(|row| row.client_compute_s),
            encrypt_s_median: median_of(|row| row.encrypt_s),
            serialise_s_median: median_of(|row| row.serialise_s),
            server_compute_s_median: server.map(|s| s.median),
            server_compute_s_min: server.map(|s| s.min),
            server_compute_s_max: server.map(|s| s.max),
            deserialise_s_median: median_of(|row| row.deserialise_s),
            decrypt_s_median: median_of(|row| row.decrypt_s),
            harness_s_median: median_of(SampleRow::harness_s),
            key_generation_s: finished.and_then(|f| f.key_generation_s),
            key_transfer_s: finished.and_then(|f| f.key_transfer_s),
            upload_bytes: first.map(|row| row.upload_bytes),
            download_bytes: first.map(|row| row.download_bytes),
            evaluation_key_bytes: finished.map(|f| f.evaluation_key_bytes),
            packing_key_bytes: finished.map(|f| f.packing_key_bytes),
            rounds: finished.map(|f| f.rounds),
            bootstrap_count: bootstraps,
            start_rss_bytes: finished.and_then(|f| f.start_rss_bytes),
            peak_rss_bytes: finished.and_then(|f| f.peak_rss_bytes),
            rss_sampling_period_s: finished.and_then(|f| f.rss_sampling_period_s),
            client_start_rss_bytes: client.map(|memory| memory.start_bytes),
            client_peak_rss_bytes: client.map(|memory| memory.peak_bytes),
            client_fits_gb: client.and_then(|memory| memory.fits_gb()),
            server_start_rss_bytes: server_memory.map(|memory| memory.start_bytes),
            server_peak_rss_bytes: server_memory.map(|memory| memory.peak_bytes),
            server_fits_gb: server_memory.and_then(|memory| memory.fits_gb()),
            server_ciphertext_bytes: live.map(|(_, bytes)| bytes).max(),
            spilled_bytes: finished.map(|f| f.spill.bytes),
            spill_s: finished.map(|f| f.spill.seconds),
            mem_method: mem_method(finished).into(),
            accuracy_images: finished.map(|f| f.accuracy_images),
            simulated_accuracy: finished.and_then(|f| f.simulated_accuracy),
            noiseless_accuracy: finished.and_then(|f| f.noiseless_accuracy),
            range_overflow_count: finished.map(|f| f.range_overflow_count),
            no_label_share: finished.and_then(|f| f.no_label_share),
            encrypted_agreement: self.share(|row| row.encrypted_agreement),
            label_agreement: self.share(|row| row.label_agreement),
            security_bits: finished.and_then(|f| f.security_bits),
            activation_s,
            efficiency,
            ..row
        }
    }

    fn layer_rows(&self, model: &Model, placement: &Placement) -> Vec<LayerRow> {
        let bootstraps = self
            .settings
            .ending()
            .layer_bootstrap_counts(model, placement);
        let first = self.samples().next();
        let layers = first.map_or(&[][..], |sample| &sample.layers);
        let rows = layers.iter().filter_map(|&(index, _)| {
            let seconds = self.samples().flat_map(|sample| {
                let times = sample
                    .layers
                    .iter()
                    .filter(move |(layer, _)| *layer == index);
                times.map(|&(_, seconds)| seconds)
            });
            let summary = summarise(seconds)?;
            let layer = &model.layers[index];
            let finished = self.finished();
            let deviations = finished
                .into_iter()
                .flat_map(|finished| &finished.deviations);
            let deviations: Vec<LayerDeviations> =
                deviations.filter(|of| of.layer == index).copied().collect();
            let rates = DeviationRates::of(&deviations);
            Some(LayerRow {
                predicted_one_step_rate: rates.predicted.map(|rates| rates.0),
                predicted_two_step_rate: rates.predicted.map(|rates| rates.1),
                measured_one_step_rate: rates.measured.map(|rates| rates.0),
                measured_two_step_rate: rates.measured.map(|rates| rates.1),
                audited_look_ups: rates.audited,
                model: model.name.clone(),
                placement: placement.to_string(),
                layer_index: index,
                layer: layer.name.clone(),
                op: layer.op.into(),
                composed_layers: composed_of(finished, index, model),
                bootstrap_count: bootstraps[index],
                server_compute_s_median: summary.median,
                server_compute_s_min: summary.min,
                server_compute_s_max: summary.max,
                n: summary.n,
                live_ciphertext_bytes: live_of(finished, index),
                environment: self.environment(),
            })
        });
        rows.collect()
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
    let samples = visit.samples.iter();
    samples.map(|sample| sample.row.online_s).collect()
}

/// Returns the names of the layers that are composed into a layer, in order.
fn composed_of(finished: Option<&Finished>, layer: usize, model: &Model) -> String {
    let composed = finished.into_iter().flat_map(|finished| &finished.composed);
    let others = composed.filter(|(into, _)| *into == layer);
    let names =
        others.flat_map(|(_, others)| others.iter().map(|&other| &model.layers[other].name));
    let names: Vec<&str> = names.map(String::as_str).collect();
    names.join(" ")
}

/// Returns the live ciphertexts of a layer.
fn live_of(finished: Option<&Finished>, layer: usize) -> Option<u64> {
    let mut layers = finished?.live_ciphertexts.iter();
    layers
        .find(|(index, _)| *index == layer)
        .map(|&(_, bytes)| bytes)
}

/// Returns the word for how a split's memory was measured.
fn mem_method(finished: Option<&Finished>) -> &'static str {
    let Some(finished) = finished else { return "" };
    match (finished.roles, finished.peak_rss_bytes) {
        (Some(_), _) => "high_water_mark",
        (None, Some(_)) => "sampled",
        (None, None) => "",
    }
}

/// Shares of look-ups that deviate by at least one and at least two steps.
struct DeviationRates {
    predicted: Option<(f64, f64)>,
    measured: Option<(f64, f64)>,
    audited: Option<u64>,
}

impl DeviationRates {
    fn of(layers: &[LayerDeviations]) -> Self {
        let total = |tally: fn(&LayerDeviations) -> Deviations| {
            let tallies = layers.iter().map(tally);
            tallies.fold(Deviations::default(), Deviations::plus)
        };
        let measured = total(|layer| layer.measured);
        Self {
            predicted: total(|layer| layer.predicted).rates(),
            measured: measured.rates(),
            audited: (measured.look_ups > 0).then_some(measured.look_ups),
        }
    }
}

/// Bytes that the rows of any table may take, however small the file.
const ROWS_BYTES: usize = 1 << 26;
/// Beyond them, bytes of rows for each byte of the file; tables of sweeps take two or three.
const ROW_MULTIPLE: usize = 4;

/// Reads a CSV file of rows.
///
/// # Errors
///
/// [`Error::Invalid`] that names file and line; what [`file::read`] gives.
pub fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let refused = |reason: String| Error::invalid(path.display().to_string(), reason);
    let invalid = |error: csv::Error| refused(error.to_string());
    let bytes = file::read(path, MOST_RECORD_BYTES)?;
    check_columns(&bytes).map_err(refused)?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let header = reader.headers().map_err(invalid)?.clone();
    if !header.iter().any(|column| column == "placement") {
        let reason = "no column is called placement: this is no table of a sweep";
        return Err(refused(reason.into()));
    }
    let most_rows = (ROWS_BYTES + ROW_MULTIPLE * bytes.len()) / size_of::<T>().max(1);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = table::as_meant(record.map_err(invalid)?);
        rows.push(record.deserialize(Some(&header)).map_err(invalid)?);
        if rows.len() > most_rows {
            let reason = format!("more than {most_rows} rows that say next to nothing");
            return Err(refused(reason));
        }
    }
    Ok(rows)
}

/// Reads a table of a results folder.
///
/// # Errors
///
/// As [`read_csv`], and where there is no such table.
pub fn read_table<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>> {
    let path = folder.join(name);
    if !path.exists() {
        let reason = "there is no such table: give a folder that a sweep wrote";
        return Err(Error::invalid(path.display().to_string(), reason));
    }
    read_csv(&path)
}

/// Writes pretty JSON.
///
/// # Errors
///
/// [`Error::Write`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    match serde_json::to_vec_pretty(value) {
        Ok(mut json) => {
            json.push(b'\n');
            write_whole(path, &json)
        }
        Err(error) => Err(Error::Write {
            path: path.to_owned(),
            source: error.into(),
        }),
    }
}

/// Replaces a file in one step: a reader sees the old one or the new one.
///
/// # Errors
///
/// [`Error::Write`]; the old file then still stands.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // A bare file name has the parent "", which cannot be opened.
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let replace = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file()
                .set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path)?;
        file::sync(folder)
    };
    replace().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
