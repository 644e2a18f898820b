//! The end of an analysis: once the steps of all sources are known, weights, biases and answers follow.

use std::collections::BTreeMap;

use super::analyst::Analyst;
use super::draft::{Answer, DraftStep};
use super::filling::Filled;
use super::gains::gains;
use super::grid::HALF_TURN;
use super::planned::{
    Analysis, PlannedAction, PlannedDownload, PlannedLinear, PlannedStep, PlannedUpload,
};
use crate::circuit::schedule::last_reads;
use crate::core::error::{Error, Result};
use crate::model::NodeId;

/// The channels of weights that fill half a turn, by slot.
type FilledSlots = BTreeMap<usize, Vec<Filled>>;

impl Analyst<'_> {
    /// Settles the steps of all sources, and with them weights and biases.
    pub(super) fn finish(self) -> Result<Analysis> {
        let steps_of = self.groups.steps();
        if steps_of.contains(&0) {
            return Err(self.too_large());
        }
        let upload = |(value, quantisation, group): (_, _, usize)| PlannedUpload {
            value,
            quantisation,
            step: steps_of[group],
        };
        let mut analysis = Analysis {
            nodes: self.nodes,
            uploads: self.uploads.into_iter().map(upload).collect(),
            steps: Vec::with_capacity(self.steps.len()),
            downloads: Vec::new(),
        };
        let mut filled = FilledSlots::new();
        let inputs = self.steps.iter().map(|(_, inputs, _)| inputs);
        let downloads = self.downloads.iter().map(|(_, answer)| answer.slot());
        let last_reads = last_reads(inputs, downloads);
        // A gate has a factor and a look-up for each upload, and makes nothing of the node that reads it first.
        let gate_steps = match self.output_mode.is_gated() {
            true => 2 * analysis.uploads.len(),
            false => 0,
        };
        for ((node, inputs, draft), last_reads) in self.steps.into_iter().zip(last_reads) {
            let action = settled_action(draft, &inputs, &analysis, &steps_of, &mut filled);
            let is_gate = analysis.steps.len() < gate_steps;
            let made = self.linear.get(node.value()).filter(|_| !is_gate);
            let composed = match &action {
                PlannedAction::Linear(_) => made.map(|made| made.composed.iter().copied()),
                PlannedAction::LookUp(_) => None,
            };
            analysis.steps.push(PlannedStep {
                node,
                composed: composed.into_iter().flatten().collect(),
                inputs,
                last_reads,
                action,
            });
        }
        for (node, answer) in self.downloads {
            let download = settled_download(node, answer, &analysis, &steps_of, &filled);
            analysis.downloads.push(download);
        }
        Ok(analysis)
    }

    fn too_large(&self) -> Error {
        let first = &self.model.nodes[self.nodes.start].name;
        Error::Parameters(format!(
            "the segment from layer {first:?} on adds up integers beyond {HALF_TURN}: put \
             fewer linear layers in a row on the server, or give them fewer weight bits"
        ))
    }
}

/// Returns what a step does, after the steps before it; the channels of weights that fill half a turn
/// wait in `filled` for their look-up.
fn settled_action(
    draft: DraftStep,
    inputs: &[usize],
    analysis: &Analysis,
    steps_of: &[i64],
    filled: &mut FilledSlots,
) -> PlannedAction {
    match draft {
        DraftStep::Natural {
            terms,
            bias,
            geometry,
            group,
        } => PlannedAction::Linear(PlannedLinear {
            terms,
            bias: bias.iter().map(|bias| bias * steps_of[group]).collect(),
            geometry,
        }),
        DraftStep::Filling(filling) => {
            let (linear, channels) = filling.settle(steps_of);
            filled.insert(analysis.uploads.len() + analysis.steps.len(), channels);
            PlannedAction::Linear(linear)
        }
        DraftStep::LookUp { draft, group } => {
            let Some(channels) = filled.remove(&inputs[0]) else {
                unreachable!("the weights that fill a look-up stand before it");
            };
            let gains = gains(analysis, inputs[0]);
            PlannedAction::LookUp(draft.settle(channels, gains, steps_of[group]))
        }
    }
}

