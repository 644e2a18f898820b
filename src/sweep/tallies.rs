//! What programs, and the steps that they took, come to: layer by layer, and in all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::circuit::program::Program;
use crate::model::{Model, NodeId};
use crate::oracle::accuracy::Accuracy;
use crate::party::server::StepTime;
use crate::record::deviations::Deviations;
use crate::record::finished::LayerDeviations;
use crate::record::learnt::Learnt;

/// Returns the step deviations of each activation layer on the server, in order.
pub fn layer_deviations(
    model: &Model,
    accuracy: &Accuracy,
    learnt: &Learnt,
) -> Vec<LayerDeviations> {
    let mut deviations: BTreeMap<usize, LayerDeviations> = BTreeMap::new();
    let mut of_layer = |node: NodeId, predicted: Deviations, measured: Deviations| {
        let layer = model.layer_of(node);
        let tally = deviations.entry(layer).or_insert(LayerDeviations {
            layer,
            ..LayerDeviations::default()
        });
        tally.predicted = tally.predicted.plus(predicted);
        tally.measured = tally.measured.plus(measured);
    };
    for &(node, predicted) in &accuracy.deviations {
        of_layer(node, predicted, Deviations::default());
    }
    for audit in learnt.audits.iter().flat_map(|of| &of.look_ups) {
        of_layer(audit.node, Deviations::default(), audit.measured);
    }
    deviations.into_values().collect()
}

/// Returns how many look-ups programs have.
pub fn bootstrap_count(programs: &[Arc<Program>]) -> usize {
    programs
        .iter()
        .map(|program| program.bootstrap_count())
        .sum()
}

/// Returns the seconds of each layer, in order.
pub fn layer_times(model: &Model, steps: &[StepTime]) -> Vec<(usize, f64)> {
    let mut layers: BTreeMap<usize, f64> = BTreeMap::new();
    for time in steps {
        *layers.entry(model.layer_of(time.node)).or_default() += time.seconds;
    }
    layers.into_iter().collect()
}

/// Returns the layers whose steps hold the weights of other layers too, and which those are.
pub fn composed_layers(model: &Model, programs: &[Arc<Program>]) -> Vec<(usize, Vec<usize>)> {
    let mut layers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for step in programs.iter().flat_map(|program| &program.steps) {
        let own = model.layer_of(step.node);
        let others: BTreeSet<usize> = step
            .composed
            .iter()
            .map(|&node| model.layer_of(node))
            .filter(|&layer| layer != own)
            .collect();
        if !others.is_empty() {
            layers.entry(own).or_default().extend(others);
        }
    }
    layers
        .into_iter()
        .map(|(own, others)| (own, others.into_iter().collect()))
        .collect()
}

/// Returns the most bytes of live ciphertexts in each layer, in order.
pub fn live_ciphertexts(model: &Model, steps: &[StepTime]) -> Vec<(usize, u64)> {
    let mut layers: BTreeMap<usize, u64> = BTreeMap::new();
    for step in steps {
        let most = layers.entry(model.layer_of(step.node)).or_default();
        *most = (*most).max(step.live_bytes);
    }
    layers.into_iter().collect()
}

/// Returns the distinct parameter sets of programs, joined by `+`.
pub fn parameter_sets(programs: &[Arc<Program>]) -> String {
    let mut names: Vec<String> = Vec::new();
    for program in programs {
        let name = program.parameters.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join("+")
}
