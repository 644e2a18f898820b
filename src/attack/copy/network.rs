//! A network, or a part of one, some of whose layers are learnt: values for a batch, and gradients.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::affine::{Affine, Batch, Tensors};
use super::element::Element;
use super::step::{Action, Step, add};
use crate::circuit::program::Program;
use crate::core::placement::{Party, Placement};
use crate::model::layer::{Activation, Operation};
use crate::model::{Model, NodeId, ValueId};

/// Layers in order, each a step on values that were made before.
#[derive(Debug, Clone)]
pub struct Network {
    input_count: usize,
    steps: Vec<Step>,
    /// Values that leave it.
    outputs: Vec<usize>,
    /// Nodes whose weights are learnt, in order.
    pub learnt: Vec<NodeId>,
    /// Of each value, whether learnt weights stand before it.
    depends: Vec<bool>,
}

/// The values of a run, inputs first.
pub struct Run(Vec<Batch>);

/// Builds networks of a model's nodes.
struct Builder<'a> {
    model: &'a Model,
    network: Network,
    places: BTreeMap<ValueId, usize>,
}

impl Network {
    /// Returns a server segment: its uploads are inputs, its downloads outputs.
    pub fn of_segment(model: &Model, program: &Program) -> Self {
        let uploads = program.interface.uploads.iter().map(|upload| upload.value);
        let mut builder = Builder::new(model, uploads.collect());
        builder.push_all(program.nodes.clone(), Party::Server);
        let downloads = program.interface.downloads.iter();
        builder.finish(downloads.map(|download| download.node.value()))
    }

    /// Returns a placement from the network's input to its output: the client's layers as they are, the
    /// server's learnt.
    pub fn of_placement(model: &Model, placement: &Placement, programs: &[Arc<Program>]) -> Self {
        let mut builder = Builder::new(model, vec![ValueId::INPUT]);
        let mut programs = programs.iter();
        for segment in placement.segments() {
            let nodes = model.nodes_of(&segment);
            if segment.party == Party::Client {
                builder.push_all(nodes, Party::Client);
                continue;
            }
            let Some(program) = programs.next() else {
                unreachable!("one program per server segment");
            };
            let whole = builder.places.clone();
            for upload in &program.interface.uploads {
                let quantisation = Arc::new(upload.quantisation.clone());
                let operands = vec![builder.places[&upload.value]];
                let place = builder.push(operands, Action::Upload(quantisation));
                builder.places.insert(upload.value, place);
            }
            builder.push_all(nodes, Party::Server);
            // Others read what the client has, not what it rounded.
            builder.places.extend(whole);
        }
        let output = model.output();
        builder.finish(std::iter::once(output))
    }

    /// Returns whether gradients reach all learnt weights: no operator without one stands behind any.
    pub fn is_differentiable(&self) -> bool {
        let is_behind = |step: &Step| step.operands.iter().any(|&operand| self.depends[operand]);
        let mut pinned = self
            .steps
            .iter()
            .filter(|step| matches!(step.action, Action::Pinned(_)));
        !pinned.any(is_behind)
    }

    /// Returns the true weights of the learnt layers.
    pub fn truth(&self, model: &Model) -> Vec<Tensors> {
        let of = |&node: &NodeId| affine_of(model, node).map(|(_, tensors)| tensors);
        self.learnt.iter().filter_map(of).collect()
    }

    /// Returns the values for inputs.
    pub fn run(&self, learnt: &[Tensors], inputs: Vec<Batch>) -> Run {
        let mut run = Run(inputs);
        for step in &self.steps {
            run.0.push(step.run(learnt, &run.0));
        }
        run
    }

    /// Returns the outputs for inputs.
    pub fn outputs(&self, learnt: &[Tensors], inputs: Vec<Batch>) -> Vec<Batch> {
        let mut run = self.run(learnt, inputs);
        let take = |&value: &usize| std::mem::take(&mut run.0[value]);
        self.outputs.iter().map(take).collect()
    }

