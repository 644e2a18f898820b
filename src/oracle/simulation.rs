//! A placement in the clear, over many images at once: float layers on the client, integer
//! programs with the server's tables and wrap-around on the server, with or without noise.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use rayon::prelude::*;

use super::walk::{Served, quantised, real, walk};
use crate::circuit::program::{LookUpStep, NoiseSeed, Program};
use crate::core::linear_map::Row;
use crate::core::placement::{Placement, SegmentIndex};
use crate::model::values::Values;
use crate::model::{Model, NodeId, ValueId};
use crate::record::deviations::Deviations;
use crate::record::reads::{Reads, SimulatedReads};

/// Images that are simulated at once: what fits in memory for wide layers.
pub const PORTION: usize = 250;
/// Look-ups whose deviations are predicted, at least, where there are so many: their mean rate errs
/// by less than a thousandth of itself.
const ENOUGH_PREDICTIONS: u64 = 10_000_000;

/// The outcome of a simulation, one column per image.
#[derive(Debug, Clone, Default)]
pub struct Simulation {
    /// `[classes, images]`.
    pub logits: Vec<Row<f32>>,
    /// What look-ups and decryptions read, over all images: of each look-up step on the server and
    /// each download of a segment, by node index.
    pub reads: Vec<(NodeId, Reads)>,
    /// Images in whose inference a value was misread.
    pub misread_inferences: u64,
    /// Predicted step deviations of each look-up step on the server, by node, over the first
    /// images; only in a simulation without noise.
    pub deviations: Vec<(NodeId, Deviations)>,
}

/// Runs the images of a model's test set through a placement.
///
/// `programs` are those that [`crate::circuit::compile::compile_placement`] returns for it.
pub fn simulate(
    model: &Model,
    placement: &Placement,
    programs: &[Arc<Program>],
    images: &[usize],
    noise: Option<NoiseSeed>,
) -> Simulation {
    let mut all = Simulation::default();
    for (index, portion) in images.chunks(PORTION).enumerate() {
        // Each portion draws its own noise.
        let noise = noise.map(|NoiseSeed(seed)| NoiseSeed(seed.wrapping_add((index as u64) << 40)));
        let counted: u64 = all.deviations.iter().map(|(_, d)| d.look_ups).sum();
        let predicting = noise.is_none() && counted < ENOUGH_PREDICTIONS;
        let run = Run { noise, predicting };
        let input = pixels(model, portion);
        all.append(run.over(model, placement, programs, input, &mut to_the_end));
    }
    all
}

/// Returns test images as the network reads them: `[elements, images]`.
pub fn pixels(model: &Model, images: &[usize]) -> Vec<Row<f32>> {
    let pixel =
        |image: &usize, element| model.input.real(element, model.test.image(*image)[element]);
    (0..model.element_count(ValueId::INPUT))
        .map(|element| images.iter().map(|image| pixel(image, element)).collect())
        .collect()
}

/// Sees the index of a server segment and the integers that the client uploads to it, for each
/// upload `[elements, images]`; says whether to go on.
pub type SeeUploads<'a> = dyn FnMut(SegmentIndex, &[Vec<Row<u64>>]) -> ControlFlow<()> + 'a;

/// Sees nothing, and lets all segments run.
fn to_the_end(_: SegmentIndex, _: &[Vec<Row<u64>>]) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Runs images of a model's test set through a placement, all at once and without noise, for what the
/// client uploads.
pub fn observe_uploads(
    model: &Model,
    placement: &Placement,
    programs: &[Arc<Program>],
    images: &[usize],
    see: &mut SeeUploads<'_>,
) {
    let run = Run {
        noise: None,
        predicting: false,
    };
    run.over(model, placement, programs, pixels(model, images), see);
}

/// As [`simulate`], on float inputs `[elements, images]`, without predictions.
pub fn simulate_on(
    model: &Model,
    placement: &Placement,
    programs: &[Arc<Program>],
    input: Vec<Row<f32>>,
    noise: Option<NoiseSeed>,
) -> Simulation {
    let predicting = false;
    Run { noise, predicting }.over(model, placement, programs, input, &mut to_the_end)
}

/// How a simulation runs.
#[derive(Clone, Copy)]
struct Run {
    noise: Option<NoiseSeed>,
    /// Whether step deviations are predicted.
    predicting: bool,
}

impl Run {
    /// Runs all segments, or those until `see` wants no more.
    fn over(
        self,
        model: &Model,
        placement: &Placement,
        programs: &[Arc<Program>],
        input: Vec<Row<f32>>,
        see: &mut SeeUploads<'_>,
    ) -> Simulation {
        let mut simulation = Simulation::default();
        let mut misread_columns = BTreeSet::new();
        let logits = walk(model, placement, input, &mut |segment, values| {
            let program = &programs[segment.index()];
            let uploads = uploads_of(program, values);
            see(segment, &uploads)?;
            // Each segment draws its own noise.
            let own =
                |NoiseSeed(seed)| NoiseSeed(seed.wrapping_add((segment.index() as u64) << 32));
            let noise = self.noise.map(own);
            let run = Run { noise, ..self };
            let (served, misread) = run.segment(program, &uploads, &mut simulation);
            misread_columns.extend(misread);
            ControlFlow::Continue(served)
        });
        simulation.logits = logits.unwrap_or_default();
        simulation.misread_inferences = misread_columns.len() as u64;
        simulation
    }

