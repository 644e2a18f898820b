//! A trained network: its operations, its placeable layers, its quantisation and its test images.
//!
//! *Values* are what operations read and make: the network's input, and the output of each node.
//! Nodes are in an order in which every value is made before it is read.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::boundary;
use super::index::{NodeId, ValueId};
use super::input::Input;
use super::layer::{Activation, Operation};
use super::test_set::TestSet;
use crate::core::error::{Error, Result};
use crate::core::placement::{Party, Pins, Placement, Segment};

/// A network that can be placed.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    pub description: String,
    pub input: Input,
    pub nodes: Vec<Node>,
    /// The placeable layers in order; together they cover every node once.
    pub layers: Vec<Layer>,
    /// Images that say how much noise the network bears, where the folder has any.
    pub calibration: Option<TestSet>,
    pub test: TestSet,
    /// The number of each class, in the order of the outputs; two of a single output, of its
    /// negative and of its positive side; none where the outputs are no classes.
    pub classes: Vec<i64>,
    /// Per output: added to the logits that are compared for a label, beside the corrections of layers;
    /// weights on the one scale that comparisons need are rounded otherwise than those of logits.
    pub label_correction: Vec<f32>,
    /// Fraction of test images that the float network classifies rightly before their values are
    /// rounded to integers, as the folder says.
    pub float_accuracy: Option<f64>,
    /// SHA-256 of `model.json`, which holds the checksums of the other files.
    pub digest: String,
}

/// One operation of the network.
#[derive(Debug, Clone)]
pub struct Node {
    pub name: String,
    /// Values that it reads.
    pub inputs: Vec<ValueId>,
    /// Of its output.
    pub shape: Vec<usize>,
    /// Elements of an output channel, which lie together.
    pub channel_size: usize,
    /// The block that it belongs to, if any.
    pub block: Option<String>,
    /// The operator's name.
    pub op: &'static str,
    /// Trained numbers in it, biases included.
    pub parameter_count: usize,
    /// Only the client can run it.
    pub is_pinned: bool,
    pub operation: Operation,
}

/// A placeable layer: one node, the nodes of a block, or nodes in a row that are pinned to the client.
#[derive(Debug, Clone)]
pub struct Layer {
    pub name: String,
    /// The operator's name, `block`, or `pinned`.
    pub op: &'static str,
    pub is_pinned: bool,
    pub nodes: Range<usize>,
    pub parameter_count: usize,
    pub output_shape: Vec<usize>,
}

/// What a placeable layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// A residual block, or an operation outside of one.
    #[default]
    Block,
    /// An operation. A skip whose ends lie on different parties crosses by itself.
    Layer,
}

impl Model {
    /// Returns the model with other nodes, each a placeable layer; its test images stay.
    pub fn with_nodes(self, input: Input, nodes: Vec<Node>) -> Self {
        Self {
            input,
            layers: layers_of(&nodes, Granularity::Layer),
            nodes,
            ..self
        }
    }

    /// Returns the model with its placeable layers cut otherwise.
    pub fn with_granularity(mut self, granularity: Granularity) -> Self {
        self.layers = layers_of(&self.nodes, granularity);
        self
    }

    /// Returns whether the outputs are classes, so that an accuracy means something.
    pub fn is_classifier(&self) -> bool {
        !self.classes.is_empty()
    }

    /// Returns the model with its calibration images in place of its test images, where it has any.
    pub fn on_calibration_images(&self) -> Option<Self> {
        Some(Self {
            test: self.calibration.clone()?,
            ..self.clone()
        })
    }

    /// Returns the number of placeable layers.
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// Returns which placeable layers are pinned to the client.
    pub fn pins(&self) -> Pins {
        Pins::new(self.layers.iter().map(|layer| layer.is_pinned).collect())
    }

