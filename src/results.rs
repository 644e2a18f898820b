//! A results folder: derived files, written whole or not at all.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::deviation::Deviations;
use crate::error::{Error, Result};
use crate::exposure::Totals;
use crate::exposure::queries::client_bits_share;
use crate::host::Host;
use crate::log::{Record, SplitEnd};
use crate::model::Model;
use crate::placement::Placement;
use crate::row::{ExposureRow, LayerRow, SampleRow, SplitRow, Status};
use crate::settings::Settings;
use crate::statistics::{Summary, summarise};
use crate::worker::{Finished, LayerDeviations, Sample};

pub const SAMPLES: &str = "samples.csv";
pub const SPLITS: &str = "splits.csv";
pub const LAYERS: &str = "layers.csv";
pub const EXPOSURE: &str = "exposure.csv";
pub const ENVIRONMENT: &str = "environment.json";
pub const CHARTS: &str = "charts";

/// The tables of a results folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    pub samples: Vec<SampleRow>,
    pub splits: Vec<SplitRow>,
    pub layers: Vec<LayerRow>,
    pub exposure: Vec<ExposureRow>,
}

impl Tables {
    /// Derives the tables from a log's records; splits without an end are `skipped`.
    pub fn derive(settings: &Settings, model: &Model, records: &[Record]) -> Self {
        let mut tries: HashMap<&Placement, Try> = HashMap::new();
        let mut current = None;
        let mut host = None;
        for record in records {
            match record {
                Record::Settings(_) => {}
                Record::Host(of_next) => host = Some(of_next),
                Record::Start(placement) => {
                    let run = Try {
                        host,
                        ..Try::default()
                    };
                    tries.insert(placement, run);
                    current = Some(placement);
                }
                Record::Sample(sample) => {
                    if let Some(run) = current.and_then(|placement| tries.get_mut(placement)) {
                        run.samples.push(sample);
                    }
                }
                Record::End(end) => {
                    tries.entry(&end.placement).or_default().end = Some(end);
                }
            }
        }
        let mut tables = Self::default();
        for placement in &settings.placements {
            let run = tries.remove(placement).unwrap_or_default();
            tables
                .splits
                .push(run.split_row(settings, model, placement));
            if run.end.is_some() {
                tables
                    .samples
                    .extend(run.samples.iter().map(|sample| sample.row.clone()));
                tables.layers.extend(run.layer_rows(model, placement));
                tables.exposure.extend(run.exposure_rows(model, placement));
            }
        }
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
        write_csv(&folder.join(EXPOSURE), &self.exposure)
    }
}

/// The last try of a split.
#[derive(Default)]
struct Try<'a> {
    host: Option<&'a Host>,
    samples: Vec<&'a Sample>,
    end: Option<&'a SplitEnd>,
}

impl Try<'_> {
    fn over(&self, value: impl Fn(&SampleRow) -> f64) -> Option<Summary> {
        summarise(self.samples.iter().map(|sample| value(&sample.row)))
    }

    fn share(&self, holds: impl Fn(&SampleRow) -> bool) -> Option<f64> {
        let count = self
            .samples
            .iter()
            .filter(|sample| holds(&sample.row))
            .count();
        (!self.samples.is_empty()).then(|| count as f64 / self.samples.len() as f64)
    }

    fn split_row(&self, settings: &Settings, model: &Model, placement: &Placement) -> SplitRow {
        let row = SplitRow {
            model: model.name.clone(),
            placement: placement.to_string(),
            images: settings.images,
            repeats: settings.repeats,
            download: settings.download.word().into(),
            client_weight_share: model.client_weight_share(placement),
            client_bits_share: client_bits_share(model, placement),
            protection: settings.protection.word().into(),
            ..SplitRow::default()
        };
        let Some(end) = self.end else {
            return SplitRow {
                status: Status::Skipped.word().into(),
                ..row
            };
        };
        let online = self.over(|row| row.online_s);
        let server = self.over(|row| row.server_compute_s);
        let median_of = |value: fn(&SampleRow) -> f64| self.over(value).map(|s| s.median);
        let first = self.samples.first().map(|sample| &sample.row);
        let finished = end.finished.as_ref();
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
        let row = with_exposure(row, finished);
        SplitRow {
            status: end.status.word().into(),
            host: self.host.map(Host::to_string),
            reason: end.reason.clone(),
            parameter_set: finished.map_or_else(String::new, |f| f.parameter_set.clone()),
            predicted_one_step_rate: rates.predicted.map(|rates| rates.0),
            predicted_two_step_rate: rates.predicted.map(|rates| rates.1),
            measured_one_step_rate: rates.measured.map(|rates| rates.0),
            measured_two_step_rate: rates.measured.map(|rates| rates.1),
            audited_look_ups: rates.audited,
            online_s_median: online.map(|s| s.median),
            online_s_min: online.map(|s| s.min),
            online_s_max: online.map(|s| s.max),
            online_s_n: online.map(|s| s.n),
            client_compute_s_median: median_of(|row| row.client_compute_s),
            encrypt_s_median: median_of(|row| row.encrypt_s),
            serialise_s_median: median_of(|row| row.serialise_s),
            server_compute_s_median: server.map(|s| s.median),
            server_compute_s_min: server.map(|s| s.min),
            server_compute_s_max: server.map(|s| s.max),
            deserialise_s_median: median_of(|row| row.deserialise_s),
            decrypt_s_median: median_of(|row| row.decrypt_s),
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
            mem_method: mem_method(finished).into(),
            simulated_accuracy: finished.map(|f| f.simulated_accuracy),
            noiseless_accuracy: finished.map(|f| f.noiseless_accuracy),
            range_overflow_count: finished.map(|f| f.range_overflow_count),
            encrypted_agreement: self.share(|row| row.encrypted_agreement),
            label_agreement: self.share(|row| row.label_agreement),
            log2_p_fail: finished.and_then(|f| f.log2_p_fail),
            log2_p_fail_lookup: finished.and_then(|f| f.log2_p_fail_lookup),
            meets_log2_p_fail_128: finished
                .and_then(|f| f.log2_p_fail_lookup)
                .map(|log2| log2 <= -128.0),
            security_bits: finished.and_then(|f| f.security_bits),
            activation_s,
            efficiency,
            ..row
        }
    }

    fn exposure_rows(&self, model: &Model, placement: &Placement) -> Vec<ExposureRow> {
        let finished = self.end.and_then(|end| end.finished.as_ref());
        let segments = finished.into_iter().flat_map(|finished| &finished.exposure);
        let rows = segments.enumerate().map(|(index, segment)| {
            let layers = &model.layers[segment.layers.0..segment.layers.1];
            let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
            ExposureRow {
                model: model.name.clone(),
                placement: placement.to_string(),
                segment: index,
                layers: names.join("+"),
                ..segment.row()
            }
        });
        rows.collect()
    }

    fn layer_rows(&self, model: &Model, placement: &Placement) -> Vec<LayerRow> {
        let layers = self
            .samples
            .first()
            .map_or(&[][..], |sample| &sample.layers);
        let rows = layers.iter().filter_map(|&(index, _)| {
            let seconds = self.samples.iter().flat_map(|sample| {
                let times = sample
                    .layers
                    .iter()
                    .filter(move |(layer, _)| *layer == index);
                times.map(|&(_, seconds)| seconds)
            });
            let summary = summarise(seconds)?;
            let layer = &model.layers[index];
            let finished = self.end.and_then(|end| end.finished.as_ref());
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
                bootstrap_count: model.layer_bootstrap_count(layer),
                server_compute_s_median: summary.median,
                server_compute_s_min: summary.min,
                server_compute_s_max: summary.max,
                n: summary.n,
                live_ciphertext_bytes: live_of(finished, index),
            })
        });
        rows.collect()
    }
}

