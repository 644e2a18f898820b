//! Predictions of what splits take, from the measured rows of a few of them.
//!
//! What a placement does is counted from its compiled programs (`work`), unit costs are fitted to
//! the phases and layers of the measured rows (`fit`), and both together predict every other
//! placement, bytes exactly. Look-ups of sets that differ only in n share a unit cost, in proportion
//! to the cost model.

pub mod calibration;
mod candidates;
mod counter;
pub mod fit;
pub mod oracle;
mod prediction;
mod row;
mod seconds;
pub mod work;

pub use candidates::calibration_placements;
pub use counter::Counter;
pub use prediction::predict;
pub use row::{Errors, PredictionRow};

/// The file of predictions in a folder.
pub const PREDICTIONS: &str = "predictions.csv";
/// The file of fitted unit costs in a folder.
pub const UNITS: &str = "prediction-units.json";
