//! The accuracy of a placement, simulated in the clear.

use std::sync::Arc;

use crate::deviation::Deviations;
use crate::model::Model;
use crate::placement::Placement;
use crate::program::{NoiseSeed, Program};
use crate::simulation::simulate;

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
    pub range_overflow_count: u64,
    /// Share of answers that do not mark exactly one class, where they are labels.
    pub no_label_share: f64,
    /// Predicted, of each look-up step on the server, by node index.
    pub deviations: Vec<(usize, Deviations)>,
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
            let simulation = simulate(model, placement, programs, images, Some(noise));
            let no_label = simulation.no_label_count() as f64 / images.len() as f64;
            (simulation.accuracy(model, images), no_label)
        });
        let sums = noisy.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Self {
            image_count: images.len(),
            simulated: sums.0 / seeds as f64,
            no_label_share: sums.1 / seeds as f64,
            noiseless: noiseless.accuracy(model, images),
            range_overflow_count: noiseless.range_overflow_count,
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
