//! Ranges as noise widens them: the float network does not show how far step deviations carry a value,
//! so the compiled network runs over the calibration images with the noise that it will have.
//!
//! Noise needs parameters and parameters need ranges; a second round sees what the noise of the first
//! one's wider ranges does.

use std::ops::ControlFlow;

use rayon::prelude::*;

use super::all_server::{all_server, compile_all};
use super::correction::{correct, correct_labels};
use super::draft::ModelDraft;
use super::images::{Images, real_rows};
use crate::circuit::compile::Target;
use crate::circuit::program::{Action, NoiseSeed, Program};
use crate::core::error::{Error, Result};
use crate::core::linear_map::Row;
use crate::import::data::FittedSet;
use crate::model::layer::Operation;
use crate::model::{Model, NodeId};
use crate::oracle::simulation::{served, uploads_of};
use crate::oracle::step_noise::finder::Decision;
use crate::oracle::walk::walk;

/// Compilations, each with the ranges that the one before has shown.
const ROUNDS: u64 = 2;

/// Smallest and largest real value of each channel.
type Ranges = Vec<(f64, f64)>;

/// Settles what follows from the integers of activations: ranges with noise, and biases. Returns how
/// much noise that was, and what a person should know of it.
///
/// # Errors
///
/// As [`crate::circuit::analysis::analyse`].
pub fn settle(
    draft: &mut ModelDraft,
    test: &FittedSet,
    images: &Images,
) -> Result<(Decision, Option<String>)> {
    draft.clear_corrections();
    correct_if_served(draft, images)?;
    let decision = Decision::of_whole(&draft.settled(test, images)?, Target::cheapest).0;
    let note = widen(draft, images, decision.fraction)?;
    // Other ranges make other integers.
    draft.clear_corrections();
    correct_if_served(draft, images)?;
    correct_labels(&mut draft.model, images);
    Ok((decision, note))
}

/// Corrects the biases where the network can be on the server at all.
fn correct_if_served(draft: &mut ModelDraft, images: &Images) -> Result<()> {
    match correct(draft, images) {
        Err(Error::Parameters(_)) => Ok(()),
        corrected => corrected,
    }
}

/// Widens the ranges in front of look-ups, those of sums among them, and those of answers to what the
/// all-server network shows with noise; returns what a person should know of it.
///
/// # Errors
///
/// As [`crate::circuit::analysis::analyse`].
fn widen(draft: &mut ModelDraft, images: &Images, step_noise: f64) -> Result<Option<String>> {
    for round in 0..ROUNDS {
        let programs = match compile_all(&draft.model, step_noise) {
            Ok(programs) => programs,
            Err(Error::Parameters(reason)) => {
                return Ok(Some(format!(
                    "ranges are calibrated without noise, because no parameters serve everything \
                     on the server: {reason}"
                )));
            }
            Err(error) => return Err(error),
        };
        let quiet = programs.iter().map(|program| without_answer_noise(program));
        let quiet: Vec<Program> = quiet.collect();
        let mut widened = false;
        for (index, portion) in images.portions().enumerate() {
            let noise = NoiseSeed((round << 32) | index as u64);
            for (node, seen) in observe(&draft.model, &quiet, portion, noise) {
                widened |= widen_node(&mut draft.model.nodes[node.index()].operation, &seen);
            }
        }
        if !widened {
            break;
        }
    }
    Ok(None)
}

/// Returns a program whose answers are read without noise of their own, which no range is to hold: a
/// noise margin does.
fn without_answer_noise(program: &Program) -> Program {
    let mut program = program.clone();
    for download in &mut program.interface.downloads {
        download.noise_std.fill(0.0);
    }
    program
}

/// Returns what noise makes of values in front of look-ups, and of answers: by the node that gives
/// them.
fn observe(
    model: &Model,
    programs: &[Program],
    portion: &[u8],
    NoiseSeed(seed): NoiseSeed,
) -> Vec<(NodeId, Ranges)> {
    let mut seen = Vec::new();
    let input = real_rows(model, portion);
    walk(model, &all_server(model), input, &mut |segment, values| {
        let program = &programs[segment.index()];
        // Each segment draws its own noise.
        let noise = NoiseSeed(seed | (segment.index() as u64) << 48);
        let outputs = observe_segment(program, &uploads_of(program, values), noise, &mut seen);
        ControlFlow::Continue(served(program, &outputs))
    });
    seen
}

/// Adds what noise makes of a segment's values to what is `seen`, and returns its outputs.
fn observe_segment(
    program: &Program,
    uploads: &[Vec<Row<u64>>],
    noise: NoiseSeed,
    seen: &mut Vec<(NodeId, Ranges)>,
) -> Vec<Vec<Row<u64>>> {
    let uploaded = program.upload_steps.len();
    let mut fronts = program
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::LookUp(_)))
        .map(|step| program.steps[step.inputs[0] - uploaded].node);
    let run = program.observe_clear(uploads, Some(noise), &mut |look_up, rows| {
        let ranges = rows
            .par_chunks(look_up.elements_per_table)
            .zip(&look_up.tables)
            .map(|(rows, table)| range(rows, table.scale))
            .collect();
        seen.extend(fronts.next().map(|front| (front, ranges)));
    });
    let answers = program.interface.downloads.iter().zip(&run.outputs);
    seen.extend(answers.map(|(download, rows)| {
        let ranges = rows
            .iter()
            .zip(&download.scales)
            .map(|(row, &scale)| range(std::slice::from_ref(row), scale));
        (download.node, ranges.collect())
    }));
    run.outputs
}

/// Returns the smallest and largest of integers, in reals.
fn range(rows: &[Row<u64>], scale: f64) -> (f64, f64) {
    let values = rows.iter().flatten().map(|&value| value as i64);
    let ends = values.fold((i64::MAX, i64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    (ends.0 as f64 * scale, ends.1 as f64 * scale)
}

/// Widens the range of a node that has one, equally for all elements of a channel, and returns
/// whether that changed it.
fn widen_node(operation: &mut Operation, seen: &[(f64, f64)]) -> bool {
    let range = match operation {
        Operation::Linear(linear) => &mut linear.range,
        Operation::Add(add) => &mut add.range,
        Operation::Activation(_) | Operation::MaxPool(_) | Operation::Pinned(_) => return false,
    };
    let mut widened = false;
    let size = range.len() / seen.len();
    for (elements, &(low, high)) in range.chunks_mut(size).zip(seen) {
        for element in elements {
            let wider = (element.0.min(low as f32), element.1.max(high as f32));
            widened |= wider != *element;
            *element = wider;
        }
    }
    widened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_all_elements_of_a_channel() {
        let row = |values: &[i64]| -> Row<u64> { values.iter().map(|&v| v as u64).collect() };
        let rows = [row(&[-4, 2]), row(&[0, 6])];
        assert_eq!(range(&rows, 0.5), (-2.0, 3.0));
    }
}
