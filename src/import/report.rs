//! What an import tells: the layers, their integers, accuracies, and what everything on the server
//! would take.

use std::sync::Arc;

use super::network::Tail;
use super::quantise::all_server::{all_server, analyse_all};
use super::quantise::loss::Noise;
use super::quantise::search::Trial;
use super::{ImportRequest, Imported};
use crate::circuit::analysis::{Analysis, PlannedAction, PlannedStep, Term};
use crate::circuit::program::Program;
use crate::core::error::{Error, Result};
use crate::core::units;
use crate::model::layer::Operation;
use crate::model::{Model, NodeId};
use crate::oracle::step_noise::finder::Decision;
use crate::plan::memory_need::peak_bytes;
use crate::record::cost_model::CostModel;

/// Returns the lines of the report.
///
/// # Errors
///
/// As [`crate::circuit::analysis::analyse`].
pub fn report(imported: &Imported, request: &ImportRequest) -> Result<Vec<String>> {
    let model = &imported.model;
    let analyses = match analyse_all(model) {
        // Below it is said why.
        Err(Error::Parameters(_)) => Vec::new(),
        analyses => analyses?,
    };
    let mut lines = vec![format!(
        "{}: {} operations, {} placeable layers, {} trained numbers",
        request.onnx.display(),
        model.nodes.len(),
        model.layer_count(),
        model
            .nodes
            .iter()
            .map(|node| node.parameter_count)
            .sum::<usize>(),
    )];
    lines.extend(imported.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(tail_line(imported.network.tail));
    lines.push(String::new());
    lines.extend(layer_lines(model, &analyses));
    lines.push(String::new());
    if !imported.trials.is_empty() {
        lines.extend(trial_lines(&imported.trials));
        lines.push(String::new());
    }
    lines.push(outcome_line(imported));
    let noise = imported
        .losses
        .as_ref()
        .and_then(|losses| losses.noise.as_ref());
    lines.extend(noise.map(noise_line));
    lines.push(match &imported.compiled {
        Err(error) => format!("everything on the server  {error}"),
        Ok(programs) => estimate_line(model, programs),
    });
    let losses = imported.losses.iter();
    let warnings = losses.flat_map(|losses| &losses.warnings);
    lines.extend(warnings.map(|warning| format!("warning: {warning}")));
    lines.push(format!("folder  {}", request.out.display()));
    Ok(lines)
}

/// Returns how well the integer network does what the float network does.
fn outcome_line(imported: &Imported) -> String {
    let count = imported.model.test.len();
    let out_of_range = format!("({} values out of range)", imported.range_overflow_count);
    let accuracies = imported.model.float_accuracy.zip(imported.integer_accuracy);
    let is_served = imported.compiled.is_ok();
    match (accuracies, imported.relative_error) {
        (None, None) if !is_served => match imported.model.float_accuracy {
            Some(float) => format!(
                "accuracy over {count} test images  float {}, integers unknown",
                units::percent(float)
            ),
            None => format!("error over {count} test images  unknown"),
        },
        (Some((float, integer)), _) => {
            let rounded = imported.rounded_accuracy.map_or(String::new(), |rounded| {
                format!(" ({} on the rounded input)", units::percent(rounded))
            });
            format!(
                "accuracy over {count} test images  float {}{rounded}, integers {} {out_of_range}",
                units::percent(float),
                units::percent(integer),
            )
        }
        (None, Some(error)) => format!(
            "error over {count} test images  the integer network's outputs lie {} of their \
             deviation from the float network's {out_of_range}",
            units::percent(error)
        ),
        (None, None) => format!(
            "error over {count} test images  unknown: the float network's outputs are the same for \
             all of them {out_of_range}"
        ),
    }
}

/// Returns what noise at the default parameters leaves of the accuracy.
fn noise_line(noise: &Noise) -> String {
    let Decision { fraction, why } = &noise.step_noise;
    let why = why
        .as_ref()
        .map_or(String::new(), |why| format!(" ({why})"));
    format!(
        "over the first {} of them  integers {}, with noise {} at a step noise of {fraction}{why}; {} of \
         {} values out of range with noise, {} misread",
        noise.image_count,
        units::percent(noise.integers),
        units::percent(noise.noisy),
        noise.reads.out_of_range,
        noise.reads.count,
        noise.reads.misread,
    )
}

fn tail_line(tail: Tail) -> Option<String> {
    let name = match tail {
        Tail::None => return None,
        Tail::Softmax => "softmax",
        Tail::LogSoftmax => "log-softmax",
        Tail::ArgMax => "arg-max",
        Tail::Sigmoid => "sigmoid",
    };
    let taken = match tail {
        Tail::Sigmoid => "class 1 where the logit is positive",
        _ => "the largest logit",
    };
    Some(format!(
        "note: the {name} at the end is left to the client, which takes {taken}: the label is the same"
    ))
}

/// Returns the table of the network's operations.
fn layer_lines(model: &Model, analyses: &[Analysis]) -> Vec<String> {
    let name_width = model
        .nodes
        .iter()
        .map(|node| node.name.len())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut lines = vec![format!(
        "{:>5}  {:name_width$}  {:12}  {:>14}  {:>10}  {:>12}  {:>10}",
        "layer", "name", "operation", "output", "parameters", "integers", "bootstraps"
    )];
    for (id, node) in model.nodes_by_id() {
        let shape: Vec<String> = node.shape.iter().map(ToString::to_string).collect();
        lines.push(
            format!(
                "{:>5}  {:name_width$}  {:12}  {:>14}  {:>10}  {:>12}  {:>10}",
                model.layer_of(id) + 1,
                node.name,
                node.op,
                shape.join("x"),
                node.parameter_count,
                integers(id, model, analyses),
                node.operation.bootstrap_count(node.output_count()),
            )
            .trim_end()
            .to_owned(),
        );
    }
    lines
}

/// Returns the integers that an activation gives, or the largest weight of a linear layer.
fn integers(node: NodeId, model: &Model, analyses: &[Analysis]) -> String {
    match &model.node(node).operation {
        Operation::Activation(activation) => {
            format!("{}..={}", activation.output.low, activation.output.high)
        }
        Operation::Linear(_) => {
            let weights = term_of(node, model, analyses).and_then(largest_weight);
            let into = || composed_into(node, analyses).map(|into| &model.node(into).name);
            match (weights, into()) {
                (Some(largest), _) => format!("weights {largest}"),
                (None, Some(name)) => format!("composed into {name}"),
                (None, None) => String::new(),
            }
        }
        Operation::Add(_) | Operation::MaxPool(_) | Operation::Pinned(_) => String::new(),
    }
}

/// Returns the weights of a linear node: its own step's, or its part of a sum's.
fn term_of<'a>(node: NodeId, model: &Model, analyses: &'a [Analysis]) -> Option<&'a Term> {
    let terms = |node: NodeId| {
        let mut steps = steps(analyses).filter(move |step| step.node == node);
        steps.find_map(|step| match &step.action {
            PlannedAction::Linear(linear) => Some(&linear.terms),
            PlannedAction::LookUp(_) => None,
        })
    };
    if let Some(own) = terms(node) {
        return own.first();
    }
    let nodes = model.nodes_by_id();
    let mut sums = nodes.filter(|(_, reader)| reader.inputs.contains(&node.value()));
    let (sum, reader) = sums.next()?;
    let place = reader
        .inputs
        .iter()
        .position(|&input| input == node.value())?;
    let terms = terms(sum)?;
    let apart = matches!(reader.operation, Operation::Add(_)) && terms.len() == reader.inputs.len();
    terms.get(place).filter(|_| apart)
}

