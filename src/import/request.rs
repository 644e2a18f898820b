//! What a person asks an import for.

use std::path::PathBuf;

use super::quantise::bits::Bits;
use super::quantise::calibration::RangeMethod;
use crate::import::data::Preprocessing;
use crate::import::onnx::GivenShape;

/// What to import, and how.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    pub onnx: PathBuf,
    /// Of inputs that the file leaves open.
    pub shapes: Vec<GivenShape>,
    pub calibrate: PathBuf,
    pub labels: Option<PathBuf>,
    pub test: Option<PathBuf>,
    pub test_labels: Option<PathBuf>,
    /// The first so many images calibrate.
    pub calibration_images: usize,
    pub preprocessing: Preprocessing,
    /// Of activations; a quantised network keeps its own where there are none.
    pub bits: Option<Bits>,
    /// Of weights; a quantised network keeps its own where there are none.
    pub weight_bits: Option<u32>,
    pub range: RangeMethod,
    /// With [`Bits::Auto`]: the fraction of calibration images that may be lost.
    pub most_loss: f64,
    /// The new folder.
    pub out: PathBuf,
}
