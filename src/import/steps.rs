//! An import from files to a folder, step by step.

use std::path::Path;
use std::sync::Arc;

use super::folder;
use super::network::Network;
use super::quantise::all_server::{analyse_all, compile_all, integer_outputs};
use super::quantise::bits::{Bits, DEFAULT_BITS};
use super::quantise::calibration::{Calibration, RangeMethod};
use super::quantise::draft::ModelDraft;
use super::quantise::images::{self, Images};
use super::quantise::loss::Losses;
use super::quantise::noise;
use super::quantise::runaways::without_runaways;
use super::quantise::search::{self, Trial};
use super::reading::read_network_of;
use super::request::ImportRequest;
use crate::circuit::analysis::Analysis;
use crate::circuit::compile::Target;
use crate::circuit::program::Program;
use crate::core::error::{Error, Result};
use crate::core::units;
use crate::import::data::{self, FittedSet, ImageSet, Part, read_inputs, read_labels};
use crate::model::Model;
use crate::model::source::Source;
use crate::oracle::step_noise::finder::Decision;

/// An imported network.
pub struct Imported {
    pub network: Network,
    /// As a reader of its folder has it.
    pub model: Model,
    /// The server's segments with all layers there that can be, under the sets of its step noise, or why no
    /// set serves.
    pub compiled: Result<Vec<Arc<Program>>>,
    /// Accuracy over the test images of the float network on values rounded to integers, where they
    /// were rounded; none, as the next, where the outputs are no classes.
    pub rounded_accuracy: Option<f64>,
    /// Accuracy over the test images of the integer network, all layers on the server.
    pub integer_accuracy: Option<f64>,
    /// How far the outputs of the integer network lie from the float network's over the test images,
    /// as a fraction of those outputs' deviation; none where they do not deviate.
    pub relative_error: Option<f64>,
    pub range_overflow_count: u64,
    /// What integers and noise cost; none where the outputs are no classes.
    pub losses: Option<Losses>,
    /// What `--bits auto` tried.
    pub trials: Vec<Trial>,
    pub notes: Vec<String>,
}

/// Imports a network and writes its folder, whole or not at all.
///
/// # Errors
///
/// [`Error::Invalid`], [`Error::Read`] or [`Error::Write`] that names the file, the node and the
/// mend; [`Error::Usage`] where the folder is there already.
pub fn import(request: &ImportRequest, progress: &dyn Fn(&str)) -> Result<Imported> {
    folder::check_free(&request.out)?;
    progress("reading");
    let mut network = read_network_of(&request.onnx, &request.shapes)?;
    network.leave_sigmoid_to_client();
    let mut notes = network.notes.clone();
    let (calibration, mut test) = read_data(request, &network, &mut notes)?;
    progress("calibrating");
    let mut draft = ModelDraft::new(request, network, &calibration, &test)?;
    let untouched = images::untouched_outputs(&draft.model, &test);
    notes.extend(unbounded_warning(&untouched, &test));
    if draft.model.is_classifier() {
        notes.extend(label_test_images(&mut test, &untouched));
    } else {
        check_bits_without_classes(request)?;
    }
    let kept = without_outliers(request, &draft, &calibration, &mut notes);
    let all = Images::first(&calibration, request.calibration_images);
    let images = Images::first(&kept, request.calibration_images);
    let calibrated = Calibration::measure(&draft.model, &images);
    notes.extend(draft.pin_infinite(&calibrated, &test)?);
    draft.check_numbers(&images, &calibrated, &request.onnx)?;
    draft.set_ranges(&calibrated);
    let trials = match &request.bits {
        Some(Bits::Auto) => {
            progress("searching bits");
            let mut trials = search::search(&mut draft, &calibrated, &images, request)?;
            progress("calibrating with noise");
            let both = [&images, &all];
            let note = search::settle(&mut draft, &calibrated, &test, both, request, &mut trials)?;
            notes.extend(note);
            trials
        }
        chosen => {
            let (chosen, range) = (chosen.as_ref(), request.range);
            notes.extend(set_bits(&mut draft, chosen, &calibrated, range)?);
            progress("calibrating with noise");
            notes.extend(noise::settle(&mut draft, &test, &images)?.1);
            Vec::new()
        }
    };
    let tested = Tested::of(&draft, &test, &images, &untouched, progress)?;
    // Last of all, so that whatever fails before leaves nothing behind.
    if let Source::Memory(mut files) = tested.source {
        files.extend(tested.cache);
        folder::write(&request.out, &files)?;
    }
    notes.extend(tested.note);
    Ok(Imported {
        network: draft.recipe.network,
        model: tested.model,
        compiled: tested.compiled,
        rounded_accuracy: tested.rounded_accuracy,
        integer_accuracy: tested.integer_accuracy,
        relative_error: tested.relative_error,
        range_overflow_count: tested.range_overflow_count,
        losses: tested.losses,
        trials,
        notes,
    })
}

