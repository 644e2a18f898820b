//! The linear part of a segment: which of its values are made, and each as one linear combination of
//! others.
//!
//! Linear nodes in a row, sums and fan-out included, are composed in reals and rounded to integers
//! once: integers multiplied by integers grow with every factor, until half a turn has no room left for
//! the bits of the weights. A value that an activation, a pool or the client reads is made; any other
//! only where composing it into its readers costs more than it is worth ([`Linearised::composes`]), and
//! never so that more than [`MOST_FACTORS`] matrices are multiplied in integers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::core::error::{Error, Result};
use crate::core::linear_map::LinearMap;
use crate::model::layer::{Geometry, Linear, Operation};
use crate::model::quantise::{WeightBits, quantise_map};
use crate::model::{Model, NodeId, ValueId};

/// Multiplications of a composed map that are few beside everything else that a server does: a third
/// of a second of a core.
const FEW: usize = 1 << 20;
/// How many times the multiplications of its factors a composed map may have, where it has more.
const MOST_GROWTH: usize = 4;
/// Multiplications that no composed map may exceed: half a minute of a core.
const MOST: usize = 1 << 26;
/// Matrices that may be multiplied in integers, one after the other: two of eight bits, each with some
/// bits for its sums, behind uploads of eight bits fill half a turn.
const MOST_FACTORS: usize = 2;
/// The most bits of integers that are as good as reals, where they are the weights without any error.
const EXACT_BITS: u32 = 8;

/// A value as `Σ terms + bias`.
#[derive(Debug, Clone)]
pub(super) struct Combination {
    /// At most one with weights for each value.
    pub terms: Vec<Operand>,
    /// Per element, corrections included.
    pub bias: Vec<f64>,
    /// The other nodes that are composed into it.
    pub composed: BTreeSet<NodeId>,
}

/// A value that a combination reads.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub value: ValueId,
    /// None for the value as it is.
    pub weights: Option<Weights>,
}

/// Weights on a value.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    pub map: LinearMap<f32>,
    pub geometry: Geometry,
    /// Bits of the integer weights where the value comes out of a look-up.
    pub bits: u32,
    /// Per output element: the weights are integer multiples of it.
    pub scale: Option<Vec<f32>>,
}

/// The linear nodes of a segment as combinations.
pub(super) struct Linearised<'a> {
    model: &'a Model,
    nodes: Range<usize>,
    /// Values that are made whatever the combinations are, and those that a combination keeps.
    wanted: BTreeSet<ValueId>,
    combinations: BTreeMap<ValueId, Combination>,
}

impl<'a> Linearised<'a> {
    /// Returns the combinations of a segment's linear nodes.
    ///
    /// # Errors
    ///
    /// [`Error::Parameters`] where layers in a row are too large to be composed.
    pub fn of(model: &'a Model, nodes: &Range<usize>) -> Result<Self> {
        let leaving = model.nodes_read_outside(nodes).into_iter();
        let mut all = Self {
            model,
            nodes: nodes.clone(),
            wanted: leaving.map(NodeId::value).collect(),
            combinations: BTreeMap::new(),
        };
        let is_linear = |node: &NodeId| {
            let operation = &model.node(*node).operation;
            matches!(operation, Operation::Linear(_) | Operation::Add(_))
        };
        let nodes = NodeId::all(nodes.clone());
        for node in nodes.clone().filter(|node| !is_linear(node)) {
            all.wanted.extend(&model.node(node).inputs);
        }
        for node in nodes.filter(is_linear) {
            let combination = all.combine(node)?;
            all.combinations.insert(node.value(), combination);
        }
        let wanted = &all.wanted;
        all.combinations.retain(|value, _| wanted.contains(value));
        Ok(all)
    }

    /// Returns a value as a combination, where it is made as one.
    pub fn get(&self, value: ValueId) -> Option<&Combination> {
        self.combinations.get(&value)
    }

    /// Returns the bias of a value that is made.
    pub fn bias(&self, value: ValueId) -> Vec<f64> {
        self.combinations[&value].bias.clone()
    }

    /// Returns the weights that make a value and the value that they read, where they are all that
    /// makes it and that value is no combination.
    pub fn weights_on_source(&self, value: ValueId) -> Option<(ValueId, &Weights)> {
        match self.combinations.get(&value)?.terms.as_slice() {
            [
                Operand {
                    value: source,
                    weights: Some(weights),
                },
            ] if !self.combinations.contains_key(source) => Some((*source, weights)),
            _ => None,
        }
    }

    /// Returns how many combinations read a value.
    pub fn reader_count(&self, value: ValueId) -> usize {
        let terms = self.combinations.values().flat_map(|made| &made.terms);
        terms.filter(|term| term.value == value).count()
    }