    /// Adds the gradients of the learnt weights to `sums`, for those of the outputs.
    pub fn differentiate(
        &self,
        learnt: &[Tensors],
        run: &Run,
        outputs: Vec<Batch>,
        sums: &mut [Tensors],
    ) {
        let mut gradients: Vec<Option<Batch>> = vec![None; run.0.len()];
        for (&value, gradient) in self.outputs.iter().zip(outputs) {
            add(&mut gradients[value], gradient);
        }
        for (index, step) in self.steps.iter().enumerate().rev() {
            let value = self.input_count + index;
            if !self.depends[value] {
                continue;
            }
            if let Some(gradient) = gradients[value].take() {
                let wanted = |operand: usize| self.depends[operand];
                step.differentiate(learnt, &run.0, &gradient, sums, &wanted, &mut gradients);
            }
        }
    }

    /// Returns what is left of the network where all that stands before learnt weights has run, and the values
    /// that it reads.
    pub fn behind_known(&self, inputs: Vec<Batch>) -> (Self, Vec<Batch>) {
        let mut values: Vec<Batch> = inputs;
        let mut read = BTreeSet::new();
        for (index, step) in self.steps.iter().enumerate() {
            let is_left = self.depends[self.input_count + index];
            let operands = step.operands.iter().filter(|value| !self.depends[**value]);
            read.extend(operands.copied().filter(|_| is_left));
            values.push(if is_left {
                Batch::default((0, 0))
            } else {
                step.run(&[], &values)
            });
        }
        read.extend(
            self.outputs
                .iter()
                .copied()
                .filter(|value| !self.depends[*value]),
        );
        let mut places: BTreeMap<usize, usize> = read.iter().copied().zip(0..).collect();
        let mut steps = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let value = self.input_count + index;
            if self.depends[value] {
                places.insert(value, read.len() + steps.len());
                let operands = step
                    .operands
                    .iter()
                    .map(|operand| places[operand])
                    .collect();
                let action = step.action.clone();
                steps.push(Step { operands, action });
            }
        }
        let mut depends = vec![false; read.len()];
        depends.resize(read.len() + steps.len(), true);
        let rest = Self {
            input_count: read.len(),
            steps,
            outputs: self.outputs.iter().map(|output| places[output]).collect(),
            learnt: self.learnt.clone(),
            depends,
        };
        let inputs = read
            .into_iter()
            .map(|value| std::mem::take(&mut values[value]));
        (rest, inputs.collect())
    }

    /// Returns the multiplications by weights of an input in steps that learning runs.
    pub fn learnt_multiplication_count(&self) -> usize {
        let steps = self.steps.iter().zip(&self.depends[self.input_count..]);
        let steps = steps.filter(|(_, depends)| **depends);
        steps.map(|(step, _)| step.multiplication_count()).sum()
    }

    /// Returns the multiplications by weights of an input.
    pub fn multiplication_count(&self) -> usize {
        self.steps.iter().map(Step::multiplication_count).sum()
    }

    /// Returns the number of learnt numbers.
    pub fn learnt_count(&self) -> usize {
        let of = |step: &Step| match &step.action {
            Action::Learnt(affine, _) => affine.weight_count() + affine.bias_count(),
            _ => 0,
        };
        self.steps.iter().map(of).sum()
    }

    /// Calls `visit` with each learnt layer, its place among the learnt ones, and the batch that it reads; runs
    /// the steps one after the other on what `visit` made of the weights.
    pub fn visit_learnt(
        &self,
        learnt: &mut [Tensors],
        inputs: Vec<Batch>,
        mut visit: impl FnMut(&Affine, usize, &Batch, &mut Tensors),
    ) {
        let mut run = Run(inputs);
        for step in &self.steps {
            if let Action::Learnt(affine, index) = &step.action {
                visit(
                    affine,
                    *index,
                    &run.0[step.operands[0]],
                    &mut learnt[*index],
                );
            }
            run.0.push(step.run(learnt, &run.0));
        }
    }

    /// Returns whether the only learnt layer is the one that makes the only output.
    pub fn is_solvable(&self) -> bool {
        let is_last = |step: &Step| matches!(step.action, Action::Learnt(..));
        let last = self.input_count + self.steps.len() - 1;
        self.learnt.len() == 1 && self.outputs == [last] && self.steps.last().is_some_and(is_last)
    }
}