/// Returns a sentence on test images for which the float network gives no finite numbers.
fn unbounded_warning(untouched: &[Vec<f32>], test: &FittedSet) -> Option<String> {
    let is_unbounded = |outputs: &&Vec<f32>| outputs.iter().any(|output| !output.is_finite());
    let unbounded = untouched.iter().filter(is_unbounded).count();
    (unbounded > 0).then(|| {
        format!(
            "the float network gives no finite numbers for {unbounded} of {} test images: are \
             --scale, --mean and --std those of its training?",
            test.count
        )
    })
}

/// Gives test images without labels those of the float network, and returns a sentence that says so.
fn label_test_images(test: &mut FittedSet, untouched: &[Vec<f32>]) -> Option<String> {
    if test.labels.is_some() {
        return None;
    }
    let labels = images::labels_of(untouched).into_iter();
    test.labels = Some(labels.map(|label| label as u32).collect());
    Some(
        "the test images came without labels: the float network's own stand in for them, and \
         accuracy is agreement with it"
            .into(),
    )
}

/// Refuses a search for bits where the outputs are no classes.
fn check_bits_without_classes(request: &ImportRequest) -> Result<()> {
    if request.bits != Some(Bits::Auto) {
        return Ok(());
    }
    Err(Error::Usage(
        "--bits auto keeps the fraction of right labels, and the outputs of this network are no \
         classes: give a number of bits"
            .into(),
    ))
}

/// Returns the calibration images without those whose values run away, which a note tells of.
fn without_outliers(
    request: &ImportRequest,
    draft: &ModelDraft,
    calibration: &FittedSet,
    notes: &mut Vec<String>,
) -> FittedSet {
    let (kept, away) = match request.range {
        RangeMethod::MinMax => (calibration.clone(), 0),
        _ => without_runaways(&draft.model, calibration, request.calibration_images),
    };
    if away > 0 {
        notes.push(format!(
            "{away} calibration images are left out: their values run away from all others'"
        ));
    }
    kept
}

/// Sets the integers of all activations on the bits asked for, and returns what a person should know
/// of it.
fn set_bits(
    draft: &mut ModelDraft,
    chosen: Option<&Bits>,
    calibrated: &Calibration,
    range: RangeMethod,
) -> Result<Vec<String>> {
    if let Some(unknown) = chosen.and_then(|bits| draft.unknown_name(bits)) {
        return Err(Error::Usage(format!(
            "--bits names {unknown:?}, which is no activation of the network; there are {}",
            draft.activation_names().join(", ")
        )));
    }
    let bits = |name: &str| chosen.and_then(|bits| bits.of(name));
    Ok(draft.set_outputs(calibrated, range, bits, DEFAULT_BITS))
}

/// A settled network as the reader of its folder has it, and what the test images show of it.
struct Tested {
    model: Model,
    compiled: Result<Vec<Arc<Program>>>,
    /// What it was read from.
    source: Source,
    /// One more file of its folder: what was found of the noise that it bears.
    cache: Option<(String, Vec<u8>)>,
    rounded_accuracy: Option<f64>,
    integer_accuracy: Option<f64>,
    relative_error: Option<f64>,
    range_overflow_count: u64,
    losses: Option<Losses>,
    note: Option<String>,
}

