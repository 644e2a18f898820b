//! A network with all layers on the server that have an encrypted form: what it compiles to, and its
//! integers over images in the clear. Layers that are pinned to the client run in floats in between.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::images::{Images, Outputs, by_image, labels_of, real_rows};
use crate::circuit::analysis::{
    Analysis, MOST_IDENTITY_BITS, NoiseBound, PlannedLookUp, analyse, analyse_to_end,
};
use crate::circuit::compile::{Target, compile_placement};
use crate::circuit::program::Program;
use crate::core::error::Result;
use crate::core::linear_map::Row;
use crate::core::placement::{Party, Placement};
use crate::model::answer::Answer;
use crate::model::output_mode::OutputMode;
use crate::model::{Model, NodeId};
use crate::oracle::simulation::simulate_on;
use crate::oracle::walk::{quantised, real, walk};

/// Returns the placement.
pub fn all_server(model: &Model) -> Placement {
    Placement::uniform(Party::Server, &model.pins())
}

/// Returns the analyses of the server's segments, in order.
///
/// # Errors
///
/// As [`analyse`].
pub fn analyse_all(model: &Model) -> Result<Vec<Analysis>> {
    let segments = all_server(model).server_segments();
    let analyses = segments.iter().map(|segment| analyse(model, segment));
    analyses.collect()
}

/// As [`analyse_all`], where the last segment answers with the label; none where the client runs the last
/// layer.
///
/// # Errors
///
/// As [`analyse`].
pub fn analyse_all_to_labels(model: &Model) -> Result<Option<Vec<Analysis>>> {
    let segments = all_server(model).server_segments();
    let end = model.layer_count();
    let Some(last) = segments.last().filter(|last| last.layers.end == end) else {
        return Ok(None);
    };
    let mut analyses: Vec<Analysis> = segments[..segments.len() - 1]
        .iter()
        .map(|segment| analyse(model, segment))
        .collect::<Result<_>>()?;
    let output_mode = OutputMode {
        answer: Answer::Label,
        ..OutputMode::default()
    };
    let noise = NoiseBound::default();
    analyses.push(analyse_to_end(
        model,
        last,
        output_mode,
        MOST_IDENTITY_BITS,
        noise,
    )?);
    Ok(Some(analyses))
}

/// Returns the programs of the server's segments, in order, under the sets that a step noise asks for.
///
/// # Errors
///
/// As [`compile_placement`].
pub fn compile_all(model: &Model, step_noise: f64) -> Result<Vec<Arc<Program>>> {
    compile_placement(model, &all_server(model), &Target::cheapest(step_noise))
}

/// Sees the integers of a server while they run, and may change them.
pub trait Watcher {
    /// Sees a node's output in front of a look-up, on the grid: `[elements, images]`.
    fn before_look_up(&mut self, _: NodeId, _: &PlannedLookUp, _: &mut [Row<u64>]) {}

    /// Sees what the client makes of a node's output, in reals: `[elements, images]`.
    fn downloaded(&mut self, _: NodeId, _: &mut [Row<f32>]) {}
}

/// Runs images on integers, look-ups having unlimited resolution, and returns the outputs,
/// `[outputs, images]`.
pub fn run_integers(
    model: &Model,
    analyses: &[Analysis],
    portion: &[u8],
    watcher: &mut dyn Watcher,
) -> Vec<Row<f32>> {
    let input = real_rows(model, portion);
    let outputs = walk(model, &all_server(model), input, &mut |segment, values| {
        let analysis = &analyses[segment.index()];
        let uploads = analysis.uploads.iter();
        let uploads: Vec<Vec<Row<u64>>> = uploads
            .map(|upload| quantised(&upload.quantisation, values.get(upload.value)))
            .collect();
        let outputs = analysis.run(&uploads, &mut |node, look_up, rows| {
            watcher.before_look_up(node, look_up, rows);
        });
        let downloads = analysis.downloads.iter().zip(&outputs);
        let served = downloads.map(|(download, rows)| {
            let mut reals = real(rows, &download.scales);
            watcher.downloaded(download.node, &mut reals);
            (download.node.value(), reals)
        });
        ControlFlow::Continue(served.collect())
    });
    outputs.unwrap_or_default()
}

/// Returns what the network gives without noise, and how many values left the range of a look-up; where
/// [`compile_all`] found no parameters, what the integers give with such values clipped.
///
/// # Errors
///
/// As [`analyse`].
pub fn integer_outputs(
    model: &Model,
    compiled: &Result<Vec<Arc<Program>>>,
    images: &Images,
) -> Result<(Outputs, u64)> {
    let Ok(programs) = compiled else {
        return analysed_outputs(model, images);
    };
    let placement = all_server(model);
    let mut all = Vec::with_capacity(images.count());
    let mut overflows = 0;
    for portion in images.portions() {
        let run = simulate_on(model, &placement, programs, real_rows(model, portion), None);
        let reads = run.reads.iter().map(|(_, reads)| reads.out_of_range);
        overflows += reads.sum::<u64>();
        all.extend(by_image(&run.logits));
    }
    Ok((all, overflows))
}

/// Counts values that leave the range of a look-up.
struct Overflows(u64);

impl Watcher for Overflows {
    fn before_look_up(&mut self, _: NodeId, look_up: &PlannedLookUp, rows: &mut [Row<u64>]) {
        self.0 += look_up.overflow_count(rows);
    }
}

fn analysed_outputs(model: &Model, images: &Images) -> Result<(Outputs, u64)> {
    let analyses = analyse_all(model)?;
    let mut overflows = Overflows(0);
    let portions = images.portions();
    let outputs = portions
        .flat_map(|portion| by_image(&run_integers(model, &analyses, portion, &mut overflows)));
    Ok((outputs.collect(), overflows.0))
}

/// Returns the labels of [`integer_outputs`] under the sets that a step noise asks for.
///
/// # Errors
///
/// As [`analyse`].
pub fn integer_labels(model: &Model, images: &Images, step_noise: f64) -> Result<Vec<usize>> {
    let compiled = compile_all(model, step_noise);
    Ok(labels_of(&integer_outputs(model, &compiled, images)?.0))
}
