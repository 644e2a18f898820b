//! The weights that a copy starts from: random, and scaled so that each channel has the range that the
//! client knows it to have.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::affine::{Affine, Batch, Tensors};
use super::network::Network;
use crate::model::layer::Operation;
use crate::model::{Model, NodeId};

/// Weights to start from, and how far a step may carry them.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub tensors: Vec<Tensors>,
    /// Of the weights and the biases of each layer, what a change is measured by.
    pub spreads: Vec<[f32; 2]>,
}

impl Start {
    /// Returns weights drawn from a seed and scaled by what ordinary inputs make of them.
    pub fn draw(model: &Model, network: &Network, ordinary: Vec<Batch>, seed: u64) -> Self {
        let mut tensors = network
            .truth(model)
            .iter()
            .map(Tensors::zeros)
            .collect::<Vec<_>>();
        let mut spreads = Vec::new();
        network.visit_learnt(&mut tensors, ordinary, |affine, index, input, own| {
            let node = network.learnt[index];
            let mut generator = ChaCha8Rng::seed_from_u64(seed);
            generator.set_stream(node.index() as u64);
            let normal = |_: &f32| StandardNormal.sample(&mut generator);
            own.weights = own.weights.iter().map(normal).collect();
            fit_to_ranges(model, node, affine, input, own);
            let squares: f32 = own.weights.iter().map(|weight| weight * weight).sum();
            let of_weights = (squares / own.weights.len().max(1) as f32).sqrt();
            spreads.push([of_weights, mean_width(model, node) / 4.0]);
        });
        Self { tensors, spreads }
    }

    /// Returns the starts of several parts of a network as one.
    pub fn joined<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self {
            tensors: Vec::new(),
            spreads: Vec::new(),
        };
        for part in parts {
            all.tensors.extend(part.tensors.iter().cloned());
            all.spreads.extend(&part.spreads);
        }
        all
    }
}

/// Scales weights and sets biases so that the outputs of each channel reach from end to end of its range.
fn fit_to_ranges(model: &Model, node: NodeId, affine: &Affine, input: &Batch, own: &mut Tensors) {
    let ranges = ranges(model, node);
    let output = affine.run(own, input);
    let size = affine.bias_size();
    for (channel, rows) in affine.rows_of_channels().into_iter().enumerate() {
        let (low, high) = ranges[channel * size];
        let mut ends = (f32::INFINITY, f32::NEG_INFINITY);
        for element in channel * size..(channel + 1) * size {
            for &value in output.row(element) {
                ends = (ends.0.min(value), ends.1.max(value));
            }
        }
        let width = ends.1 - ends.0;
        let factor = if width > 1e-6 {
            (high - low) / width
        } else {
            1.0
        };
        for (from, to) in rows {
            own.weights[from..to]
                .iter_mut()
                .for_each(|weight| *weight *= factor);
        }
        own.bias[channel] = low - factor * ends.0;
    }
}

fn mean_width(model: &Model, node: NodeId) -> f32 {
    let ranges = ranges(model, node);
    ranges.iter().map(|(low, high)| high - low).sum::<f32>() / ranges.len().max(1) as f32
}

fn ranges(model: &Model, node: NodeId) -> &[(f32, f32)] {
    match &model.node(node).operation {
        Operation::Linear(linear) => &linear.range,
        other => unreachable!("no learnt layer: {other:?}"),
    }
}
