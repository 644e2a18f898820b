//! The rows of a split's layers on the server.

use super::deviation_rates::DeviationRates;
use super::split::Split;
use crate::core::placement::Placement;
use crate::core::statistics::summarise;
use crate::model::Model;
use crate::record::finished::{Finished, LayerDeviations};
use crate::record::row::LayerRow;

impl Split<'_> {
    /// Returns the rows of the layers that the server ran.
    pub fn layer_rows(&self, model: &Model, placement: &Placement) -> Vec<LayerRow> {
        let bootstraps = self
            .settings
            .output_mode()
            .layer_bootstrap_counts(model, placement);
        let first = self.samples().next();
        let layers = first.map_or(&[][..], |sample| &sample.layers);
        let rows = layers.iter().filter_map(|&(index, _)| {
            let seconds = self.samples().flat_map(|sample| {
                sample
                    .layers
                    .iter()
                    .filter(move |(layer, _)| *layer == index)
                    .map(|&(_, seconds)| seconds)
            });
            let summary = summarise(seconds)?;
            let layer = &model.layers[index];
            let finished = self.finished();
            let deviations: Vec<LayerDeviations> = finished
                .into_iter()
                .flat_map(|finished| &finished.deviations)
                .filter(|of| of.layer == index)
                .copied()
                .collect();
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

/// Returns the names of the layers that are composed into a layer, in order.
fn composed_of(finished: Option<&Finished>, layer: usize, model: &Model) -> String {
    let names: Vec<&str> = finished
        .into_iter()
        .flat_map(|finished| &finished.composed)
        .filter(|(into, _)| *into == layer)
        .flat_map(|(_, others)| others)
        .map(|&other| model.layers[other].name.as_str())
        .collect();
    names.join(" ")
}

/// Returns the live ciphertexts of a layer.
fn live_of(finished: Option<&Finished>, layer: usize) -> Option<u64> {
    finished?
        .live_ciphertexts
        .iter()
        .find(|(index, _)| *index == layer)
        .map(|&(_, bytes)| bytes)
}