    /// Runs a server segment in the clear on its uploads; returns what it serves and the columns in
    /// which a value was misread.
    fn segment(
        self,
        program: &Program,
        uploads: &[Vec<Row<u64>>],
        simulation: &mut Simulation,
    ) -> (Served, Vec<usize>) {
        let mut predict = |step: &LookUpStep, rows: &[Row<u64>]| {
            if self.predicting {
                let deviations = predict_look_up(step, rows);
                simulation.deviations.push((step.node, deviations));
            }
        };
        let run = program.observe_clear(uploads, self.noise, &mut predict);
        simulation.reads.extend(run.reads);
        (served(program, &run.outputs), run.misread_columns)
    }
}

/// Returns the integers that the client uploads to a segment, for each upload `[elements, images]`.
pub fn uploads_of(program: &Program, values: &Values) -> Vec<Vec<Row<u64>>> {
    let uploads = program.interface.uploads.iter();
    uploads
        .map(|upload| quantised(&upload.quantisation, values.get(upload.value)))
        .collect()
}

/// Returns what the client makes of a segment's downloads, for each of which integers are given.
pub fn served(program: &Program, outputs: &[Vec<Row<u64>>]) -> Served {
    let downloads = program.interface.downloads.iter().zip(outputs);
    downloads
        .map(|(download, rows)| (download.node.value(), real(rows, &download.scales)))
        .collect()
}

impl Simulation {
    /// Adds the outcome for further images.
    fn append(&mut self, more: Self) {
        self.misread_inferences += more.misread_inferences;
        if self.logits.is_empty() {
            self.logits = more.logits;
            self.deviations = more.deviations;
            self.reads = more.reads;
            return;
        }
        for ((_, tally), (_, more)) in self.reads.iter_mut().zip(more.reads) {
            *tally = tally.plus(more);
        }
        for (row, more) in self.logits.iter_mut().zip(more.logits) {
            *row = row.iter().chain(&more).copied().collect();
        }
        for ((_, tally), (_, more)) in self.deviations.iter_mut().zip(more.deviations) {
            *tally = tally.plus(more);
        }
    }
}

/// Returns the predicted step deviations of all elements and columns of a look-up.
fn predict_look_up(step: &LookUpStep, rows: &[Row<u64>]) -> Deviations {
    rows.par_iter()
        .enumerate()
        .map(|(element, row)| {
            row.iter()
                .map(|&value| value as i64)
                .map(|integer| Deviations::predicted(step, element, integer))
                .fold(Deviations::default(), Deviations::plus)
        })
        .reduce(Deviations::default, Deviations::plus)
}

impl Simulation {
    /// Returns the class of each image.
    pub fn labels(&self) -> Vec<usize> {
        let images = self.logits.first().map_or(0, |row| row.len());
        (0..images)
            .map(|image| label_of(self.logits.iter().map(|row| row[image])))
            .collect()
    }

    /// Returns what all look-ups and decryptions read.
    pub fn all_reads(&self) -> SimulatedReads {
        let reads = self.reads.iter().map(|(_, reads)| *reads);
        SimulatedReads {
            reads: reads.fold(Reads::default(), Reads::plus),
            inferences: self.logits.first().map_or(0, |row| row.len()) as u64,
            misread_inferences: self.misread_inferences,
        }
    }

    /// Returns the number of images whose answer does not mark exactly one class, where answers are
    /// labels.
    pub fn no_label_count(&self) -> usize {
        let images = self.logits.first().map_or(0, |row| row.len());
        let marked = |image: usize| self.logits.iter().filter(move |row| row[image] == 1.0);
        (0..images)
            .filter(|&image| marked(image).count() != 1)
            .count()
    }

    /// Returns the fraction of images whose label is the true one.
    pub fn accuracy(&self, model: &Model, images: &[usize]) -> f64 {
        let labels = self.labels();
        let right = labels
            .iter()
            .zip(images)
            .filter(|(label, image)| **label == model.test.label(**image))
            .count();
        right as f64 / images.len() as f64
    }
}

/// Returns the class that logits tell: that of the largest, the first of equals; of a single logit,
/// class 1 where it is positive and class 0 elsewhere.
pub fn label_of(logits: impl IntoIterator<Item = f32>) -> usize {
    let mut logits = logits.into_iter().peekable();
    let Some(first) = logits.next() else {
        return 0;
    };
    match logits.peek() {
        None => usize::from(first > 0.0),
        Some(_) => arg_max(std::iter::once(first).chain(logits)),
    }
}

/// Returns the index of the largest value; the first of equals.
pub fn arg_max(values: impl IntoIterator<Item = f32>) -> usize {
    values
        .into_iter()
        .enumerate()
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::placement::Party;
    use std::path::Path;

    #[test]
    fn the_all_client_placement_reaches_the_float_accuracy() {
        for name in ["digits-mlp", "digits-cnn"] {
            let model = Model::load(Path::new(name)).expect("embedded");
            let all: Vec<usize> = (0..model.test.len()).collect();
            let placement = Placement::uniform(Party::Client, &model.pins());
            let accuracy = simulate(&model, &placement, &[], &all, None).accuracy(&model, &all);
            assert!(
                (accuracy - model.float_accuracy.unwrap()).abs() < 5e-4,
                "{name}: {accuracy}"
            );
        }
    }

    #[test]
    fn a_single_logit_tells_the_class_by_its_sign() {
        let labels = [-0.1, 0.0, 0.1].map(|logit| label_of([logit]));
        assert_eq!(labels, [0, 0, 1]);
        assert_eq!((label_of([1.0, 3.0, 3.0]), label_of([])), (1, 0));
    }

    #[test]
    fn the_first_of_equal_logits_wins() {
        assert_eq!(arg_max([1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(arg_max([]), 0);
    }
}
