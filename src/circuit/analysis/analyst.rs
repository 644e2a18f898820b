//! Walks over a segment: uploads, nodes in order, downloads.

#[cfg(test)]
pub(super) mod fixture;

use std::collections::BTreeMap;
use std::ops::Range;

use super::combination::Linearised;
use super::draft::{Answer, DraftStep};
use super::grid::{HALF_TURN, MOST_IDENTITY_BITS, UPLOAD_BITS, widen};
use super::groups::Groups;
use super::planned::Analysis;
use super::spread::NoiseBound;
use super::value::DraftValue;
use crate::core::error::Result;
use crate::core::placement::Segment;
use crate::model::layer::Operation;
use crate::model::output_mode::{Added, OutputMode};
use crate::model::quantise::{QuantParams, Quantisation};
use crate::model::{Model, NodeId, ValueId};

/// A segment being analysed.
pub(super) struct Analyst<'a> {
    pub model: &'a Model,
    pub linear: Linearised<'a>,
    pub output_mode: OutputMode,
    /// The most bits of a value that is looked up as it is.
    pub identity_bits: u32,
    pub noise: NoiseBound,
    pub nodes: Range<usize>,
    pub uploads: Vec<(ValueId, Quantisation, usize)>,
    pub steps: Vec<(NodeId, Vec<usize>, DraftStep)>,
    pub downloads: Vec<(NodeId, Answer)>,
    pub values: BTreeMap<ValueId, DraftValue>,
    pub groups: Groups,
}

/// Returns the analysis of a server segment whose answers leave as they are, for noise within the
/// usual bound.
///
/// # Errors
///
/// [`crate::Error::Parameters`] where a layer's integers are too many for the grid.
pub fn analyse(model: &Model, segment: &Segment) -> Result<Analysis> {
    let (output_mode, noise) = (OutputMode::default(), NoiseBound::default());
    analyse_to_end(model, segment, output_mode, MOST_IDENTITY_BITS, noise)
}

/// Returns the analysis of a server segment whose ends are as `output_mode` says; values that are looked up
/// as they are have `identity_bits` bits at most, and ranges have room for the deviations of noise within a
/// bound.
///
/// # Errors
///
/// As [`analyse`].
pub fn analyse_to_end(
    model: &Model,
    segment: &Segment,
    output_mode: OutputMode,
    identity_bits: u32,
    noise: NoiseBound,
) -> Result<Analysis> {
    let nodes = model.nodes_of(segment);
    let mut analyst = Analyst::of_uploads(model, &nodes, output_mode, identity_bits, noise)?;
    for node in NodeId::all(nodes.clone()) {
        analyst.node(node);
    }
    for node in model.nodes_read_outside(&nodes) {
        analyst.download(node);
    }
    analyst.finish()
}

impl<'a> Analyst<'a> {
    /// Returns one that has walked over the uploads of some nodes, and none of these.
    fn of_uploads(
        model: &'a Model,
        nodes: &Range<usize>,
        output_mode: OutputMode,
        identity_bits: u32,
        noise: NoiseBound,
    ) -> Result<Self> {
        let mut analyst = Self {
            model,
            linear: Linearised::of(model, nodes)?,
            output_mode,
            identity_bits,
            noise,
            nodes: nodes.clone(),
            uploads: Vec::new(),
            steps: Vec::new(),
            downloads: Vec::new(),
            values: BTreeMap::new(),
            groups: Groups::default(),
        };
        let uploaded = model.values_read(nodes);
        for &value in &uploaded {
            analyst.upload(value);
        }
        // The first steps, for slots of uploads come before those of all steps.
        if output_mode.is_gated() {
            for &value in &uploaded {
                let gated = analyst.gate(value);
                analyst.values.insert(value, gated);
            }
        }
        Ok(analyst)
    }
}

