//! Networks of other programs made into model folders: read, calibrated on images, quantised,
//! checked.
//!
//! *Quantisation after training.* Weights are quantised per output channel (Jacob et al., CVPR
//! 2018; Krishnamoorthi, arXiv:1806.08342, section 3.1), BatchNorm is folded into them while the
//! file is read, activation ranges come from calibration images by a chosen method, and biases
//! are corrected by the mean error that rounding leaves (Nagel et al., ICCV 2019, section 4.2, on
//! calibration images). What a quantised network says of its own integers is used as it is.

pub mod calibration;
pub mod correction;
pub mod draft;
pub mod evaluate;
mod fault;
pub mod images;
pub mod lower;
pub mod network;
pub mod onnx;
pub mod report;
mod runaways;
pub mod search;

use std::path::PathBuf;

use crate::data::{FittedSet, Preprocessing, fit, fit_real, read_images, read_labels};
use crate::data::{ImageSet, Pixels};
use crate::error::{Error, Result};
use crate::model::Model;
use calibration::{Calibration, RangeMethod};
use draft::Draft;
use images::Images;
pub use network::Network;
use runaways::without_runaways;
use search::{Bits, Trial};

/// What to import, and how.
#[derive(Debug, Clone)]
pub struct Request {
    pub onnx: PathBuf,
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
    /// With [`Bits::Auto`]: the share of calibration images that may be lost.
    pub most_loss: f64,
    /// The new folder.
    pub out: PathBuf,
}

/// An imported network.
pub struct Imported {
    pub network: Network,
    /// As read back from its folder.
    pub model: Model,
    /// Accuracy over the test images of the integer network, all layers on the server.
    pub integer_accuracy: f64,
    pub range_overflow_count: u64,
    /// What `--bits auto` tried.
    pub trials: Vec<Trial>,
    pub notes: Vec<String>,
}

/// Bits of activations where nothing else is said.
const DEFAULT_BITS: u32 = 4;
/// Bits of weights where nothing else is said.
pub const DEFAULT_WEIGHT_BITS: u32 = 5;

/// Imports a network and writes its folder, whole or not at all.
///
/// # Errors
///
/// [`Error::Invalid`], [`Error::Read`] or [`Error::Write`] that names the file, the node and the
/// mend; [`Error::Usage`] where the folder is there already.
pub fn import(request: &Request, progress: &dyn Fn(&str)) -> Result<Imported> {
    if request.out.exists() {
        let reason = "is there already: give another folder, or remove it";
        return Err(Error::Usage(format!("{} {reason}", request.out.display())));
    }
    progress("reading");
    let network = onnx::read(&request.onnx)?;
    let mut notes = network.notes.clone();
    let (calibration, mut test) = read_data(request, &network, &mut notes)?;
    progress("calibrating");
    let mut draft = Draft::new(request, network, &calibration, &test)?;
    if test.labels.is_none() {
        let labels = images::float_labels(&draft.model, &Images::all(&test));
        let labels = labels.into_iter().map(u8::try_from);
        test.labels = labels.collect::<std::result::Result<_, _>>().ok();
        notes.push(
            "the test images came without labels: the float network's own stand in for them, and \
             accuracy is agreement with it"
                .into(),
        );
    }
    let (calibration, away) = match request.range {
        RangeMethod::MinMax => (calibration, 0),
        _ => without_runaways(&draft.model, &calibration, request.calibration_images),
    };
    if away > 0 {
        notes.push(format!(
            "{away} calibration images are left out: their values run away from all others'"
        ));
    }
    let images = Images::first(&calibration, request.calibration_images);
    let calibrated = Calibration::measure(&draft.model, &images);
    draft.set_ranges(&calibrated);
    let trials = match &request.bits {
        Some(Bits::Auto) => {
            progress("searching bits");
            search::search(&mut draft, &calibrated, &images, request)?
        }
        chosen => {
            let bits = |name: &str| chosen.as_ref().and_then(|bits| bits.of(name));
            if let Some(unknown) = chosen.as_ref().and_then(|bits| draft.unknown_name(bits)) {
                return Err(Error::Usage(format!(
                    "--bits names {unknown:?}, which is no activation of the network; there are {}",
                    draft.activation_names().join(", ")
                )));
            }
            notes.extend(draft.set_outputs(&calibrated, request.range, bits, DEFAULT_BITS));
            Vec::new()
        }
    };
    progress("correcting biases");
    correction::correct(&mut draft, &images)?;
    if draft
        .model
        .nodes
        .last()
        .is_some_and(|node| node.output_count() == 1)
    {
        notes.push("the network has a single output: there is no label to compare, so accuracies say nothing".into());
    }
    progress("testing");
    let float_accuracy = images::float_accuracy(&draft.model, &Images::all(&test));
    let model = draft.write(&request.out, &test, float_accuracy)?;
    let (integer_accuracy, range_overflow_count) =
        images::integer_accuracy(&model, &Images::all(&test))?;
    Ok(Imported {
        network: draft.recipe.network,
        model,
        integer_accuracy,
        range_overflow_count,
        trials,
        notes,
    })
}

/// Reads calibration and test images and fits them to the network's input.
fn read_data(
    request: &Request,
    network: &Network,
    notes: &mut Vec<String>,
) -> Result<(FittedSet, FittedSet)> {
    let shape = &network.input_shape;
    let preprocessing = &request.preprocessing;
    let calibration = with_labels(&request.calibrate, request.labels.as_deref())?;
    let calibration = fit(calibration, shape, preprocessing, None)?;
    let test = match &request.test {
        None => {
            notes.push(
                "no --test images were given: the calibration images are the test images too, so \
                 accuracies are flattered"
                    .into(),
            );
            calibration.clone()
        }
        Some(path) => {
            let set = with_labels(path, request.test_labels.as_deref())?;
            match set.pixels {
                Pixels::Integer(_) => fit(set, shape, preprocessing, Some(calibration.max))?,
                Pixels::Real(_) => {
                    let reference = (calibration.scale.as_slice(), calibration.offset.as_slice());
                    fit_real(set, shape, preprocessing, Some(reference))?
                }
            }
        }
    };
    notes.extend(calibration.note.clone());
    if test.scale != calibration.scale || test.offset != calibration.offset {
        let place = request.test.as_deref().unwrap_or(&request.calibrate);
        let reason = "the test images have other units than the calibration images: give both as \
                      integers or both as floats";
        return Err(Error::invalid(place.display().to_string(), reason));
    }
    Ok((calibration, test))
}

fn with_labels(images: &std::path::Path, labels: Option<&std::path::Path>) -> Result<ImageSet> {
    let mut set = read_images(images)?;
    if let Some(labels) = labels {
        set.labels = Some(read_labels(labels)?);
    }
    Ok(set)
}