    /// Returns a placement with the pins of this model, whatever letters were typed for the client.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where the number of letters is not that of the layers, or the server is to run a
    /// layer that is pinned, or a letter pins a layer that is not.
    pub fn place(&self, placement: Placement) -> Result<Placement> {
        let pins = self.pins();
        let letters = placement.parties().len();
        if letters != pins.layer_count() {
            return Err(Error::Usage(format!(
                "placement {placement} has {letters} letters, but {} has {} placeable layers: give \
                 one letter per layer",
                self.name,
                pins.layer_count()
            )));
        }
        for (index, (layer, party)) in self.layers.iter().zip(placement.parties()).enumerate() {
            let wrong = match (layer.is_pinned, party) {
                (true, Party::Server) => {
                    "has no encrypted form and is pinned to the client: give c"
                }
                (false, _) if placement.pins().contains(index) => {
                    "is not pinned to the client: give C or S"
                }
                _ => continue,
            };
            return Err(Error::Usage(format!(
                "placement {placement}: layer {} of {}, {:?}, {wrong}",
                index + 1,
                self.name,
                layer.name
            )));
        }
        Ok(Placement::of(placement.parties().to_vec(), &pins))
    }

    /// Returns the nodes of a segment.
    pub fn nodes_of(&self, segment: &Segment) -> Range<usize> {
        let layers = &self.layers[segment.layers.clone()];
        let start = layers.first().map_or(0, |layer| layer.nodes.start);
        start..layers.last().map_or(start, |layer| layer.nodes.end)
    }

    /// Returns a node.
    pub fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.index()]
    }

    /// Returns the nodes with their ids, in order.
    pub fn nodes_by_id(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        NodeId::all(0..self.nodes.len()).zip(&self.nodes)
    }

    /// Returns the node that makes the network's output.
    pub fn last(&self) -> NodeId {
        NodeId::new(self.nodes.len() - 1)
    }

    /// Returns the network's output.
    pub fn output(&self) -> ValueId {
        self.last().value()
    }

    /// Returns the layer that a node belongs to.
    pub fn layer_of(&self, node: NodeId) -> usize {
        self.layers
            .partition_point(|layer| layer.nodes.end <= node.index())
    }

    /// Returns the values that nodes read and others make, in order.
    pub fn values_read(&self, nodes: &Range<usize>) -> Vec<ValueId> {
        boundary::read_by(nodes, |node| &self.node(node).inputs)
    }

    /// Returns the first of the nodes that reads a value.
    ///
    /// # Panics
    ///
    /// Panics where none does.
    pub fn first_reader(&self, value: ValueId, nodes: &Range<usize>) -> NodeId {
        let reads = |node: &NodeId| self.node(*node).inputs.contains(&value);
        let Some(reader) = NodeId::all(nodes.clone()).find(reads) else {
            panic!("no node of {nodes:?} reads {value:?}");
        };
        reader
    }

    /// Returns those of the nodes whose values others read, in order; the network's output is read.
    pub fn nodes_read_outside(&self, nodes: &Range<usize>) -> Vec<NodeId> {
        boundary::made_by(nodes, self.nodes.len(), |node| &self.node(node).inputs)
    }

    /// Returns how often activations change party: each value that a server segment reads from
    /// outside and each that is read outside of it. The server keeps nothing between segments.
    pub fn crossing_count(&self, placement: &Placement) -> usize {
        let of_segment = |segment| {
            let nodes = self.nodes_of(segment);
            self.values_read(&nodes).len() + self.nodes_read_outside(&nodes).len()
        };
        placement.server_segments().iter().map(of_segment).sum()
    }

    /// Returns the number of elements of a value.
    pub fn element_count(&self, value: ValueId) -> usize {
        match value.producer() {
            None => self.input.shape.iter().product(),
            Some(node) => self.node(node).output_count(),
        }
    }

    /// Returns the elements of a channel of a value.
    pub fn channel_size(&self, value: ValueId) -> usize {
        match value.producer() {
            None => channel_size(&self.input.shape),
            Some(node) => self.node(node).channel_size,
        }
    }

    /// Returns the smallest and largest value of each element over the calibration data.
    pub fn range(&self, value: ValueId) -> Vec<(f32, f32)> {
        match value.producer().map(|node| self.node(node)) {
            None => self.input.range(),
            Some(node) => node.operation.range_after(|| self.range(node.inputs[0])),
        }
    }

    /// Returns the activation that made a value, max pools in between aside.
    pub fn activation_behind(&self, value: ValueId) -> Option<&Activation> {
        let node = self.node(value.producer()?);
        match &node.operation {
            Operation::Activation(activation) => Some(activation),
            Operation::MaxPool(_) => self.activation_behind(node.inputs[0]),
            Operation::Linear(_) | Operation::Add(_) | Operation::Pinned(_) => None,
        }
    }

    /// Returns the fraction of all trained numbers that lie in the client's layers; `None` for a
    /// network without any.
    pub fn client_weight_share(&self, placement: &Placement) -> Option<f64> {
        let count = |wanted: Option<Party>| -> usize {
            self.layers
                .iter()
                .zip(placement.parties())
                .filter(|(_, party)| wanted.is_none_or(|wanted| wanted == **party))
                .map(|(layer, _)| layer.parameter_count)
                .sum()
        };
        match count(None) {
            0 => None,
            total => Some(count(Some(Party::Client)) as f64 / total as f64),
        }
    }

    /// Returns the bootstraps of one inference.
    pub fn bootstrap_count(&self, placement: &Placement) -> usize {
        self.layers
            .iter()
            .zip(placement.parties())
            .filter(|(_, party)| **party == Party::Server)
            .map(|(layer, _)| self.layer_bootstrap_count(layer))
            .sum()
    }

    /// Returns the multiplications by weights of one inference.
    pub fn multiplication_count(&self) -> usize {
        let of_node = |node: &Node| match &node.operation {
            Operation::Linear(linear) => Some(linear.map.multiplication_count()),
            _ => None,
        };
        self.nodes.iter().filter_map(of_node).sum()
    }

    /// Returns the bootstraps of a layer under encryption.
    pub fn layer_bootstrap_count(&self, layer: &Layer) -> usize {
        self.nodes[layer.nodes.clone()]
            .iter()
            .map(|node| node.operation.bootstrap_count(node.output_count()))
            .sum()
    }
}

