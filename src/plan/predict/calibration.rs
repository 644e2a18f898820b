//! Machine calibration by splits: measured ones that unit costs are fitted to, all of them or all but
//! one.

use std::collections::BTreeMap;

use super::counter::Counter;
use super::fit::{Fit, Observation};
use super::seconds::online;
use super::work::{Done, Figure};
use crate::core::error::Result;
use crate::record::row::{LayerRow, SplitRow, Status};

/// A figure that is a smaller fraction of the online time than this is fitted as if it were so large:
/// microseconds need not be right to a percent beside seconds.
const SMALLEST_FRACTION: f64 = 0.02;

/// Measured splits, by placement.
#[derive(Debug, Default)]
pub struct Calibration {
    splits: BTreeMap<String, Observed>,
}

/// A measured split: what it does, and what that took.
#[derive(Debug)]
struct Observed {
    done: Done,
    observations: Vec<Observation>,
    measured: OutOfSample,
}

/// Figures of a split by unit costs that it had no part in, or as measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OutOfSample {
    pub online_s: Option<f64>,
    /// Bytes.
    pub client_memory: Option<f64>,
    /// Bytes.
    pub server_memory: Option<f64>,
}

impl Calibration {
    /// Takes measured rows with status `ok`; others are passed over.
    ///
    /// # Errors
    ///
    /// What compiling their placements gives.
    pub fn of(counter: &Counter<'_>, rows: &[SplitRow], layers: &[LayerRow]) -> Result<Self> {
        let mut splits = BTreeMap::new();
        for row in rows.iter().filter(|row| row.status == Status::Ok.word()) {
            let placement = counter.model().place(row.placement.parse()?)?;
            let Ok(done) = counter.count(&placement)? else {
                continue;
            };
            let observed = Observed {
                observations: observations(row, layers, &done),
                measured: OutOfSample::measured(row),
                done,
            };
            splits.insert(row.placement.clone(), observed);
        }
        Ok(Self { splits })
    }

    /// Returns the number of splits.
    pub fn len(&self) -> usize {
        self.splits.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.splits.is_empty()
    }

    /// Returns the unit costs of all of them.
    pub fn fit(&self) -> Fit {
        self.fit_without("")
    }

    /// Returns how a split was measured, and what the unit costs of all the others say of it; `None`
    /// where it is not among them.
    pub fn left_out(&self, placement: &str) -> Option<(OutOfSample, OutOfSample)> {
        let observed = self.splits.get(placement)?;
        let fit = self.fit_without(placement);
        let memory = |figure| {
            let work = observed.done.work.get(&figure);
            work.map(|work| fit.predict(work))
        };
        let predicted = OutOfSample {
            online_s: Some(online(&fit, &observed.done)),
            client_memory: memory(Figure::ClientMemory),
            server_memory: memory(Figure::ServerMemory),
        };
        Some((predicted, observed.measured))
    }

    fn fit_without(&self, placement: &str) -> Fit {
        let others = self.splits.iter().filter(|(name, _)| *name != placement);
        let observations = others.flat_map(|(_, observed)| observed.observations.iter().cloned());
        Fit::of(&observations.collect::<Vec<_>>())
    }
}

impl OutOfSample {
    /// Returns what a row measured; nothing where its status is not `ok`.
    pub fn measured(row: &SplitRow) -> Self {
        if row.status != Status::Ok.word() {
            return Self::default();
        }
        let memory = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        Self {
            online_s: row.online_s_median,
            client_memory: memory(row.client_peak_rss_bytes),
            server_memory: memory(row.server_peak_rss_bytes),
        }
    }
}

/// Returns what unit costs are fitted to of a row.
fn observations(row: &SplitRow, layers: &[LayerRow], done: &Done) -> Vec<Observation> {
    let figures = measured_figures(row, layers);
    let online_s = row.online_s_median.unwrap_or(0.0);
    let mut observations = Vec::new();
    for (figure, work) in &done.work {
        let Some(&measured) = figures.get(figure) else {
            continue;
        };
        let least = match figure {
            Figure::KeyGeneration
            | Figure::KeyTransfer
            | Figure::ClientMemory
            | Figure::ServerMemory => measured,
            _ => SMALLEST_FRACTION * online_s,
        };
        let scale = measured.max(least);
        if scale > 0.0 {
            observations.push(Observation {
                work: work.clone(),
                measured,
                scale,
            });
        }
    }
    observations
}

/// Returns what a row and its layers measured, by figure.
fn measured_figures(row: &SplitRow, layers: &[LayerRow]) -> BTreeMap<Figure, f64> {
    let layers: Vec<&LayerRow> = layers
        .iter()
        .filter(|layer| layer.placement == row.placement)
        .collect();
    let in_layers: f64 = layers
        .iter()
        .map(|layer| layer.server_compute_s_median)
        .sum();
    let server = row.server_compute_s_median;
    let phases = [
        (Figure::ClientCompute, row.client_compute_s_median),
        (Figure::Encrypt, row.encrypt_s_median),
        (Figure::Serialise, row.serialise_s_median),
        (Figure::Messages, server.map(|s| (s - in_layers).max(0.0))),
        (Figure::Deserialise, row.deserialise_s_median),
        (Figure::Decrypt, row.decrypt_s_median),
    ];
    let sum = |phases: &[(Figure, Option<f64>)]| -> Option<f64> {
        phases.iter().map(|(_, seconds)| *seconds).sum()
    };
    let between = row
        .online_s_median
        .zip(sum(&phases))
        .map(|(online, sum)| (online - in_layers - sum).max(0.0));
    let memory = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let others = [
        (Figure::Between, between),
        (Figure::KeyGeneration, row.key_generation_s),
        (Figure::KeyTransfer, row.key_transfer_s),
        (Figure::ClientMemory, memory(row.client_peak_rss_bytes)),
        (Figure::ServerMemory, memory(row.server_peak_rss_bytes)),
    ];
    let known = phases
        .into_iter()
        .chain(others)
        .filter_map(|(figure, value)| Some((figure, value?)));
    let layers = layers.iter().map(|layer| {
        (
            Figure::Layer(layer.layer_index),
            layer.server_compute_s_median,
        )
    });
    known.chain(layers).collect()
}
