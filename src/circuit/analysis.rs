//! What a server segment needs, before any encryption parameters are chosen: integer weights,
//! scales, ranges and noise gains.
//!
//! Every value of a segment lies on one *grid* of integers. Look-ups and uploads are *sources*:
//! their integers are multiples of a step of their own. What lies between sources is linear, with
//! integer weights. The weights in front of a look-up are chosen so that each of its channels
//! fills half a turn, which is [`HALF_TURN`] on the grid: noise counts least then, and a channel
//! of small numbers is no worse off than one of large ones. A source's step is the largest at
//! which all weights that it meets keep their bits, because larger steps mean smaller weights,
//! which carry less of the source's noise.

mod combination;
mod gain;
mod groups;
mod integer;
mod label;
mod linear;
mod look_up;
mod pool;
mod protect;
mod settle;
mod spread;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::core::error::Result;
use crate::core::linear_map::LinearMap;
use crate::core::placement::Segment;
use crate::model::Model;
use crate::model::ending::{Added, Ending};
use crate::model::layer::{Geometry, Operation};
use crate::model::quantise::{QuantParams, Quantisation};

use combination::Linearised;
pub use gain::{Gain, gains};
use groups::Groups;
pub use integer::BeforeLookUp;
pub use look_up::{Channel, PlannedLookUp, Purpose};
pub use protect::MOST_PROTECT_BITS;
pub use spread::{DEFAULT_LOG2_P_FAIL_LOOKUP, DEFAULT_STEP_NOISE, NoiseBound};

/// Half a turn less the guard bands, in integers of the grid.
pub const HALF_TURN: i64 = 1 << 32;
/// Bits of an uploaded integer, and of the weights that meet uploads: fresh ciphertexts have so
/// little noise that these bits are free.
pub const UPLOAD_BITS: u32 = 8;
/// Widening of each calibrated range at either end, as a share of its width: inputs outside the
/// calibration data reach further.
pub const RANGE_MARGIN: f64 = 0.25;

/// A server segment in integers.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Indices of its nodes in the model.
    pub nodes: Range<usize>,
    pub uploads: Vec<PlannedUpload>,
    /// Slot i is upload i, and slot `uploads + i` the output of step i.
    pub steps: Vec<PlannedStep>,
    pub downloads: Vec<PlannedDownload>,
}

/// A value that the client sends.
#[derive(Debug, Clone)]
pub struct PlannedUpload {
    /// The value in the model.
    pub value: usize,
    pub quantisation: Quantisation,
    /// Grid integers of the integer 1.
    pub step: i64,
}

/// One step of the server.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// Index of the node in the model.
    pub node: usize,
    /// Linear nodes before it that are composed into its weights.
    pub composed: Vec<usize>,
    /// Slots that it reads: one for each term, or that of the look-up.
    pub inputs: Vec<usize>,
    pub action: PlannedAction,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum PlannedAction {
    Linear(PlannedLinear),
    LookUp(PlannedLookUp),
}

/// `output = Σ terms · inputs + bias`, on the grid.
#[derive(Debug, Clone)]
pub struct PlannedLinear {
    pub terms: Vec<Term>,
    pub bias: Vec<i64>,
    /// That of its only term.
    pub geometry: Geometry,
}

/// Integer weights on one input.
#[derive(Debug, Clone)]
pub enum Term {
    Matrix(LinearMap<u64>),
    /// One factor for each element.
    Scale(Vec<i64>),
}

/// A value that the client gets.
#[derive(Debug, Clone)]
pub struct PlannedDownload {
    /// The value in the model.
    pub value: usize,
    pub slot: usize,
    /// Grid integers of the integer 1 that the client decodes.
    pub step: i64,
    /// Per element: `real = scale · integer`.
    pub scales: Vec<f64>,
    /// Per element: integers that it is made for.
    pub range: Vec<(i64, i64)>,
    pub gains: Vec<Gain>,
    /// Whether all values are multiples of the step.
    pub aligned: bool,
}