    /// Returns whether a value is linear in uploads, gates aside: these round alike up and down, so that no
    /// correction is for them.
    pub fn is_fresh(&self, value: ValueId) -> bool {
        match self.combinations.get(&value) {
            Some(made) => made.terms.iter().all(|term| self.is_fresh(term.value)),
            // Values of other segments are uploaded.
            None => !value
                .producer()
                .is_some_and(|node| self.nodes.contains(&node.index())),
        }
    }

    fn combine(&mut self, node: NodeId) -> Result<Combination> {
        let model = self.model;
        let inputs = &model.node(node).inputs;
        let mut made = Combination {
            terms: Vec::new(),
            bias: vec![0.0; model.element_count(node.value())],
            composed: BTreeSet::new(),
        };
        match &model.node(node).operation {
            Operation::Linear(linear) => {
                // The correction is for inputs that look-ups have rounded.
                let corrected = !self.is_fresh(inputs[0]);
                let own = linear.bias.iter().zip(&linear.correction);
                made.bias = own
                    .map(|(&bias, &correction)| {
                        f64::from(bias)
                            + if corrected {
                                f64::from(correction)
                            } else {
                                0.0
                            }
                    })
                    .collect();
                self.weigh(&mut made, node, inputs[0], Weights::of(linear))?;
            }
            Operation::Add(_) => {
                for &value in inputs {
                    self.sum(&mut made, value);
                }
            }
            Operation::Activation(_) | Operation::MaxPool(_) | Operation::Pinned(_) => {
                unreachable!("only linear nodes are combined")
            }
        }
        Ok(made)
    }

    /// Adds weights times a value: on what the value is made of, or on itself.
    fn weigh(
        &mut self,
        made: &mut Combination,
        node: NodeId,
        value: ValueId,
        weights: Weights,
    ) -> Result<()> {
        if !self.composes(node, value, &weights)? {
            self.wanted.insert(value);
            made.add(Operand {
                value,
                weights: Some(weights),
            });
            return Ok(());
        }
        let inner = self.combinations[&value].clone();
        let bias = weights.map.apply_to(&inner.bias);
        made.bias
            .iter_mut()
            .zip(bias)
            .for_each(|(sum, b)| *sum += b);
        made.composed.extend(value.producer());
        made.composed.extend(inner.composed);
        for term in inner.terms {
            let weights = match &term.weights {
                None => weights.clone(),
                Some(inner) => weights.after(inner),
            };
            self.weigh(made, node, term.value, weights)?;
        }
        Ok(())
    }

    /// Adds a value: what it is made of, where nothing else wants it, or itself.
    fn sum(&mut self, made: &mut Combination, value: ValueId) {
        let inner = self.combinations.get(&value);
        let Some(inner) = inner.filter(|_| !self.wanted.contains(&value)) else {
            self.wanted.insert(value);
            let weights = None;
            return made.add(Operand { value, weights });
        };
        let inner = inner.clone();
        let sums = made.bias.iter_mut().zip(inner.bias);
        sums.for_each(|(sum, bias)| *sum += bias);
        made.composed.extend(value.producer());
        made.composed.extend(inner.composed);
        for term in inner.terms {
            made.add(term);
        }
    }

    /// Returns whether weights of a node on a value are composed with what makes the value.
    ///
    /// They are where the composed map takes no more multiplications than its factors; up to
    /// [`FEW`], or [`MOST_GROWTH`] times those, where the factors would be rounded; and up to
    /// [`MOST`] where otherwise too many factors would follow each other. A value that is made for
    /// others too costs nothing as a factor.
    fn composes(&self, node: NodeId, value: ValueId, weights: &Weights) -> Result<bool> {
        let Some(inner) = self.combinations.get(&value) else {
            return Ok(false);
        };
        let own = weights.map.multiplication_count();
        let of_inner = inner.terms.iter().flat_map(|term| &term.weights);
        let of_inner: usize = of_inner.map(|w| w.map.multiplication_count()).sum();
        let factors = match self.wanted.contains(&value) {
            true => own,
            false => own + of_inner,
        };
        let too_many = 1 + self.factor_count(value) > MOST_FACTORS;
        let most = match (too_many, inner.is_exact()) {
            (true, _) => MOST,
            (false, true) => factors,
            (false, false) => FEW.max(MOST_GROWTH * factors),
        };
        let mut count = 0;
        for term in &inner.terms {
            let of_term = match &term.weights {
                None => Some(own),
                Some(inner) => weights.map.multiplications_after(&inner.map, most),
            };
            count = of_term.map_or(usize::MAX, |of_term| of_term.saturating_add(count));
        }
        if count > most && too_many {
            return Err(Error::Parameters(format!(
                "layer {:?} and the linear layers before it make a map of more than {MOST} weights: \
                 place some of them on the client",
                self.model.node(node).name
            )));
        }
        Ok(count <= most)
    }