impl Run {
    /// Returns the outputs of a network's run.
    pub fn outputs<'a>(&'a self, network: &'a Network) -> impl Iterator<Item = &'a Batch> {
        network.outputs.iter().map(|&value| &self.0[value])
    }
}

impl<'a> Builder<'a> {
    fn new(model: &'a Model, inputs: Vec<ValueId>) -> Self {
        let network = Network {
            input_count: inputs.len(),
            steps: Vec::new(),
            outputs: Vec::new(),
            learnt: Vec::new(),
            depends: vec![false; inputs.len()],
        };
        let places = inputs.into_iter().zip(0..).collect();
        Self {
            model,
            network,
            places,
        }
    }

    fn push_all(&mut self, nodes: Range<usize>, party: Party) {
        for id in NodeId::all(nodes) {
            let node = self.model.node(id);
            let operands = node.inputs.iter().map(|value| self.places[value]).collect();
            let action = self.action(id, party);
            let place = self.push(operands, action);
            self.places.insert(id.value(), place);
        }
    }

    fn action(&mut self, id: NodeId, party: Party) -> Action {
        let node = self.model.node(id);
        match &node.operation {
            Operation::Linear(linear) if party == Party::Client || node.parameter_count == 0 => {
                Action::Known(Arc::new(Affine::of(linear, 1)))
            }
            Operation::Linear(linear) => {
                self.network.learnt.push(id);
                let (affine, _) = Affine::of(linear, node.channel_size);
                Action::Learnt(affine, self.network.learnt.len() - 1)
            }
            Operation::Activation(Activation { function, output }) => {
                let rounding = (party == Party::Server).then_some(*output);
                Action::Element(Element::new(function.clone(), rounding))
            }
            Operation::Add(_) => Action::Add,
            Operation::MaxPool(pool) => Action::MaxPool(Arc::new(pool.windows.clone())),
            Operation::Pinned(pinned) => Action::Pinned(Arc::new(pinned.clone())),
        }
    }

    fn push(&mut self, operands: Vec<usize>, action: Action) -> usize {
        let of_operands = operands.iter().any(|&value| self.network.depends[value]);
        let depends = of_operands || matches!(action, Action::Learnt(..));
        self.network.depends.push(depends);
        self.network.steps.push(Step { operands, action });
        self.network.depends.len() - 1
    }

    fn finish(mut self, outputs: impl Iterator<Item = ValueId>) -> Network {
        self.network.outputs = outputs.map(|value| self.places[&value]).collect();
        self.network
    }
}

/// Returns a linear node's shape and weights, a bias for each channel.
fn affine_of(model: &Model, id: NodeId) -> Option<(Affine, Tensors)> {
    let node = model.node(id);
    match &node.operation {
        Operation::Linear(linear) => Some(Affine::of(linear, node.channel_size)),
        _ => None,
    }
}

#[cfg(test)]
impl Network {
    /// Returns all of a model, learnt, without any rounding: what gradients are those of.
    pub(super) fn unrounded(model: &Model) -> Self {
        let mut builder = Builder::new(model, vec![ValueId::INPUT]);
        builder.push_all(0..model.nodes.len(), Party::Server);
        let mut network = builder.finish(std::iter::once(model.output()));
        for step in &mut network.steps {
            if let Action::Element(element) = &mut step.action {
                *element = element.clone().unrounded();
            }
        }
        network
    }
}