impl Analysis {
    /// Returns the look-ups with the number of their elements.
    pub fn look_ups(&self) -> impl Iterator<Item = &PlannedLookUp> {
        self.steps.iter().filter_map(|step| match &step.action {
            PlannedAction::LookUp(look_up) => Some(look_up),
            PlannedAction::Linear(_) => None,
        })
    }

    /// Returns the names of the layers that are looked up.
    pub fn look_up_names(&self) -> String {
        let mut names: Vec<&str> = self
            .look_ups()
            .map(|look_up| look_up.name.as_str())
            .collect();
        names.dedup();
        names.join(", ")
    }

    /// Returns the look-ups of one inference.
    pub fn look_up_count(&self) -> usize {
        self.look_ups().map(|look_up| look_up.gains.len()).sum()
    }
}

/// A value on the server while a segment is analysed.
#[derive(Debug, Clone)]
struct Value {
    slot: usize,
    /// The source, or sources of one step, that its integers are multiples of.
    group: usize,
    /// Per element: `real = scale · integer + offset`, integers counted in steps of the group.
    scales: Vec<f64>,
    offsets: Vec<f64>,
    /// Per element: smallest and largest integer.
    range: Vec<(i64, i64)>,
    /// Whether no look-up lies before it.
    fresh: bool,
    /// Whether all its integers are whole steps of the group.
    aligned: bool,
}

/// A step whose weights or bias wait for the steps of the sources.
enum Draft {
    /// `Σ terms · inputs + bias` on the integers of a group.
    Natural {
        terms: Vec<Term>,
        bias: Vec<i64>,
        geometry: Geometry,
        group: usize,
    },
    /// The weights in front of a look-up.
    Filling(linear::Filling),
    LookUp {
        draft: look_up::Draft,
        group: usize,
    },
}

/// A segment being analysed.
struct Analyst<'a> {
    model: &'a Model,
    linear: Linearised<'a>,
    ending: Ending,
    /// Bits of an answer that is looked up for its protection.
    protect_bits: u32,
    noise: NoiseBound,
    nodes: Range<usize>,
    uploads: Vec<(usize, Quantisation, usize)>,
    steps: Vec<(usize, Vec<usize>, Draft)>,
    downloads: Vec<(usize, Answer)>,
    /// By value of the model.
    values: BTreeMap<usize, Value>,
    groups: Groups,
}

/// A value that the client gets, before the steps are known.
enum Answer {
    Natural(Value),
    /// The slot of weights that fill half a turn, and the real range of each element.
    Filled {
        slot: usize,
        ranges: Vec<(f64, f64)>,
    },
}

/// Returns the analysis of a server segment whose answers leave as they are, for noise within the
/// usual bound.
///
/// # Errors
///
/// [`crate::Error::Parameters`] where a layer's integers are too many for the grid.
pub fn analyse(model: &Model, segment: &Segment) -> Result<Analysis> {
    let (ending, noise) = (Ending::default(), NoiseBound::default());
    analyse_to_end(model, segment, ending, MOST_PROTECT_BITS, noise)
}

/// Returns the analysis of a server segment that ends as `ending` says; answers that are looked up
/// for their protection have `protect_bits` bits, and ranges have room for the deviations of noise
/// within a bound.
///
/// # Errors
///
/// As [`analyse`].
pub fn analyse_to_end(
    model: &Model,
    segment: &Segment,
    ending: Ending,
    protect_bits: u32,
    noise: NoiseBound,
) -> Result<Analysis> {
    let nodes = model.nodes_of(segment);
    let mut analyst = Analyst {
        model,
        linear: Linearised::of(model, &nodes)?,
        ending,
        protect_bits,
        noise,
        nodes: nodes.clone(),
        uploads: Vec::new(),
        steps: Vec::new(),
        downloads: Vec::new(),
        values: BTreeMap::new(),
        groups: Groups::default(),
    };
    for value in model.values_read(&nodes) {
        analyst.upload(value);
    }
    for node in nodes.clone() {
        analyst.node(node);
    }
    for value in model.values_made(&nodes) {
        analyst.download(value);
    }
    analyst.finish()
}