impl Tested {
    /// Tests a settled network; `untouched` is what the float network gives for the test images.
    fn of(
        draft: &ModelDraft,
        test: &FittedSet,
        calibration: &Images,
        untouched: &[Vec<f32>],
        progress: &dyn Fn(&str),
    ) -> Result<Self> {
        progress("testing");
        let images = Images::all(test);
        let is_classifier = draft.model.is_classifier();
        let accuracy = |outputs: &[Vec<f32>]| {
            let labels = images::labels_of(outputs);
            is_classifier.then(|| images.fraction_right(&labels))
        };
        let is_rounded = test.reals.is_some();
        let rounded = is_rounded.then(|| images::float_outputs(&draft.model, &images));
        let source = Source::Memory(draft.files(test, calibration, accuracy(untouched))?);
        let model = Model::read(&source)?;
        let (decision, cache) = Decision::of_whole(&model, Target::cheapest);
        let compiled = compile_all(&model, decision.fraction);
        let measured = match integer_outputs(&model, &compiled, &images) {
            // The report says why there is nothing to measure.
            Err(Error::Parameters(_)) => None,
            measured => Some(measured?),
        };
        let note = match &measured {
            Some((_, overflows)) => overflow_warning(&model, *overflows)?,
            None => None,
        };
        progress("testing with noise");
        let integer_accuracy = measured.as_ref().and_then(|(integer, _)| accuracy(integer));
        let losses = match accuracy(untouched).zip(integer_accuracy) {
            Some(accuracies) => Some(Losses::of(&model, &compiled, accuracies, decision)?),
            None => None,
        };
        Ok(Self {
            rounded_accuracy: rounded.and_then(|rounded| accuracy(&rounded)),
            integer_accuracy,
            relative_error: measured
                .as_ref()
                .and_then(|(integer, _)| images::relative_error(untouched, integer)),
            range_overflow_count: measured.map_or(0, |(_, overflows)| overflows),
            losses,
            note,
            compiled,
            model,
            source,
            cache: cache.file(),
        })
    }
}

/// Returns a sentence on values of the test images that left their calibrated range, where those are
/// many.
fn overflow_warning(model: &Model, count: u64) -> Result<Option<String>> {
    /// The fraction of values in front of look-ups that unlike images take out of range.
    const MANY: f64 = 0.01;
    let analyses = analyse_all(model)?;
    let per_image: usize = analyses.iter().map(Analysis::look_up_count).sum();
    let look_ups = per_image * model.test.len();
    let fraction = count as f64 / look_ups.max(1) as f64;
    Ok((fraction > MANY).then(|| {
        format!(
            "{} of the values in front of activations lie beyond the calibrated range: \
             calibrate on more images, like the test images",
            units::percent(fraction)
        )
    }))
}

/// Reads calibration and test images and fits them to the network's input.
fn read_data(
    request: &ImportRequest,
    network: &Network,
    notes: &mut Vec<String>,
) -> Result<(FittedSet, FittedSet)> {
    let (shape, classes) = (&network.input_shape, network.class_numbers());
    if classes.is_empty() {
        let otherwise = match network.output_count() {
            1 => "a Sigmoid behind the single output would make it a classifier of two",
            _ => "there are as many as inputs, and a Softmax or ArgMax would make them classes",
        };
        notes.push(format!(
            "the outputs are no classes, so that there is no accuracy, and labels or targets of the \
             images are left out: {otherwise}"
        ));
    }
    let fit = |set, reference| data::fit(set, shape, &classes, &request.preprocessing, reference);
    let layout = request.preprocessing.layout;
    let fits = |place: &str, stored: &[usize]| data::check_shape(place, stored, shape, layout);
    let read = |images: &Path, labels: Option<&Path>, part| -> Result<ImageSet> {
        let mut set = read_inputs(images, part, &network.input_parts, &fits)?;
        if let Some(labels) = labels {
            set.labels = Some(read_labels(labels, part, set.count())?);
        }
        Ok(set)
    };
    let calibration = read(
        &request.calibrate,
        request.labels.as_deref(),
        Part::Training,
    )?;
    let mut calibration = fit(calibration, None)?;
    notes.append(&mut calibration.notes);
    let mut test = match &request.test {
        None => {
            notes.push(
                "no --test images were given: the calibration images are the test images too, so \
                 accuracies are flattered"
                    .into(),
            );
            calibration.clone()
        }
        Some(path) => {
            let set = read(path, request.test_labels.as_deref(), Part::Test)?;
            fit(set, Some(&calibration))?
        }
    };
    notes.append(&mut test.notes);
    let count = request.calibration_images;
    notes.extend(data::warnings(&calibration, count, &test, shape, &classes));
    // Only what is tested is compared with what it was rounded from.
    calibration.reals = None;
    Ok((calibration, test))
}
