//! Learning: Adam (Kingma and Ba, *Adam: A method for stochastic optimization*, ICLR 2015) with a rate
//! that falls along a cosine.

use std::f32::consts::PI;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::affine::{Batch, Tensors};
use super::lesson::{Lesson, gradients};
use super::network::Network;
use super::start::Start;

/// How long and how fast to learn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub steps: usize,
    /// Samples of a step, at most.
    pub batch: usize,
    /// Of the first step, in spreads of the weights.
    pub rate: f32,
}

/// Decay of the means of gradients and of their squares, and what keeps a quotient finite.
const MEAN_DECAY: f32 = 0.9;
const SQUARE_DECAY: f32 = 0.999;
const TINY: f32 = 1e-12;

/// Returns what is learnt from a lesson; `None` where `stop` says so before the end.
pub fn learn(
    network: &Network,
    start: &Start,
    lesson: &Lesson,
    pace: Pace,
    seed: u64,
    stop: &dyn Fn() -> bool,
) -> Option<Vec<Tensors>> {
    let mut tensors = start.tensors.clone();
    if tensors.is_empty() || lesson.is_empty() {
        return Some(tensors);
    }
    let mut adam = Adam::new(start);
    let spreads = lesson.spreads();
    let mut order = Order::new(lesson.len(), pace.batch, seed);
    for step in 0..pace.steps {
        if stop() {
            return None;
        }
        let samples = lesson.samples(order.next());
        let run = network.run(&tensors, samples.inputs);
        let outputs: Vec<&Batch> = run.outputs(network).collect();
        let of_outputs = gradients(&samples.goal, &spreads, &outputs);
        let mut sums: Vec<Tensors> = tensors.iter().map(Tensors::zeros).collect();
        network.differentiate(&tensors, &run, of_outputs, &mut sums);
        let rate = pace.rate * (1.0 + (PI * step as f32 / pace.steps as f32).cos()) / 2.0;
        adam.step(&mut tensors, &sums, rate);
    }
    Some(tensors)
}

/// Samples in random order, each once before any comes again.
struct Order {
    indices: Vec<usize>,
    next: usize,
    batch: usize,
    generator: ChaCha8Rng,
}

impl Order {
    fn new(count: usize, batch: usize, seed: u64) -> Self {
        Self {
            indices: (0..count).collect(),
            next: count,
            batch: batch.min(count),
            generator: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Returns the samples of the next step.
    fn next(&mut self) -> &[usize] {
        if self.next + self.batch > self.indices.len() {
            self.indices.shuffle(&mut self.generator);
            self.next = 0;
        }
        self.next += self.batch;
        &self.indices[self.next - self.batch..self.next]
    }
}

/// The state of the optimiser.
struct Adam {
    means: Vec<Tensors>,
    squares: Vec<Tensors>,
    spreads: Vec<[f32; 2]>,
    steps: i32,
}

impl Adam {
    fn new(start: &Start) -> Self {
        let zeros = || start.tensors.iter().map(Tensors::zeros).collect();
        Self {
            means: zeros(),
            squares: zeros(),
            spreads: start.spreads.clone(),
            steps: 0,
        }
    }

    fn step(&mut self, tensors: &mut [Tensors], gradients: &[Tensors], rate: f32) {
        self.steps += 1;
        // Both means begin at zero; the quotients make up for it.
        let [of_mean, of_square] =
            [MEAN_DECAY, SQUARE_DECAY].map(|decay| 1.0 - decay.powi(self.steps));
        let update =
            |own: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32], rate: f32| {
                let states = own.iter_mut().zip(gradient).zip(mean).zip(square);
                for (((own, &gradient), mean), square) in states {
                    *mean += (1.0 - MEAN_DECAY) * (gradient - *mean);
                    *square += (1.0 - SQUARE_DECAY) * (gradient * gradient - *square);
                    *own -= rate * (*mean / of_mean) / ((*square / of_square).sqrt() + TINY);
                }
            };
        for (index, own) in tensors.iter_mut().enumerate() {
            let (mean, square) = (&mut self.means[index], &mut self.squares[index]);
            let (gradient, spread) = (&gradients[index], self.spreads[index]);
            update(
                &mut own.weights,
                &gradient.weights,
                &mut mean.weights,
                &mut square.weights,
                rate * spread[0],
            );
            update(
                &mut own.bias,
                &gradient.bias,
                &mut mean.bias,
                &mut square.bias,
                rate * spread[1],
            );
        }
    }
}
