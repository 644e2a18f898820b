//! A split whose server segments are copied: what its copies are worth, and what the same client learns
//! without the server.

use std::sync::{Arc, OnceLock};

use super::affine::{Batch, Tensors};
use super::ground::{Ground, pixels};
use super::learn::learn;
use super::lesson::{Goal, Lesson};
use super::network::Network;
use super::pupil::{PACE, images};
use super::questions::AT_ONCE;
use super::start::Start;
use crate::circuit::program::{NoiseSeed, Program};
use crate::core::placement::Placement;
use crate::oracle::simulation::{self, label_of, simulate_on};
use crate::record::copy::Judged;

/// Runs with noise that the ceiling is the mean of.
const CEILING_RUNS: u64 = 3;

/// A split, and what its copies are held against.
pub struct Split {
    pub placement: Placement,
    pub programs: Vec<Arc<Program>>,
    /// From image to logits, the server's layers to be learnt.
    pub network: Network,
    /// Found where it is first asked for.
    reference: OnceLock<Reference>,
}

/// What copies are held against.
struct Reference {
    /// Of the server's noiseless integers.
    labels: Vec<usize>,
    /// Agreement of the server, with its noise, with those.
    ceiling: f64,
}

impl Split {
    /// Returns a split, of which nothing was run.
    pub fn new(ground: &Ground, placement: &Placement, programs: Vec<Arc<Program>>) -> Self {
        Self {
            placement: placement.clone(),
            network: Network::of_placement(&ground.model, placement, &programs),
            reference: OnceLock::new(),
            programs,
        }
    }

    /// Finds what copies are held against; `None` where `stop` says so before the end.
    pub fn prepare(&self, ground: &Ground, stop: &dyn Fn() -> bool) -> Option<()> {
        if self.reference.get().is_none() {
            let found = self.find_reference(ground, stop)?;
            // Whoever found the same meanwhile is not contradicted.
            let _ = self.reference.set(found);
        }
        Some(())
    }

    /// Returns the agreement of the server, with its noise, with its noiseless integers.
    pub fn ceiling(&self, ground: &Ground) -> f64 {
        self.reference(ground).ceiling
    }

    fn reference(&self, ground: &Ground) -> &Reference {
        self.reference
            .get_or_init(|| match self.find_reference(ground, &|| false) {
                Some(found) => found,
                None => unreachable!("nobody stops it"),
            })
    }

    fn find_reference(&self, ground: &Ground, stop: &dyn Fn() -> bool) -> Option<Reference> {
        let labels = self.server_labels(ground, None, stop)?;
        let mut sum = 0.0;
        for seed in 0..CEILING_RUNS {
            let noisy = self.server_labels(ground, Some(seed), stop)?;
            sum += agreement(&noisy, &labels);
        }
        Some(Reference {
            ceiling: sum / CEILING_RUNS as f64,
            labels,
        })
    }

    /// Returns the labels that the server gives the judged images, with the noise of a seed or without any.
    fn server_labels(
        &self,
        ground: &Ground,
        seed: Option<u64>,
        stop: &dyn Fn() -> bool,
    ) -> Option<Vec<usize>> {
        let model = &ground.model;
        let all: Vec<usize> = (0..model.test.len()).collect();
        let mut labels = Vec::with_capacity(all.len());
        for (index, portion) in all.chunks(AT_ONCE).enumerate() {
            if stop() {
                return None;
            }
            let noise = seed.map(|seed| NoiseSeed(seed.wrapping_add((index as u64) << 40)));
            let input = simulation::pixels(model, portion);
            let run = simulate_on(model, &self.placement, &self.programs, input, noise);
            labels.extend(run.labels());
        }
        Some(labels)
    }

    /// Returns what weights for the learnt layers are worth.
    pub fn judge(&self, ground: &Ground, tensors: &[Tensors]) -> Judged {
        let labels = self.labels(&ground.judged(), tensors);
        let truth: Vec<usize> = (0..labels.len())
            .map(|image| ground.model.test.label(image))
            .collect();
        Judged {
            agreement: agreement(&labels, &self.reference(ground).labels),
            accuracy: agreement(&labels, &truth),
        }
    }

    fn labels(&self, images: &Batch, tensors: &[Tensors]) -> Vec<usize> {
        let indices: Vec<usize> = (0..images.ncols()).collect();
        let mut labels = Vec::with_capacity(indices.len());
        for portion in indices.chunks(AT_ONCE) {
            let input = super::lesson::columns(images, portion);
            let logits = &self.network.outputs(tensors, vec![input])[0];
            let columns = logits.columns().into_iter();
            labels.extend(columns.map(|column| label_of(column.iter().copied())));
        }
        labels
    }

    /// Returns what is learnt of the ordinary images of so many queries and their true labels, from the start
    /// that copies of all segments have, through the client's layers; `None` where `stop` says so.
    pub fn learn_alone(
        &self,
        ground: &Ground,
        start: &Start,
        queries: usize,
        seed: u64,
        stop: &dyn Fn() -> bool,
    ) -> Option<Vec<Tensors>> {
        let model = &ground.asked;
        let images = images(model.test.len(), queries, seed);
        let classes = images.iter().map(|&image| model.test.label(image) as u32);
        // The client's first layers do not change: they run once.
        let (rest, inputs) = self.network.behind_known(vec![pixels(model, &images)]);
        let lesson = Lesson {
            inputs,
            goal: Goal::Classes(classes.collect()),
        };
        learn(&rest, start, &lesson, PACE, seed, stop)
    }
}

/// Returns the fraction of labels that are equal.
fn agreement(labels: &[usize], others: &[usize]) -> f64 {
    let equal = labels
        .iter()
        .zip(others)
        .filter(|(label, other)| label == other);
    equal.count() as f64 / labels.len().max(1) as f64
}
