//! The end of an analysis: once the steps of all sources are known, weights, biases and answers follow.

use std::collections::BTreeMap;

use super::linear::Filled;
use super::{
    Analysis, Analyst, Answer, Draft, HALF_TURN, PlannedAction, PlannedDownload, PlannedLinear,
    PlannedStep, PlannedUpload, gains,
};
use crate::core::error::{Error, Result};

impl Analyst<'_> {
    /// Settles the steps of all sources, and with them weights and biases.
    pub(super) fn finish(self) -> Result<Analysis> {
        let steps_of = self.groups.steps();
        if steps_of.contains(&0) {
            let first = &self.model.nodes[self.nodes.start].name;
            return Err(Error::Parameters(format!(
                "the segment from layer {first:?} on adds up integers beyond {HALF_TURN}: put \
                 fewer linear layers in a row on the server, or give them fewer weight bits"
            )));
        }
        let uploads = self
            .uploads
            .into_iter()
            .map(|(value, quantisation, group)| PlannedUpload {
                value,
                quantisation,
                step: steps_of[group],
            });
        let mut analysis = Analysis {
            nodes: self.nodes,
            uploads: uploads.collect(),
            steps: Vec::with_capacity(self.steps.len()),
            downloads: Vec::new(),
        };
        let mut filled: BTreeMap<usize, Vec<Filled>> = BTreeMap::new();
        for (node, inputs, draft) in self.steps {
            let action = match draft {
                Draft::Natural {
                    terms,
                    bias,
                    geometry,
                    group,
                } => PlannedAction::Linear(PlannedLinear {
                    terms,
                    bias: bias.iter().map(|bias| bias * steps_of[group]).collect(),
                    geometry,
                }),
                Draft::Filling(filling) => {
                    let (linear, channels) = filling.settle(&steps_of);
                    filled.insert(analysis.uploads.len() + analysis.steps.len(), channels);
                    PlannedAction::Linear(linear)
                }
                Draft::LookUp { draft, group } => {
                    let Some(channels) = filled.remove(&inputs[0]) else {
                        unreachable!("the weights that fill a look-up stand before it");
                    };
                    let gains = gains(&analysis, inputs[0]);
                    PlannedAction::LookUp(draft.settle(channels, gains, steps_of[group]))
                }
            };
            let made = self.linear.get(node + 1);
            let composed = match &action {
                PlannedAction::Linear(_) => made.map(|made| made.composed.iter().copied()),
                PlannedAction::LookUp(_) => None,
            };
            analysis.steps.push(PlannedStep {
                node,
                composed: composed.into_iter().flatten().collect(),
                inputs,
                action,
            });
        }
        for (index, answer) in self.downloads {
            let download = match answer {
                Answer::Natural(value) => PlannedDownload {
                    value: index,
                    slot: value.slot,
                    step: steps_of[value.group],
                    gains: gains(&analysis, value.slot),
                    scales: value.scales,
                    range: value.range,
                    aligned: value.aligned,
                },
                Answer::Filled { slot, ranges } => {
                    filled_download(&analysis, index, slot, &ranges, &filled[&slot])
                }
            };
            analysis.downloads.push(download);
        }
        Ok(analysis)
    }
}

/// Returns the download of weights that fill half a turn.
fn filled_download(
    analysis: &Analysis,
    value: usize,
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
    let scales = (0..ranges.len()).map(|element| channels[element / size].scale * step as f64);
    let scales: Vec<f64> = scales.collect();
    let range = ranges
        .iter()
        .zip(&scales)
        .map(|((low, high), scale)| ((low / scale).floor() as i64, (high / scale).ceil() as i64));
    PlannedDownload {
        value,
        slot,
        step,
        range: range.collect(),
        gains: gains(analysis, slot),
        scales,
        aligned: quantum > 1,
    }
}
