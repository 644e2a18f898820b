//! Costs from shapes alone: what a network takes by operation counts and nominal rates, without
//! weights and without running anything. It ranks placements; it does not predict seconds.

use std::ops::Range;

use crate::choose::scenario::{Measured, Scenario};
use crate::choose::solver::{Cost, Oracle, SegmentCost};
use crate::core::error::Result;
use crate::core::placement::Pins;
use crate::fhe::parameters::ParameterSet;
use crate::model::layer::Operation;
use crate::model::{Model, NodeId, ValueId, boundary};
use crate::record::cost_model::CostModel;

/// Core-seconds of a float multiplication at the client.
const CLIENT_MULTIPLICATION_S: f64 = 1e-9;
/// Core-seconds of multiplying one coefficient of a ciphertext by a weight.
const COEFFICIENT_S: f64 = 1.5e-10;
/// Seconds of encrypting one GLWE ciphertext.
const ENCRYPT_S: f64 = 2e-4;
/// Seconds of decrypting one coefficient of an answer.
const DECRYPT_S: f64 = 4e-10;
/// Seconds of writing, and again of reading, a byte of a message.
const MESSAGE_BYTE_S: f64 = 1.5e-9;
/// Seconds of making, and again of expanding, a byte of an evaluation key.
const KEY_BYTE_S: f64 = 4e-8;
/// Bytes that travel of a coefficient.
const COEFFICIENT_BYTES: usize = 2;
/// Resident bytes of a party's process before it has anything.
const BASE_BYTES: f64 = 8e6;
/// Resident bytes at the server for each byte of a seeded key: its masks, expanded.
const EXPANDED_KEY: f64 = 12.0;
/// Resident bytes at the client for each byte of the key that it makes and writes.
const MADE_KEY: f64 = 2.0;

/// A network by its shapes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stack {
    /// Elements of its input.
    pub input: usize,
    pub nodes: Vec<Shape>,
    /// The nodes of each placeable layer.
    pub layers: Vec<Range<usize>>,
}

/// A node by its shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    /// Values that it reads.
    pub inputs: Vec<ValueId>,
    /// Elements of its output.
    pub elements: usize,
    /// Trained numbers.
    pub parameters: usize,
    /// Of weights with inputs.
    pub multiplications: usize,
    /// Under encryption.
    pub look_ups: usize,
    /// Only the client can run it.
    pub is_pinned: bool,
}

/// Prices the pieces of a stack's placements with one parameter set.
pub struct ShapeOracle<'a> {
    stack: &'a Stack,
    scenario: &'a Scenario,
    parameters: ParameterSet,
    /// Seconds of a look-up with all cores busy.
    look_up_s: f64,
    cores: f64,
    parameter_count: f64,
    solved: Option<Solved<'a>>,
}

/// Returns the fraction of all weights that closed forms solve in a run of layers on the server.
pub type Solved<'a> = &'a dyn Fn(Range<usize>) -> f64;

impl Stack {
    /// Returns the shapes of a model.
    pub fn of(model: &Model) -> Self {
        let nodes = model.nodes.iter().map(|node| Shape {
            inputs: node.inputs.clone(),
            elements: node.output_count(),
            parameters: node.parameter_count,
            multiplications: match &node.operation {
                Operation::Linear(linear) => linear.map.multiplication_count(),
                _ => 0,
            },
            look_ups: node.operation.bootstrap_count(node.output_count()),
            is_pinned: node.is_pinned,
        });
        Self {
            input: model.element_count(ValueId::INPUT),
            nodes: nodes.collect(),
            layers: model.layers.iter().map(|l| l.nodes.clone()).collect(),
        }
    }

    fn elements(&self, value: ValueId) -> usize {
        match value.producer() {
            None => self.input,
            Some(node) => self.nodes[node.index()].elements,
        }
    }

    fn total(&self, nodes: Range<usize>, count: impl Fn(&Shape) -> usize) -> usize {
        self.nodes[nodes].iter().map(count).sum()
    }
}

impl<'a> ShapeOracle<'a> {
    /// Returns the oracle of a stack in a scenario, on that many cores.
    pub fn new(
        stack: &'a Stack,
        scenario: &'a Scenario,
        parameters: ParameterSet,
        cost: &CostModel,
        cores: usize,
    ) -> Self {
        Self {
            stack,
            scenario,
            parameters,
            look_up_s: cost.look_up_core_s(&parameters) / cores as f64,
            cores: cores as f64,
            parameter_count: stack
                .total(0..stack.nodes.len(), |node| node.parameters)
                .max(1) as f64,
            solved: None,
        }
    }

    /// Counts as exposed what closed forms solve; without that, what is handed over alone.
    pub fn with_solved(self, solved: Solved<'a>) -> Self {
        Self {
            solved: Some(solved),
            ..self
        }
    }

