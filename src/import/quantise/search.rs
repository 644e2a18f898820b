//! The fewest bits of activations that keep the accuracy.

use std::collections::BTreeMap;

use super::all_server::{analyse_all, integer_labels};
use super::bits::{FEWEST, MOST};
use super::calibration::Calibration;
use super::draft::ModelDraft;
use super::images::{Images, float_labels};
use super::noise;
use crate::circuit::analysis::{Analysis, DEFAULT_LOG2_P_FAIL_LOOKUP, DEFAULT_STEP_NOISE};
use crate::circuit::select::{Precision, select};
use crate::core::error::{Error, Result};
use crate::import::data::FittedSet;
use crate::import::request::ImportRequest;
use crate::record::cost_model::CostModel;

/// Images that a trial is judged on.
const MOST_IMAGES: usize = 500;

/// One choice of bits that was tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Per activation: name and bits.
    pub bits: Vec<(String, u32)>,
    /// Fraction of the calibration images whose label is right, by the integer network.
    pub accuracy: f64,
    /// Core-seconds of all look-ups of the all-server placement by the cost model; none where no
    /// parameter set is precise enough.
    pub look_up_core_s: Option<f64>,
    pub kept: bool,
}

/// A search: what stays the same from trial to trial.
struct Search<'a> {
    draft: &'a mut ModelDraft,
    calibration: &'a Calibration,
    images: Images<'a>,
    /// The labels to keep: true ones, or else the float network's.
    labels: Vec<usize>,
    request: &'a ImportRequest,
    trials: Vec<Trial>,
}

/// Finds the fewest bits whose accuracy on the calibration images is at most `most_loss` below the
/// float network's: the same for all activations first, then fewer for one after the other, those
/// with the most look-ups first. Returns all trials; [`settle`] makes the draft the last that holds.
///
/// # Errors
///
/// As [`crate::circuit::analysis::analyse`]; [`Error::Usage`] where not even the most bits are enough.
pub fn search(
    draft: &mut ModelDraft,
    calibration: &Calibration,
    images: &Images,
    request: &ImportRequest,
) -> Result<Vec<Trial>> {
    let images = images.take(MOST_IMAGES);
    let float = float_labels(&draft.model, &images);
    let labels = labels_of(&images, &float);
    let float_fraction = fraction_equal(&float, &labels);
    let least = float_fraction - request.most_loss;
    let names: Vec<(usize, String)> = draft
        .activations()
        .map(|(node, name, _)| (node, name.to_owned()))
        .collect();
    let mut search = Search {
        draft,
        calibration,
        images,
        labels,
        request,
        trials: Vec::new(),
    };
    let mut kept: Option<BTreeMap<String, u32>> = None;
    for bits in (FEWEST..=MOST).rev() {
        let uniform: BTreeMap<String, u32> =
            names.iter().map(|(_, name)| (name.clone(), bits)).collect();
        if search.attempt(&uniform)? < least {
            break;
        }
        kept = Some(uniform);
        search.keep();
    }
    let Some(mut kept) = kept else {
        return Err(too_few(request));
    };
    let mut by_count = names;
    let model = &search.draft.model;
    by_count.sort_by_key(|(node, _)| std::cmp::Reverse(model.nodes[*node].output_count()));
    for (_, name) in by_count {
        let Some(bits) = kept.get(&name).copied().filter(|&bits| bits > FEWEST) else {
            continue;
        };
        let mut fewer = kept.clone();
        fewer.insert(name, bits - 1);
        if search.attempt(&fewer)? >= least {
            kept = fewer;
            search.keep();
        }
    }
    Ok(search.trials)
}

/// Settles the last kept trial whose network, as it is written, keeps its promise on `all` calibration
/// images, of which `images` are those that calibrate; those behind it are kept no longer. Returns
/// what a person should know of it.
///
/// # Errors
///
/// As [`search`].
pub fn settle(
    draft: &mut ModelDraft,
    calibration: &Calibration,
    test: &FittedSet,
    [images, all]: [&Images; 2],
    request: &ImportRequest,
    trials: &mut [Trial],
) -> Result<Option<String>> {
    let float = float_labels(&draft.model, all);
    let labels = labels_of(all, &float);
    let least = fraction_equal(&float, &labels) - request.most_loss;
    for trial in trials.iter_mut().rev().filter(|trial| trial.kept) {
        let bits: BTreeMap<&str, u32> = trial.bits.iter().map(|(n, b)| (n.as_str(), *b)).collect();
        let of = |name: &str| bits.get(name).copied();
        draft.set_ranges(calibration);
        draft.set_outputs(calibration, request.range, of, MOST);
        let (noise, note) = noise::settle(draft, test, images)?;
        let found = integer_labels(&draft.model, all, noise.fraction)?;
        if fraction_equal(&found, &labels) >= least {
            return Ok(note);
        }
        trial.kept = false;
    }
    Err(too_few(request))
}

