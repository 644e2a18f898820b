//! An activation as look-ups, once all integers are known.

use super::gain::Gain;
use crate::model::layer::Activation;

/// What a look-up is for, which decides how precise it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An operation of the network.
    Activation,
    /// Which of two logits is the larger.
    Comparison,
    /// Whether several bits are all set.
    Conjunction,
    /// A value as it is, before it leaves.
    Protection,
    /// An upload as it is, before anything reads it.
    Gate,
}

/// An activation as look-ups.
#[derive(Debug, Clone)]
pub struct PlannedLookUp {
    pub name: String,
    pub purpose: Purpose,
    /// Of numbers as the channels' scales give them.
    pub activation: Activation,
    pub channels: Vec<Channel>,
    pub elements_per_table: usize,
    /// Grid integers of the output's integer 1; even.
    pub output_step: i64,
    /// The sum of the outputs at both ends, which look-ups without a padding bit are symmetric
    /// about.
    pub centre: i64,
    /// Per element.
    pub gains: Vec<Gain>,
    /// log2 of the probability that deviations of earlier look-ups carry a value out of its range;
    /// none where the range is a calibrated one, whose margin is there for them.
    pub log2_p_leave: Option<f64>,
}

/// What the look-ups of one channel must cover, in integers of the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Channel {
    /// `number = scale · integer`, for the number that the activation is of.
    pub scale: f64,
    pub low: f64,
    pub high: f64,
    /// The end of the plateau from `low` on.
    pub foot: f64,
    /// The beginning of the plateau up to `high`.
    pub top: f64,
    /// Whether the range lies in the half turn [0, 1/2) or fills the whole turn.
    pub padding_bit: bool,
    /// All integers are multiples of it.
    pub quantum: i64,
    /// The mean width of an output step between the plateaus.
    pub step_width: f64,
    /// The largest of its elements, on uploads and on look-ups.
    pub worst_gain: Gain,
}
