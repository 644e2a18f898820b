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

mod analyst;
mod combination;
mod cover;
mod draft;
mod draft_look_up;
mod filling;
mod gain;
mod gains;
mod grid;
mod groups;
mod identity;
mod integer;
mod label;
mod linear;
mod look_up;
mod planned;
mod planned_look_up;
mod pool;
mod settle;
mod spread;
mod value;

pub use analyst::{analyse, analyse_to_end};
pub use gain::Gain;
pub use gains::gains;
pub use grid::{HALF_TURN, MOST_IDENTITY_BITS, RANGE_MARGIN, UPLOAD_BITS};
pub use integer::BeforeLookUp;
pub use planned::{
    Analysis, PlannedAction, PlannedDownload, PlannedLinear, PlannedStep, PlannedUpload, Term,
};
pub use planned_look_up::{Channel, PlannedLookUp, Purpose};
pub use spread::{DEFAULT_LOG2_P_FAIL_LOOKUP, DEFAULT_STEP_NOISE, NoiseBound};