/// Returns the labels to keep: true ones, or else the float network's.
fn labels_of(images: &Images, float: &[usize]) -> Vec<usize> {
    match images.labels {
        Some(labels) => labels.iter().map(|&label| label as usize).collect(),
        None => float.to_vec(),
    }
}

fn too_few(request: &ImportRequest) -> Error {
    Error::Usage(format!(
        "--bits auto: with {MOST} bits everywhere more than {} of the accuracy is lost; allow more by \
         --max-loss, or give --weight-bits more",
        crate::core::units::percent(request.most_loss)
    ))
}

impl Search<'_> {
    fn set(&mut self, bits: &BTreeMap<String, u32>) {
        let of = |name: &str| bits.get(name).copied();
        let method = self.request.range;
        self.draft.set_outputs(self.calibration, method, of, MOST);
    }

    /// Tries bits and returns the accuracy.
    fn attempt(&mut self, bits: &BTreeMap<String, u32>) -> Result<f64> {
        self.set(bits);
        let found = integer_labels(&self.draft.model, &self.images, DEFAULT_STEP_NOISE)?;
        let accuracy = fraction_equal(&found, &self.labels);
        let analyses = analyse_all(&self.draft.model)?;
        let look_up_core_s = analyses.iter().map(look_up_core_s).sum();
        self.trials.push(Trial {
            bits: bits
                .iter()
                .map(|(name, bits)| (name.clone(), *bits))
                .collect(),
            accuracy,
            look_up_core_s,
            kept: false,
        });
        Ok(accuracy)
    }

    /// Marks the last trial as kept.
    fn keep(&mut self) {
        if let Some(trial) = self.trials.last_mut() {
            trial.kept = true;
        }
    }
}

/// Returns the core-seconds of a segment's look-ups; none where no parameter set is precise enough.
fn look_up_core_s(analysis: &Analysis) -> Option<f64> {
    let cost = CostModel::default();
    let precision = Precision::StepNoise(DEFAULT_STEP_NOISE);
    let set = select(analysis, DEFAULT_LOG2_P_FAIL_LOOKUP, precision, &cost).ok()?;
    Some(analysis.look_up_count() as f64 * cost.here().look_up_core_s(&set))
}

fn fraction_equal(found: &[usize], wanted: &[usize]) -> f64 {
    let equal = found.iter().zip(wanted).filter(|(a, b)| a == b).count();
    equal as f64 / wanted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::quantise::fixture::{draft, images, network, request};

    #[test]
    fn the_fraction_that_is_equal_counts_every_label() {
        assert_eq!(fraction_equal(&[0, 1, 2, 2], &[0, 1, 1, 2]), 0.75);
        assert_eq!(fraction_equal(&[], &[]), 0.0);
    }

    #[test]
    fn true_labels_are_kept_before_the_float_network_s() {
        let mut set = images();
        assert_eq!(labels_of(&Images::all(&set), &[1; 4]), [0, 0, 1, 1]);
        set.labels = None;
        assert_eq!(labels_of(&Images::all(&set), &[1; 4]), [1; 4]);
    }

    /// Returns the trials of a network that tells all images apart, if it may lose that fraction of them.
    fn searched(most_loss: f64) -> Result<Vec<Trial>> {
        let set = images();
        let images = Images::all(&set);
        let mut draft = draft(network());
        let calibration = Calibration::measure(&draft.model, &images);
        draft.set_ranges(&calibration);
        let request = ImportRequest {
            most_loss,
            ..request()
        };
        search(&mut draft, &calibration, &images, &request)
    }

    #[test]
    fn the_search_ends_at_one_bit_where_that_tells_all_images_apart() {
        let trials = searched(0.0).unwrap();
        let bits: Vec<u32> = trials.iter().map(|trial| trial.bits[0].1).collect();
        assert_eq!(bits, [8, 7, 6, 5, 4, 3, 2, 1]);
        assert!(trials.iter().all(|trial| trial.kept));
        assert!(trials.iter().all(|trial| trial.accuracy == 1.0));
    }

    #[test]
    fn a_promise_that_the_most_bits_break_is_refused() {
        let refused = searched(-0.5);
        assert!(matches!(refused, Err(Error::Usage(_))), "{refused:?}");
    }
}