    /// Returns the matrices between a value and the nearest look-ups or uploads, in integers.
    fn factor_count(&self, value: ValueId) -> usize {
        let made = self.combinations.get(&value);
        let terms = made.into_iter().flat_map(|made| &made.terms);
        let counts =
            terms.map(|term| usize::from(term.weights.is_some()) + self.factor_count(term.value));
        counts.max().unwrap_or(0)
    }
}

impl Combination {
    fn add(&mut self, term: Operand) {
        let weighed = self.terms.iter_mut();
        let mut same = weighed.filter_map(|known| match known.value == term.value {
            true => known.weights.as_mut(),
            false => None,
        });
        match (same.next(), &term.weights) {
            (Some(known), Some(weights)) => *known = known.plus(weights),
            _ => self.terms.push(term),
        }
    }

    /// Returns whether it is one matrix of few integers, without any error.
    fn is_exact(&self) -> bool {
        match self.terms.as_slice() {
            [term] => term
                .weights
                .as_ref()
                .is_none_or(|w| w.integer_scales().is_some()),
            _ => false,
        }
    }
}

impl Weights {
    fn of(linear: &Linear) -> Self {
        Self {
            map: linear.map.clone(),
            geometry: linear.geometry,
            bits: linear.weight_bits,
            scale: linear.weight_scale.clone(),
        }
    }

    /// Returns the weights on what `inner` reads.
    fn after(&self, inner: &Self) -> Self {
        let map = self.map.after(&inner.map);
        let exact = Self {
            scale: self.scale_after(inner),
            bits: self.bits.max(inner.bits),
            ..Self::composed(map)
        };
        match exact.integer_scales() {
            Some(_) => exact,
            // Integers of many bits are no better than reals, and harder to fit.
            None => Self {
                scale: None,
                ..exact
            },
        }
    }

    /// Returns the sum of weights on one value.
    fn plus(&self, other: &Self) -> Self {
        Self {
            bits: self.bits.max(other.bits),
            ..Self::composed(self.map.plus(&other.map))
        }
    }

    fn composed(map: LinearMap<f32>) -> Self {
        Self {
            geometry: match map.is_dense() {
                true => Geometry::Dense,
                false => Geometry::Other,
            },
            map,
            bits: 0,
            scale: None,
        }
    }

    /// Returns, per output element, the number that all weights are multiples of, infinite where they
    /// are zero; none unless they are integers of [`EXACT_BITS`] without any error.
    fn integer_scales(&self) -> Option<Vec<f64>> {
        let ones = vec![1.0; self.map.input_count];
        let bits = WeightBits::plain(EXACT_BITS);
        let rows = quantise_map(&self.map, bits, self.scale.as_deref(), &ones, true);
        let blocks = rows.map.blocks.iter();
        let mut integers = blocks.flat_map(|block| block.weights.iter());
        let few = integers.all(|&integer| (integer as i64).abs() < 1 << EXACT_BITS);
        let exact = rows.exact.iter().zip(&rows.scales);
        let mut exact = exact.map(|(exact, scale)| *exact || scale.is_infinite());
        (few && exact.all(|exact| exact)).then_some(rows.scales)
    }

    /// Returns the scale of weights composed of integers: that of the row times that of all rows that
    /// it reads, where these agree.
    fn scale_after(&self, inner: &Self) -> Option<Vec<f32>> {
        let (outer, inner) = (self.integer_scales()?, inner.integer_scales()?);
        let mut scales = vec![0.0; self.map.output_count];
        for block in &self.map.blocks {
            let rows = block.weights.chunks_exact(block.inputs.len());
            for (&output, row) in block.outputs.iter().zip(rows) {
                let read = block.inputs.iter().zip(row);
                let read = read.filter(|(_, weight)| **weight != 0.0);
                let mut read = read.filter_map(|(&input, _)| inner.get(input as usize));
                let mut read = read.by_ref().filter(|scale| scale.is_finite());
                let common = read.next().copied().unwrap_or(1.0);
                if !read.all(|&scale| scale == common) {
                    return None;
                }
                let of_row = outer[output as usize];
                let of_row = if of_row.is_finite() { of_row } else { 1.0 };
                scales[output as usize] = (of_row * common) as f32;
            }
        }
        Some(scales)
    }
}

#[cfg(test)]
mod tests;
