//! What is known while the nodes of a graph are taken in order: the draft, and what the names of the
//! file stand for. No operator is known here.

use std::collections::HashMap;
use std::rc::Rc;

use super::draft::NetworkDraft;
use super::input;
use super::value::{Constant, Value, Wire};
use crate::core::foreign::quoted;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::{Graph, Node, Tensor};

/// What is known while the nodes are taken in order.
pub struct Lowering<'a> {
    pub graph: &'a Graph,
    pub draft: NetworkDraft,
    /// By value; dropped after the last use.
    values: HashMap<usize, Value>,
    /// How often each value is still to be read.
    uses_left: Vec<usize>,
}

impl<'a> Lowering<'a> {
    /// Returns what is known of a graph before its first node: its inputs.
    ///
    /// # Errors
    ///
    /// A sentence where these are too large.
    pub fn new(graph: &'a Graph) -> Outcome<Self> {
        /// Elements that a file without large constants may make.
        const ELEMENTS: usize = 1 << 22;
        /// Elements that may be made for each one in the file.
        const MULTIPLE: usize = 32;
        let count: usize = graph.constants.values().map(Tensor::count).sum();
        let mut draft = NetworkDraft::new(&input::shape(graph), ELEMENTS + MULTIPLE * count);
        let values = input::values(graph, &mut draft)?;
        Ok(Self {
            graph,
            draft,
            values,
            uses_left: graph.use_counts.clone(),
        })
    }

    /// Says what a name of the file stands for.
    pub fn keep(&mut self, name: usize, value: Value) {
        self.values.insert(name, value);
    }

    /// Counts what a node has read, and drops what nothing else will read.
    pub fn has_read(&mut self, node: &Node) {
        for input in node.reads() {
            self.uses_left[input] = self.uses_left[input].saturating_sub(1);
            if self.uses_left[input] == 0 {
                self.values.remove(&input);
            }
        }
    }

    /// Returns what a name of the file stands for.
    pub fn value(&mut self, value: usize) -> Outcome<&Value> {
        if !self.values.contains_key(&value) {
            let Some(tensor) = self.graph.constants.get(&value) else {
                let name = quoted(&self.graph.names[value]);
                return unsupported(format!("reads {name}, an output that is not computed here"));
            };
            let tensor = tensor.clone();
            let origin = Some(self.graph.names[value].clone());
            let constant = Constant {
                origin,
                ..Constant::new(tensor)
            };
            self.values
                .insert(value, Value::Constant(Rc::new(constant)));
        }
        match self.values.get(&value) {
            Some(value) => Ok(value),
            None => invalid("reads a value that is not there"),
        }
    }

    /// Returns an input of a node that depends on the network's input.
    pub fn wire(&mut self, node: &Node, index: usize) -> Outcome<Wire> {
        match self.value(node.input(index)?)? {
            Value::Wire(wire) => Ok(wire.clone()),
            Value::Constant(_) => unsupported(format!("input {index} is a constant")),
            Value::Scores(_) => unsupported("computes with what comes after the logits"),
            Value::Padded(_) => unsupported("reads what a Pad made"),
            Value::Turned(_) => unsupported("reads a list whose batch is its last axis"),
            Value::Client(_) => {
                unsupported("reads a value whose first axis is no batch, or of integers")
            }
        }
    }

    /// Returns such an input of a node that takes integers for what they are.
    pub fn number_wire(&mut self, node: &Node, index: usize) -> Outcome<Wire> {
        let wire = self.wire(node, index)?;
        let integers = wire.integers.filter(|integers| !integers.are_input);
        Ok(Wire { integers, ..wire })
    }

    /// Returns an input of a node that does not depend on the network's input.
    pub fn constant(&mut self, node: &Node, index: usize) -> Outcome<Rc<Constant>> {
        match self.value(node.input(index)?)? {
            Value::Constant(constant) => Ok(Rc::clone(constant)),
            _ => unsupported(format!("input {index} is not a constant")),
        }
    }

    /// Returns such an input where the node has it.
    pub fn optional_constant(
        &mut self,
        node: &Node,
        index: usize,
    ) -> Outcome<Option<Rc<Constant>>> {
        match node.optional_input(index) {
            Some(_) => self.constant(node, index).map(Some),
            None => Ok(None),
        }
    }

    /// Returns whether anything but the inputs of a node comes from a root.
    pub fn is_read_elsewhere(&self, node: &Node, root: usize) -> bool {
        let is_own =
            |value: &usize| node.inputs.contains(&Some(*value)) && self.uses_left[*value] == 1;
        let is_of_root = |value: &Value| match value {
            Value::Wire(wire) | Value::Turned(wire) => wire.root == root,
            Value::Padded(padded) => padded.wire.root == root,
            Value::Scores(scores) => scores.logits.root == root,
            Value::Client(value) => value.wire.root == root,
            Value::Constant(_) => false,
        };
        self.values
            .iter()
            .any(|(value, made)| is_of_root(made) && !is_own(value))
            || self
                .draft
                .steps
                .iter()
                .any(|step| step.inputs.contains(&root))
    }
}
