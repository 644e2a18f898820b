//! Bias correction: rounding weights and activations shifts the mean of what stands in front of
//! an activation; the shift, seen on calibration images, is taken back by the bias (Nagel et al.,
//! *Data-Free Quantization through Weight Equalization and Bias Correction*, ICCV 2019, section
//! 4.2; appendix D for the empirical form used here).

use rayon::prelude::*;

use super::all_server::{Watcher, analyse_all, analyse_all_to_labels, run_integers};
use super::calibration::Calibration;
use super::draft::ModelDraft;
use super::images::{Images, float_outputs};
use crate::circuit::analysis::{PlannedLookUp, Purpose};
use crate::core::error::Result;
use crate::core::linear_map::Row;
use crate::model::layer::Operation;
use crate::model::{Model, NodeId, ValueId};

/// Images that means are taken over.
const MOST_IMAGES: usize = 500;
/// Comparisons of logits that means are taken over, and the fewest images that are worth it.
const MOST_COMPARISONS: usize = 10_000_000;
const FEWEST_IMAGES: usize = 20;

/// A shift of a node's channels, in reals.
struct Shift {
    node: NodeId,
    per_channel: Vec<f64>,
}

/// Corrects the biases of all layers whose weights are rounded here, first to last, each on what
/// the corrected layers before it give.
///
/// # Errors
///
/// As [`crate::circuit::analysis::analyse`].
pub fn correct(draft: &mut ModelDraft, images: &Images) -> Result<()> {
    let images = images.take(MOST_IMAGES);
    let float = Calibration::measure(&draft.model, &images);
    let shifts = find_shifts(&draft.model, &float, &images)?;
    for Shift { node, per_channel } in shifts {
        let node = &mut draft.model.nodes[node.index()];
        if let Operation::Linear(linear) = &mut node.operation {
            let size = linear.correction.len() / per_channel.len();
            for (element, correction) in linear.correction.iter_mut().enumerate() {
                *correction += per_channel[element / size] as f32;
            }
        }
    }
    Ok(())
}

fn find_shifts(model: &Model, float: &Calibration, images: &Images) -> Result<Vec<Shift>> {
    let mut shifts = Shifts {
        model,
        float,
        found: Vec::new(),
    };
    run_integers(model, &analyse_all(model)?, images.pixels, &mut shifts);
    Ok(shifts.found)
}

/// Finds shifts, and takes them back at once, so that what comes behind is without them.
struct Shifts<'a> {
    model: &'a Model,
    float: &'a Calibration,
    found: Vec<Shift>,
}

impl Watcher for Shifts<'_> {
    fn before_look_up(&mut self, node: NodeId, look_up: &PlannedLookUp, rows: &mut [Row<u64>]) {
        let Some(corrected) = corrected_node(self.model, node) else {
            return;
        };
        let means = &self.float.of(node).means;
        let size = look_up.elements_per_table;
        let channels = rows.par_chunks_mut(size).zip(&look_up.channels).enumerate();
        let per_channel = channels.map(|(channel, (rows, of_channel))| {
            let shift = means[channel] - mean(rows) * of_channel.scale;
            let on_grid = (shift / of_channel.scale).round() as i64;
            for value in rows.iter_mut().flat_map(|row| row.iter_mut()) {
                *value = value.wrapping_add(on_grid as u64);
            }
            shift
        });
        self.found.push(Shift {
            node: corrected,
            per_channel: per_channel.collect(),
        });
    }

    /// What is downloaded stands in front of no look-up, or of one too.
    fn downloaded(&mut self, node: NodeId, rows: &mut [Row<f32>]) {
        let Some(corrected) = corrected_node(self.model, node) else {
            return;
        };
        let known = self.found.iter().position(|shift| shift.node == corrected);
        let shift = known.unwrap_or_else(|| {
            let means = &self.float.of(node).means;
            let channels = rows.chunks(rows.len() / means.len()).zip(means);
            self.found.push(Shift {
                node: corrected,
                per_channel: channels
                    .map(|(rows, float)| float - mean_of(rows))
                    .collect(),
            });
            self.found.len() - 1
        });
        let per_channel = &self.found[shift].per_channel;
        let size = rows.len() / per_channel.len();
        for (rows, shift) in rows.chunks_mut(size).zip(per_channel) {
            for value in rows.iter_mut().flat_map(|row| row.iter_mut()) {
                *value += *shift as f32;
            }
        }
    }
}

/// Corrects the logits that are compared for a label. Comparisons need weights on one scale, rounded
/// otherwise than those of the logits that leave, whose corrections are not theirs. Where the server
/// cannot tell labels, or compares too many, nothing is corrected.
pub fn correct_labels(model: &mut Model, images: &Images) {
    let outputs = model.element_count(model.output());
    let pairs = outputs * outputs.saturating_sub(1) / 2;
    let count = MOST_COMPARISONS / pairs.max(1);
    if !model.is_classifier() || pairs == 0 || count < FEWEST_IMAGES {
        return;
    }
    let images = images.take(count.min(MOST_IMAGES));
    let Ok(Some(analyses)) = analyse_all_to_labels(model) else {
        return;
    };
    let float = float_outputs(model, &images);
    let float_mean = |output: usize| {
        let values = float.iter().map(|outputs| f64::from(outputs[output]));
        values.sum::<f64>() / float.len().max(1) as f64
    };
    let mut differences = Differences(vec![0.0; outputs]);
    run_integers(model, &analyses, images.pixels, &mut differences);
    let corrections = model.label_correction.iter_mut().zip(differences.0);
    for (output, (correction, found)) in corrections.enumerate() {
        *correction += (found - (float_mean(0) - float_mean(output))) as f32;
    }
}