fn settled_download(
    node: NodeId,
    answer: Answer,
    analysis: &Analysis,
    steps_of: &[i64],
    filled: &FilledSlots,
) -> PlannedDownload {
    match answer {
        Answer::Natural(natural) => PlannedDownload {
            node,
            slot: natural.slot,
            step: steps_of[natural.group],
            gains: gains(analysis, natural.slot),
            scales: natural.scales,
            range: natural.range,
            aligned: natural.aligned,
        },
        Answer::Filled { slot, ranges } => {
            filled_download(analysis, node, slot, &ranges, &filled[&slot])
        }
    }
}

/// Returns the download of weights that fill half a turn.
fn filled_download(
    analysis: &Analysis,
    node: NodeId,
    slot: usize,
    ranges: &[(f64, f64)],
    channels: &[Filled],
) -> PlannedDownload {
    let size = ranges.len() / channels.len();
    let quantum = channels.first().map_or(1, |channel| channel.quantum);
    // Values that are multiples of nothing are decoded finely enough for any client.
    let step = if quantum > 1 {
        quantum
    } else {
        HALF_TURN >> 20
    };
    let scale_of = |element: usize| channels[element / size].scale * step as f64;
    let scales: Vec<f64> = (0..ranges.len()).map(scale_of).collect();
    let range = ranges
        .iter()
        .zip(&scales)
        .map(|((low, high), scale)| ((low / scale).floor() as i64, (high / scale).ceil() as i64));
    PlannedDownload {
        node,
        slot,
        step,
        range: range.collect(),
        gains: gains(analysis, slot),
        scales,
        aligned: quantum > 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyst::fixture::{analysis, dense, input, network, walked};

    #[test]
    fn filled_answers_are_decoded_by_their_quantum_or_finely() {
        let analysis = analysis(&[4], Vec::new());
        let ranges = [(-1.0, 2.0), (0.0, 3.0), (-0.5, 0.5), (0.0, 1.0)];
        let download = |quantum| {
            let channels = [0.25, 0.15].map(|scale| Filled { scale, quantum });
            filled_download(&analysis, NodeId::new(0), 0, &ranges, &channels)
        };
        let whole = download(2);
        assert!(whole.aligned);
        assert_eq!((whole.step, whole.gains.len()), (2, 4));
        assert_eq!(whole.scales, [0.5, 0.5, 0.3, 0.3]);
        // Rounded outwards.
        assert_eq!(whole.range, [(-2, 4), (0, 6), (-2, 2), (0, 4)]);
        let fine = download(1);
        assert!(!fine.aligned);
        assert_eq!((fine.step, fine.scales[0]), (4096, 1024.0));
        assert_eq!(fine.range[0], (-1, 1));
    }

    #[test]
    fn a_segment_without_a_step_is_refused_by_its_first_layer() {
        let model = network(input(1, 1), vec![(vec![0], dense(&[&[1.0]], &[0.0]))]);
        let mut analyst = walked(&model, 1);
        analyst.groups.limit(0, 1.0);
        let error = analyst.finish().expect_err("no even step").to_string();
        assert!(error.contains("from layer \"layer0\" on"), "{error}");
    }

    #[test]
    fn biases_are_in_steps_of_their_source() {
        let model = network(input(1, 3), vec![(vec![0], dense(&[&[2.0]], &[6.0]))]);
        let mut analyst = walked(&model, 1);
        analyst.groups.limit(0, 10.0);
        let analysis = analyst.finish().expect("fits");
        assert_eq!(analysis.uploads[0].step, 10);
        let PlannedAction::Linear(linear) = &analysis.steps[0].action else {
            panic!("a linear step");
        };
        // The weight is the integer 127, so that the bias is three times that, in steps.
        assert_eq!(linear.bias, [3 * 127 * 10]);
    }
}
