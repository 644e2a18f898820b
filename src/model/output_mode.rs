//! What server segments look up beside what the model does, at both ends: before answers leave, and as
//! uploads arrive; and how many look-ups that adds.

use std::ops::Range;

use crate::core::placement::{Party, Placement};
use crate::model::answer::{Answer, label_look_up_count};
use crate::model::graph::Model;
use crate::model::index::NodeId;
use crate::model::layer::Operation;
use crate::model::protection::Protection;

/// What becomes of the values that server segments return, and of those that they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputMode {
    pub answer: Answer,
    pub protect: Protection,
}

/// What is looked up before a value leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// Which of its elements is the largest.
    Label,
    /// Each element, as it is.
    Identity,
}

impl OutputMode {
    /// Returns what is looked up before a node's value leaves a server segment, if anything is.
    pub fn added(&self, model: &Model, node: NodeId) -> Option<Added> {
        let value = node.value();
        let is_label = value == model.output() && self.answer == Answer::Label;
        if is_label && model.element_count(value) > 1 {
            return Some(Added::Label);
        }
        let is_looked_up = matches!(model.node(node).operation, Operation::Activation(_));
        let is_protected = self.protect == Protection::Bootstrap && !is_looked_up;
        is_protected.then_some(Added::Identity)
    }

    /// Returns whether each uploaded element is looked up as it is before anything reads it.
    pub fn is_gated(&self) -> bool {
        self.protect == Protection::Gate
    }

    /// Returns the bootstraps of each layer in one inference; none for layers on the client. Those of an
    /// upload count with the first layer that reads it.
    pub fn layer_bootstrap_counts(&self, model: &Model, placement: &Placement) -> Vec<usize> {
        let layers = model.layers.iter().zip(placement.parties());
        let mut counts: Vec<usize> = layers
            .map(|(layer, party)| match party {
                Party::Client => 0,
                Party::Server => model.layer_bootstrap_count(layer),
            })
            .collect();
        for segment in placement.server_segments() {
            let nodes = model.nodes_of(&segment);
            if self.is_gated() {
                for value in model.values_read(&nodes) {
                    let reader = model.first_reader(value, &nodes);
                    counts[model.layer_of(reader)] += model.element_count(value);
                }
            }
            for node in model.nodes_read_outside(&nodes) {
                let elements = model.element_count(node.value());
                counts[model.layer_of(node)] += match self.added(model, node) {
                    None => 0,
                    Some(Added::Label) => label_look_up_count(elements),
                    Some(Added::Identity) => elements,
                };
            }
        }
        counts
    }

    /// Returns the bootstraps of one inference.
    pub fn bootstrap_count(&self, model: &Model, placement: &Placement) -> usize {
        self.layer_bootstrap_counts(model, placement).iter().sum()
    }

    /// Returns the bootstraps of one inference through a server segment of those layers.
    pub fn segment_bootstrap_count(&self, model: &Model, layers: &Range<usize>) -> usize {
        let alone = Placement::with_server(layers.clone(), &model.pins());
        self.bootstrap_count(model, &alone)
    }
}