/// The mean by which the first output is larger than each.
struct Differences(Vec<f64>);

impl Watcher for Differences {
    fn before_look_up(&mut self, _: NodeId, look_up: &PlannedLookUp, rows: &mut [Row<u64>]) {
        if look_up.purpose != Purpose::Comparison {
            return;
        }
        // The first pairs compare the first output with each of the others.
        for (difference, row) in self.0[1..].iter_mut().zip(rows) {
            *difference = mean(std::slice::from_ref(row)) * look_up.channels[0].scale;
        }
    }
}

/// Returns the layer whose bias makes up for the shift of a node's output: itself, or an operand
/// of a sum. Weights that come as integers are not touched.
fn corrected_node(model: &Model, id: NodeId) -> Option<NodeId> {
    let node = model.node(id);
    match &node.operation {
        Operation::Linear(linear) => {
            let trained = node.parameter_count > 0;
            let rounded = !reads_image(model, node.inputs[0]);
            (trained && rounded && linear.weight_scale.is_none()).then_some(id)
        }
        Operation::Add(_) => {
            let before = node.inputs.iter().filter_map(|operand| operand.producer());
            // What others read too has a shift of its own.
            let is_read_once = |before: &NodeId| {
                let readers = model.nodes.iter().flat_map(|node| &node.inputs);
                readers.filter(|&&value| value == before.value()).count() == 1
            };
            let mut linear = before.filter(|before| {
                let is_linear = matches!(model.node(*before).operation, Operation::Linear(_));
                is_linear && is_read_once(before)
            });
            linear.find_map(|before| corrected_node(model, before))
        }
        Operation::Activation(_) | Operation::MaxPool(_) | Operation::Pinned(_) => None,
    }
}

/// Returns whether a value is linear in the network's input, which has eight-bit weights before it
/// and no rounding to correct.
fn reads_image(model: &Model, value: ValueId) -> bool {
    let Some(node) = value.producer().map(|node| model.node(node)) else {
        return true;
    };
    match node.operation {
        Operation::Linear(_) | Operation::Add(_) => {
            node.inputs.iter().all(|&input| reads_image(model, input))
        }
        Operation::Activation(_) | Operation::MaxPool(_) | Operation::Pinned(_) => false,
    }
}

fn mean_of(rows: &[Row<f32>]) -> f64 {
    let count: usize = rows.iter().map(|row| row.len()).sum();
    let values = rows.iter().flatten().map(|&value| f64::from(value));
    values.sum::<f64>() / count.max(1) as f64
}

fn mean(rows: &[Row<u64>]) -> f64 {
    let count: usize = rows.iter().map(|row| row.len()).sum();
    let values = rows.iter().flatten().map(|&value| value as i64 as f64);
    values.sum::<f64>() / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::network::Operation as NetworkOperation;
    use crate::import::quantise::calibration::RangeMethod;
    use crate::import::quantise::fixture::{draft, images, layer, network, network_of, relu, same};

    #[test]
    fn means_are_of_signed_integers() {
        let row = |values: &[i64]| -> Row<u64> { values.iter().map(|&v| v as u64).collect() };
        assert_eq!(mean(&[row(&[-4, 2]), row(&[0, 6])]), 1.0);
        assert_eq!(mean(&[]), 0.0);
    }

    #[test]
    fn a_layer_behind_a_look_up_is_corrected_itself() {
        let model = draft(network()).model;
        let reads = [0, 1, 2].map(|value| reads_image(&model, ValueId::new(value)));
        assert_eq!(reads, [true, true, false]);
        // The first layer has nothing to correct, and an activation no bias.
        let corrected = [0, 1, 2].map(|node| corrected_node(&model, NodeId::new(node)));
        assert_eq!(corrected, [None, None, Some(NodeId::new(2))]);
    }

    #[test]
    fn weights_that_come_as_integers_are_left_as_they_are() {
        let mut model = draft(network()).model;
        let Operation::Linear(linear) = &mut model.nodes[2].operation else {
            panic!("a linear layer");
        };
        linear.weight_scale = Some(vec![0.5; 2]);
        assert_eq!(corrected_node(&model, NodeId::new(2)), None);
    }

    #[test]
    fn a_sum_is_corrected_by_the_layer_that_it_alone_reads() {
        let mut layers = vec![
            same("front", 0),
            relu("relu", 1),
            same("mid", 2),
            layer("sum", &[3, 2], NetworkOperation::Add),
        ];
        let model = draft(network_of(layers.clone())).model;
        let sum = NodeId::new(3);
        assert_eq!(corrected_node(&model, sum), Some(NodeId::new(2)));
        layers.push(layer("other", &[4, 3], NetworkOperation::Add));
        let model = draft(network_of(layers)).model;
        assert_eq!(corrected_node(&model, sum), None);
    }

    #[test]
    fn exact_weights_have_no_shift() {
        let set = images();
        let images = Images::all(&set);
        let mut draft = draft(network());
        let calibration = Calibration::measure(&draft.model, &images);
        draft.set_ranges(&calibration);
        // Integers of 0 to 3 are what the activation gives.
        let of = |_: &str| Some(2);
        draft.set_outputs(&calibration, RangeMethod::MinMax, of, 2);
        correct(&mut draft, &images).unwrap();
        let Operation::Linear(back) = &draft.model.nodes[2].operation else {
            panic!("a linear layer");
        };
        let largest = back.correction.iter().fold(0.0, |m: f32, c| m.max(c.abs()));
        assert!(largest < 1e-5, "{:?}", back.correction);
    }
}