/// Returns a split's row with what is known of its exposure.
fn with_exposure(row: SplitRow, finished: Option<&Finished>) -> SplitRow {
    // A log without exposure says nothing; a split without server segments has none to say.
    let Some(finished) = finished.filter(|f| f.exposure.len() == f.rounds) else {
        return row;
    };
    let totals = Totals::of(&finished.exposure, row.client_weight_share);
    let revealed = finished
        .exposure
        .iter()
        .map(|segment| segment.queries.revealed_activations);
    let mut sets: Vec<&str> = finished.parameter_set.split('+').collect();
    sets.retain(|set| !set.is_empty());
    SplitRow {
        exposed_weight_share: totals.exposed_weight_share,
        revealed_activations: Some(revealed.sum()),
        secret_keys: Some(sets.len()),
        log2_flooding_distance: totals.log2_flooding_distance,
        honest_queries: totals.honest_queries,
        malicious_queries: totals.malicious_queries,
        queries_are: match totals.queries_are_enough {
            None => String::new(),
            Some(true) => "enough".into(),
            Some(false) => "least".into(),
        },
        information_floor_queries: totals.information_floor_queries,
        chosen_input_recovered_share_1: totals.chosen[0],
        chosen_input_recovered_share_10: totals.chosen[1],
        chosen_input_recovered_share_all: totals.chosen[2],
        mask_recovered_share_1: totals.mask[0],
        mask_recovered_share_10: totals.mask[1],
        mask_recovered_share_all: totals.mask[2],
        mask_full_recovered_share_all: totals.mask_full[2],
        attack_s: totals.attack_s,
        ..row
    }
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

/// Reads a CSV file of rows.
///
/// # Errors
///
/// [`Error::Invalid`] that names file and line.
pub fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let invalid = |error: csv::Error| Error::invalid(path.display().to_string(), error.to_string());
    let mut reader = csv::Reader::from_path(path).map_err(invalid)?;
    let mut columns = reader.headers().map_err(invalid)?.iter();
    if !columns.any(|column| column == "placement") {
        let reason = "no column is called placement: this is no table of a sweep";
        return Err(Error::invalid(path.display().to_string(), reason));
    }
    reader
        .deserialize()
        .map(|row| row.map_err(invalid))
        .collect()
}

/// Writes rows below a header that is there also without rows.
fn write_csv<T: Serialize + Default>(path: &Path, rows: &[T]) -> Result<()> {
    let csv = match rows {
        [] => header_of::<T>(),
        rows => to_csv(rows),
    };
    match csv {
        Ok(bytes) => write_whole(path, &bytes),
        Err(source) => Err(Error::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

fn to_csv(rows: &[impl Serialize]) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| writer.serialize(row))?;
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// Returns the header line of a table.
fn header_of<T: Serialize + Default>() -> std::io::Result<Vec<u8>> {
    let mut csv = to_csv(&[T::default()])?;
    let end = csv.iter().position(|&byte| byte == b'\n');
    csv.truncate(end.map_or(0, |end| end + 1));
    Ok(csv)
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
    let folder = path.parent().unwrap_or(Path::new("."));
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
        fs::File::open(folder)?.sync_all()
    };
    replace().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