impl Analyst<'_> {
    /// Returns the number of the next slot.
    pub(super) fn next_slot(&self) -> usize {
        self.uploads.len() + self.steps.len()
    }

    fn upload(&mut self, value: ValueId) {
        let quantisation = self.upload_quantisation(value);
        let group = self.groups.add();
        let count = self.model.element_count(value);
        self.values.insert(
            value,
            DraftValue {
                slot: self.uploads.len(),
                group,
                scales: quantisation.scales.clone(),
                offsets: quantisation.offsets.clone(),
                range: vec![(quantisation.low, quantisation.high); count],
                fresh: true,
                aligned: true,
            },
        );
        self.uploads.push((value, quantisation, group));
    }

    /// Returns how the client quantises a value: the image by its own integers, what it has
    /// quantised itself or a pool is to compare by those integers, all else by eight bits.
    fn upload_quantisation(&self, value: ValueId) -> Quantisation {
        let count = self.model.element_count(value);
        if value == ValueId::INPUT {
            let input = &self.model.input;
            return Quantisation {
                scales: input.scale.clone(),
                offsets: input.offset.clone(),
                low: 0,
                high: i64::from(input.max),
            };
        }
        let mut readers = self.model.nodes[self.nodes.clone()].iter();
        let compared = readers.any(|reader| {
            reader.inputs.contains(&value) && matches!(reader.operation, Operation::MaxPool(_))
        });
        let own = match self.model.activation_behind(value) {
            Some(activation) if compared => Some(activation.output),
            Some(activation) => activation.function.quantisation(),
            None => None,
        };
        if let Some(own) = own {
            return Quantisation::uniform(own, count);
        }
        let widened = self.model.range(value).into_iter().map(widen);
        let widest = widened.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
        let (low, high) = widest.unwrap_or((0.0, 0.0));
        // A function keeps its range; widening what it reads must not make it negative.
        let low = match self.model.activation_behind(value) {
            Some(activation) if activation.output.low >= 0 => low.max(0.0),
            _ => low,
        };
        Quantisation::uniform(
            QuantParams::covering(low, high.max(0.0), UPLOAD_BITS),
            count,
        )
    }

    /// Returns whether a combination is only ever part of the weights that fill a look-up or an answer.
    pub(super) fn is_absorbed(&self, node: NodeId) -> bool {
        let value = node.value();
        let nodes = self.model.nodes[self.nodes.clone()].iter();
        let mut others = nodes.filter(|node| {
            let reads = node.inputs.contains(&value);
            reads
                && matches!(
                    node.operation,
                    Operation::Activation(_) | Operation::MaxPool(_)
                )
        });
        let only_looked_up = match (others.next(), others.next()) {
            (Some(reader), None) => matches!(reader.operation, Operation::Activation(_)),
            _ => false,
        };
        let read_on = self.linear.reader_count(value) > 0;
        let answered = self.model.nodes_read_outside(&self.nodes).contains(&node);
        self.is_filled_answer(node) || only_looked_up && !read_on && !answered
    }

    /// Returns whether a combination is an answer that nothing of the segment reads, and whose
    /// channels are filled one by one. Weights on uploads alone are exact as they are, and stay so
    /// where they are not looked up before they leave.
    fn is_filled_answer(&self, node: NodeId) -> bool {
        let value = node.value();
        let mut nodes = self.model.nodes[self.nodes.clone()].iter();
        let looked_up = nodes.any(|reader| {
            let is_linear = matches!(reader.operation, Operation::Linear(_) | Operation::Add(_));
            !is_linear && reader.inputs.contains(&value)
        });
        if looked_up || self.linear.reader_count(value) > 0 {
            return false;
        }
        let exact = self.is_fresh(value) && self.linear.weights_on_source(value).is_some();
        !exact || self.output_mode.added(self.model, node).is_some()
    }

    /// Returns whether a value is linear in uploads that nothing looks up.
    pub(super) fn is_fresh(&self, value: ValueId) -> bool {
        self.linear.is_fresh(value) && !self.output_mode.is_gated()
    }

    fn node(&mut self, node: NodeId) {
        let model = self.model;
        let value = match &model.node(node).operation {
            Operation::Linear(_) | Operation::Add(_) => {
                if self.linear.get(node.value()).is_none() || self.is_absorbed(node) {
                    return;
                }
                let alone = self.linear.weights_on_source(node.value());
                match alone.map(|(source, weights)| (source, weights.clone())) {
                    Some((source, weights)) => self.natural(node, source, &weights),
                    None => self.on_one_scale(node, &[]),
                }
            }
            Operation::Activation(activation) => self.activation(node, activation),
            Operation::MaxPool(pool) => self.max_pool(node, pool),
            Operation::Pinned(_) => unreachable!("no server segment holds a pinned layer"),
        };
        self.values.insert(node.value(), value);
    }

    /// Adds a step and returns its slot.
    pub(super) fn push(&mut self, node: NodeId, inputs: Vec<usize>, draft: DraftStep) -> usize {
        self.steps.push((node, inputs, draft));
        self.next_slot() - 1
    }

    /// Takes note of a node whose value the client gets, which must fit half a turn at either side.
    fn download(&mut self, node: NodeId) {
        match self.output_mode.added(self.model, node) {
            None => {}
            Some(Added::Label) => {
                let label = self.label(node);
                return self.download_value(node, label);
            }
            Some(Added::Identity) => {
                let protected = self.protect(node);
                return self.download_value(node, protected);
            }
        }
        let value = node.value();
        if self.linear.get(value).is_some() && self.is_filled_answer(node) {
            let (slots, mut filling, ranges) = self.filling(value);
            // `fill · widest end` is half a turn, at either side of zero.
            filling.fills = ranges
                .chunks(filling.channel_size)
                .map(|ranges| {
                    let ends = ranges.iter().map(|(low, high)| low.abs().max(high.abs()));
                    HALF_TURN as f64 / ends.fold(f64::MIN_POSITIVE, f64::max)
                })
                .collect();
            self.groups.limit_all(filling.limits());
            let slot = self.push(node, slots, DraftStep::Filling(filling));
            self.downloads.push((node, Answer::Filled { slot, ranges }));
            return;
        }
        let value = self.values[&value].clone();
        self.download_value(node, value);
    }

    fn download_value(&mut self, node: NodeId, value: DraftValue) {
        let ends = value.range.iter();
        let largest = ends.map(|(low, high)| low.abs().max(high.abs())).max();
        // The client rounds: half a step around the largest integer decodes to it and must fit too.
        let most = HALF_TURN as f64 / (largest.unwrap_or(0).max(1) as f64 + 0.5);
        self.groups.limit(value.group, most);
        self.downloads.push((node, Answer::Natural(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{input, network, relu, walked};
    use super::*;
    use crate::core::placement::Party;
    use crate::model::layer::{Add, Linear, MaxPool};

    /// Returns how the second layer's input is uploaded where it starts a segment.
    fn uploaded(first: Operation, second: Operation) -> (f64, i64, i64) {
        let model = network(input(1, 3), vec![(vec![0], first), (vec![1], second)]);
        let segment = Segment {
            party: Party::Server,
            layers: 1..2,
        };
        let analysis = analyse(&model, &segment).expect("fits");
        let upload = &analysis.uploads[0].quantisation;
        (upload.scales[0], upload.low, upload.high)
    }

    #[test]
    fn uploads_have_eight_bits_of_the_widened_range_unless_a_pool_compares_them() {
        let linear = || {
            Operation::Linear(Linear {
                range: vec![(-1.0, 3.0)],
                ..fixture::linear(&[&[1.0]], &[0.0])
            })
        };
        let relu = || Operation::Activation(relu(0.25, 15));
        let pool = || {
            let windows = vec![vec![0]];
            Operation::MaxPool(MaxPool { windows })
        };
        // -2 to 4, with a sign.
        assert_eq!(uploaded(linear(), relu()), (4.0 / 127.0, -127, 127));
        // 0 to 3 of the image, widened to 3.75 but not below zero.
        assert_eq!(uploaded(relu(), linear()), (3.75 / 255.0, 0, 255));
        assert_eq!(uploaded(relu(), pool()), (0.25, 0, 15));
        let image = network(input(1, 3), vec![(vec![0], linear())]);
        let own = &walked(&image, 0).uploads[0].1;
        assert_eq!((own.scales[0], own.low, own.high), (1.0, 0, 3));
    }

    #[test]
    fn the_largest_answer_and_half_a_step_fit_half_a_turn() {
        let relu = Operation::Activation(relu(1.0, 3));
        let model = network(input(1, 3), vec![(vec![0], relu)]);
        let analysis = analyse(&model, &Segment::whole(1)).expect("fits");
        // 2^32 / 3.5 is 1,227,133,513.1.
        assert_eq!(analysis.downloads[0].step, 1_227_133_512);
    }

    #[test]
    fn a_linear_layer_is_part_of_its_look_up_unless_others_read_it() {
        let relu = || (vec![1], Operation::Activation(relu(1.0, 3)));
        let linear = || (vec![0], fixture::identity(1));
        let nodes_of = |operations: Vec<(Vec<usize>, Operation)>| -> Vec<NodeId> {
            let model = network(input(1, 3), operations);
            let segment = Segment::whole(model.layer_count());
            let analysis = analyse(&model, &segment).expect("fits");
            analysis.steps.iter().map(|step| step.node).collect()
        };
        assert_eq!(nodes_of(vec![linear(), relu()]), [0, 1].map(NodeId::new));
        let range = vec![(0.0, 6.0)];
        let add = (vec![1, 2], Operation::Add(Add { range }));
        // Made, then in front of the look-up as it is, and once more in the sum.
        let made = nodes_of(vec![linear(), relu(), add]);
        assert_eq!(made, [0, 1, 1, 2].map(NodeId::new));
    }

    #[test]
    fn a_step_names_the_layers_that_are_composed_into_it() {
        let linear = |weight: f32| fixture::dense(&[&[weight]], &[1.0]);
        let model = network(
            input(1, 3),
            vec![(vec![0], linear(2.0)), (vec![1], linear(3.0))],
        );
        let analysis = analyse(&model, &Segment::whole(2)).expect("fits");
        assert_eq!(analysis.steps.len(), 1);
        let step = &analysis.steps[0];
        assert_eq!(step.node, NodeId::new(1));
        assert_eq!(step.composed, [NodeId::new(0)]);
    }
}