/// Returns the node whose weights a linear node is composed into.
fn composed_into(node: NodeId, analyses: &[Analysis]) -> Option<NodeId> {
    steps(analyses)
        .find(|step| step.composed.contains(&node))
        .map(|step| step.node)
}

/// Returns the steps of all segments.
fn steps(analyses: &[Analysis]) -> impl Iterator<Item = &PlannedStep> {
    analyses.iter().flat_map(|analysis| &analysis.steps)
}

fn largest_weight(term: &Term) -> Option<u64> {
    match term {
        Term::Scale(_) => None,
        Term::Matrix(map) => map
            .blocks
            .iter()
            .flat_map(|block| block.weights.iter())
            .map(|&weight| (weight as i64).unsigned_abs())
            .max(),
    }
}

/// Returns the table of what `--bits auto` tried.
fn trial_lines(trials: &[Trial]) -> impl Iterator<Item = String> {
    let header = "bits tried           accuracy  look-ups, one core".to_owned();
    let lines = trials.iter().map(|trial| {
        let cost = trial
            .look_up_core_s
            .map_or("no parameters".into(), units::seconds);
        let kept = if trial.kept { "  kept" } else { "" };
        let accuracy = units::percent(trial.accuracy);
        format!(
            "{:20} {accuracy:>8}  {cost:>13}{kept}",
            bits_text(&trial.bits)
        )
    });
    std::iter::once(header).chain(lines)
}

/// Returns bits as digits, one per activation, or the one number that all have.
fn bits_text(bits: &[(String, u32)]) -> String {
    match bits {
        [(_, first), others @ ..] if others.iter().all(|(_, bits)| bits == first) => {
            format!("all {first}")
        }
        _ => bits.iter().map(|(_, bits)| bits.to_string()).collect(),
    }
}

/// Returns what one inference would take with all layers on the server that can be.
fn estimate_line(model: &Model, programs: &[Arc<Program>]) -> String {
    let placement = all_server(model);
    let what = match programs {
        [] => return "nothing on the server  all layers are pinned to the client".into(),
        [_] if placement.pins().free_count() == model.layer_count() => {
            "everything on the server".to_owned()
        }
        _ => format!("most on the server, {placement}"),
    };
    let cores = rayon::current_num_threads() as f64;
    let cost = CostModel::default().here();
    let core_s = programs
        .iter()
        .map(|program| program.bootstrap_count() as f64 * cost.look_up_core_s(&program.parameters));
    let mut sets: Vec<String> = Vec::new();
    for program in programs {
        let set = program.parameters.to_string();
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    format!(
        "{what}  {} bootstraps with {}: about {} on {cores} cores, {}",
        model.bootstrap_count(&placement),
        sets.join(" and "),
        units::seconds(core_s.sum::<f64>() / cores),
        units::bytes(peak_bytes(programs)),
    )
}