impl Node {
    /// Returns the number of output elements.
    pub fn output_count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Returns the elements of a channel of a tensor of that shape.
pub(super) fn channel_size(shape: &[usize]) -> usize {
    match shape {
        [_, height, width] => height * width,
        _ => 1,
    }
}

/// Cuts nodes into placeable layers.
pub(super) fn layers_of(nodes: &[Node], granularity: Granularity) -> Vec<Layer> {
    let together = |left: &Node, right: &Node| match (left.is_pinned, right.is_pinned) {
        (false, false) => {
            granularity == Granularity::Block && left.block.is_some() && left.block == right.block
        }
        (left, right) => left && right,
    };
    let mut start = 0;
    nodes
        .chunk_by(together)
        .map(|run| {
            let last = &run[run.len() - 1];
            let (name, op) = match &last.block {
                _ if last.is_pinned => (last.name.clone(), "pinned"),
                Some(block) if run.len() > 1 => (block.clone(), "block"),
                _ => (last.name.clone(), last.op),
            };
            let range = start..start + run.len();
            start = range.end;
            Layer {
                name,
                op,
                is_pinned: last.is_pinned,
                nodes: range,
                parameter_count: run.iter().map(|node| node.parameter_count).sum(),
                output_shape: last.shape.clone(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn client_weight_fractions_run_from_none_to_all() {
        let model = Model::load(Path::new("digits-mlp")).expect("embedded");
        let fraction = |text: &str| model.client_weight_share(&text.parse().expect("letters"));
        assert_eq!(fraction("SSS"), Some(0.0));
        assert_eq!(fraction("CCC"), Some(1.0));
        // 64·32 + 32 of 64·32 + 32 + 32·10 + 10 numbers.
        assert_eq!(fraction("CSS"), Some(2080.0 / 2410.0));
    }
}