    /// Returns the seconds of making an evaluation key and handing it over.
    pub fn key_exchange_s(&self) -> f64 {
        2.0 * self.parameters.evaluation_key_bytes() as f64 * KEY_BYTE_S
    }
}

impl Oracle for ShapeOracle<'_> {
    fn pins(&self) -> Pins {
        let is_pinned = |nodes: &Range<usize>| {
            let nodes = &self.stack.nodes[nodes.clone()];
            nodes.iter().any(|node| node.is_pinned)
        };
        Pins::new(self.stack.layers.iter().map(is_pinned).collect())
    }

    fn fixed(&self) -> Cost {
        Cost {
            client_memory: BASE_BYTES,
            ..Cost::default()
        }
    }

    fn client(&self, layer: usize) -> Cost {
        let nodes = self.stack.layers[layer].clone();
        let elements = self.stack.total(nodes.clone(), |node| node.elements);
        let multiplications = self.stack.total(nodes.clone(), |node| node.multiplications);
        let parameters = self.stack.total(nodes, |node| node.parameters) as f64;
        let client_compute_s = (multiplications + elements) as f64 * CLIENT_MULTIPLICATION_S;
        Cost {
            exposure: parameters / self.parameter_count,
            client_memory: BASE_BYTES + 4.0 * (parameters + elements as f64),
            ..Cost::of(&self.scenario.of(&Measured {
                online_s: client_compute_s,
                client_compute_s,
                ..Measured::default()
            }))
        }
    }

    fn server(&self, layers: Range<usize>) -> Result<Option<SegmentCost>> {
        let Stack { layers: all, .. } = self.stack;
        let exposure = self.solved.map_or(0.0, |solved| solved(layers.clone()));
        let nodes = all[layers.start].start..all[layers.end - 1].end;
        let inputs = |node: NodeId| &self.stack.nodes[node.index()].inputs;
        let size = self.parameters.literal().polynomial_size;
        let read = boundary::read_by(&nodes, inputs);
        let made = boundary::made_by(&nodes, self.stack.nodes.len(), inputs).into_iter();
        let made: Vec<ValueId> = made.map(NodeId::value).collect();
        let elements = |values: &[ValueId]| -> usize {
            values.iter().map(|&value| self.stack.elements(value)).sum()
        };
        let ciphertexts: usize = read
            .iter()
            .map(|&value| self.stack.elements(value).div_ceil(size))
            .sum();
        let answer = elements(&made) * self.parameters.big_size();
        let upload_bytes = (elements(&read) * COEFFICIENT_BYTES) as u64;
        let download_bytes = (answer * COEFFICIENT_BYTES) as u64;
        let message_s = (upload_bytes + download_bytes) as f64 * MESSAGE_BYTE_S;
        let look_ups = self.stack.total(nodes.clone(), |node| node.look_ups);
        let multiplications = self.stack.total(nodes.clone(), |node| node.multiplications);
        let coefficients = multiplications as f64 * self.parameters.big_size() as f64;
        let server_s = look_ups as f64 * self.look_up_s + coefficients * COEFFICIENT_S / self.cores;
        let encrypt_s = ciphertexts as f64 * ENCRYPT_S;
        let decrypt_s = answer as f64 * DECRYPT_S;
        let widest = NodeId::all(nodes).map(|node| {
            let read: usize = elements(inputs(node));
            read + self.stack.nodes[node.index()].elements
        });
        let working = 8 * self.parameters.big_size() * widest.max().unwrap_or(0);
        let messages = (upload_bytes + download_bytes) as f64;
        let cost = Cost {
            exposure,
            client_memory: BASE_BYTES + messages * 8.0 / COEFFICIENT_BYTES as f64,
            server_memory: BASE_BYTES + working as f64,
            ..Cost::of(&self.scenario.of(&Measured {
                online_s: server_s + encrypt_s + decrypt_s + 2.0 * message_s,
                encrypt_s,
                decrypt_s,
                serialise_s: message_s,
                deserialise_s: message_s,
                upload_bytes,
                download_bytes,
                rounds: 1,
                ..Measured::default()
            }))
        };
        let keys = if look_ups > 0 { vec![0] } else { Vec::new() };
        Ok(Some(SegmentCost { cost, keys }))
    }

    fn key(&self, _: usize) -> Cost {
        let bytes = self.parameters.evaluation_key_bytes();
        let seconds = bytes as f64 * KEY_BYTE_S;
        Cost {
            key_memory: bytes as f64 * EXPANDED_KEY,
            client_memory: BASE_BYTES + bytes as f64 * MADE_KEY,
            ..Cost::of(&self.scenario.of(&Measured {
                key_generation_s: seconds,
                key_transfer_s: seconds,
                evaluation_key_bytes: bytes,
                ..Measured::default()
            }))
        }
    }
}

#[cfg(test)]
mod tests;