impl Analyst<'_> {
    /// Returns the number of the next slot.
    fn next_slot(&self) -> usize {
        self.uploads.len() + self.steps.len()
    }

    fn upload(&mut self, value: usize) {
        let quantisation = self.upload_quantisation(value);
        let group = self.groups.add();
        let count = self.model.element_count(value);
        self.values.insert(
            value,
            Value {
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
    fn upload_quantisation(&self, value: usize) -> Quantisation {
        let count = self.model.element_count(value);
        if value == 0 {
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
    fn is_absorbed(&self, value: usize) -> bool {
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
        let answered = self.model.values_made(&self.nodes).contains(&value);
        self.is_filled_answer(value) || only_looked_up && !read_on && !answered
    }

    /// Returns whether a combination is an answer that nothing of the segment reads, and whose
    /// channels are filled one by one. Weights on uploads alone are exact as they are, and stay so
    /// where they are not looked up before they leave.
    fn is_filled_answer(&self, value: usize) -> bool {
        let mut nodes = self.model.nodes[self.nodes.clone()].iter();
        let looked_up = nodes.any(|reader| {
            let is_linear = matches!(reader.operation, Operation::Linear(_) | Operation::Add(_));
            !is_linear && reader.inputs.contains(&value)
        });
        if looked_up || self.linear.reader_count(value) > 0 {
            return false;
        }
        let exact = self.linear.is_fresh(value) && self.linear.weights_on_source(value).is_some();
        !exact || self.ending.added(self.model, value).is_some()
    }

    fn node(&mut self, index: usize) {
        let model = self.model;
        let node = &model.nodes[index];
        let value = match &node.operation {
            Operation::Linear(_) | Operation::Add(_) => {
                if self.linear.get(index + 1).is_none() || self.is_absorbed(index + 1) {
                    return;
                }
                let alone = self.linear.weights_on_source(index + 1);
                match alone.map(|(source, weights)| (source, weights.clone())) {
                    Some((source, weights)) => self.natural(index + 1, source, &weights),
                    None => self.on_one_scale(index + 1, &[]),
                }
            }
            Operation::Activation(activation) => self.activation(index, activation),
            Operation::MaxPool(pool) => self.max_pool(index, pool),
        };
        self.values.insert(index + 1, value);
    }

    /// Adds a step and returns its slot.
    fn push(&mut self, node: usize, inputs: Vec<usize>, draft: Draft) -> usize {
        self.steps.push((node, inputs, draft));
        self.next_slot() - 1
    }

    /// Takes note of a value that the client gets, which must fit half a turn at either side.
    fn download(&mut self, index: usize) {
        match self.ending.added(self.model, index) {
            None => {}
            Some(Added::Label) => {
                let label = self.label(index);
                return self.download_value(index, label);
            }
            Some(Added::Identity) => {
                let protected = self.protect(index);
                return self.download_value(index, protected);
            }
        }
        if self.linear.get(index).is_some() && self.is_filled_answer(index) {
            let (slots, mut filling, ranges) = self.filling(index);
            filling.fills = ranges
                .chunks(filling.channel_size)
                .map(|ranges| {
                    let ends = ranges.iter().map(|(low, high)| low.abs().max(high.abs()));
                    HALF_TURN as f64 / ends.fold(f64::MIN_POSITIVE, f64::max)
                })
                .collect();
            self.groups.limit_all(filling.limits());
            let slot = self.push(index - 1, slots, Draft::Filling(filling));
            self.downloads
                .push((index, Answer::Filled { slot, ranges }));
            return;
        }
        let value = self.values[&index].clone();
        self.download_value(index, value);
    }

    fn download_value(&mut self, index: usize, value: Value) {
        let largest = value
            .range
            .iter()
            .map(|(low, high)| low.abs().max(high.abs()))
            .max();
        let most = HALF_TURN as f64 / (largest.unwrap_or(0).max(1) as f64 + 0.5);
        self.groups.limit(value.group, most);
        self.downloads.push((index, Answer::Natural(value)));
    }
}

/// Returns a calibrated range, widened by the margin.
fn widen((low, high): (f32, f32)) -> (f64, f64) {
    let margin = RANGE_MARGIN * f64::from(high - low);
    (f64::from(low) - margin, f64::from(high) + margin)
}
