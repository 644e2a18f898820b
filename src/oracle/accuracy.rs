//! The accuracy of a placement, simulated in the clear.

use std::sync::Arc;

use crate::circuit::program::{NoiseSeed, Program};
use crate::core::placement::Placement;
use crate::model::{Model, NodeId};
use crate::oracle::simulation::simulate;
use crate::record::deviations::Deviations;
use crate::record::reads::{Reads, SimulatedReads};

/// Noise seeds that the simulated accuracy is the mean of, at most.
const MOST_NOISE_SEEDS: u64 = 10;
/// Simulated inferences from which fewer seeds are enough.
const ENOUGH_INFERENCES: u64 = 4000;

/// Accuracy of a placement over test images.
pub struct Accuracy {
    pub image_count: usize,
    /// Mean over noise seeds.
    pub simulated: f64,
    pub noiseless: f64,
    /// Values out of range in the run without noise.
    pub range_overflow_count: u64,
    /// What was read over all noise seeds.
    pub noisy_reads: SimulatedReads,
    /// The same of each look-up step on the server and each download, by node index.
    pub step_reads: Vec<(NodeId, Reads)>,
    /// Fraction of answers that do not mark exactly one class, where they are labels.
    pub no_label_share: f64,
    /// Predicted, of each look-up step on the server, by node index.
    pub deviations: Vec<(NodeId, Deviations)>,
}

impl Accuracy {
    /// Simulates these images of the test set, without noise and with it.
    pub fn of(
        model: &Model,
        placement: &Placement,
        programs: &[Arc<Program>],
        images: &[usize],
        seed: u64,
    ) -> Self {
        let noiseless = simulate(model, placement, programs, images, None);
        let seeds = noise_seeds(images.len());
        let noisy = (0..seeds).map(|index| {
            let noise = NoiseSeed(seed.wrapping_mul(MOST_NOISE_SEEDS).wrapping_add(index));
            simulate(model, placement, programs, images, Some(noise))
        });
        let mut sums = (0.0, 0.0);
        let mut noisy_reads = SimulatedReads::default();
        let mut step_reads: Vec<(NodeId, Reads)> = Vec::new();
        for simulation in noisy {
            sums.0 += simulation.accuracy(model, images);
            sums.1 += simulation.no_label_count() as f64 / images.len() as f64;
            noisy_reads = noisy_reads.plus(simulation.all_reads());
            if step_reads.is_empty() {
                step_reads = simulation.reads;
                continue;
            }
            for (sum, (_, reads)) in step_reads.iter_mut().zip(simulation.reads) {
                sum.1 = sum.1.plus(reads);
            }
        }
        Self {
            image_count: images.len(),
            simulated: sums.0 / seeds as f64,
            no_label_share: sums.1 / seeds as f64,
            noiseless: noiseless.accuracy(model, images),
            range_overflow_count: noiseless.all_reads().reads.out_of_range,
            noisy_reads,
            step_reads,
            deviations: noiseless.deviations,
        }
    }
}

/// Returns how many inferences the accuracy over so many test images takes.
pub fn inference_count(image_count: usize) -> u64 {
    image_count as u64 * (1 + noise_seeds(image_count))
}

/// Returns how many noise seeds the accuracy over so many test images is the mean of.
fn noise_seeds(image_count: usize) -> u64 {
    (ENOUGH_INFERENCES / image_count as u64).clamp(1, MOST_NOISE_SEEDS)
}
