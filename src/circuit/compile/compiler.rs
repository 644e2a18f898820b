//! One segment's compilation: its steps and ends under a parameter set, and what may fail.

use std::collections::BTreeMap;

use crate::circuit::analysis::{Analysis, PlannedAction, PlannedLookUp, PlannedUpload};
use crate::circuit::encoding::{SourceNoise, even_unit};
use crate::circuit::interface::{Interface, UploadEncoding};
use crate::circuit::packing::{PackedLayout, Packing};
use crate::circuit::program::{Action, LinearStep, Program};
use crate::core::error::{Error, Result};
use crate::core::statistics::log2_union;
use crate::fhe::parameters::ParameterSet;
use crate::model::protection::Protection;
use crate::record::download::Download;

/// The most variance that rounding a message may add, as a fraction of the noise that is there.
pub(super) const ROUNDING_FRACTION: f64 = 1.0 / 64.0;

/// An analysed segment, a parameter set, and what is known so far of the program.
pub(super) struct Compiler<'a> {
    pub analysis: &'a Analysis,
    pub parameters: &'a ParameterSet,
    pub download: Download,
    pub protection: Protection,
    /// Noise margin in standard deviations.
    pub quantile: f64,
    /// By step: its packed form, and the layout of its upload.
    pub packed: BTreeMap<usize, (PackedLayout, Packing)>,
    pub noise: SourceNoise,
    pub log2_p_fail: Vec<f64>,
    pub log2_p_fail_lookup: Option<f64>,
}

impl Compiler<'_> {
    pub(super) fn segment(mut self) -> Result<Program> {
        let analysis = self.analysis;
        let bytes = self.round_uploads();
        let fraction = self.fraction();
        let unit = even_unit(fraction.max(0.0));
        if unit == 0 {
            return Err(self.no_room());
        }
        let encode = |(slot, upload): (usize, &PlannedUpload)| UploadEncoding {
            value: upload.value,
            layout: self.layout(slot),
            quantisation: upload.quantisation.clone(),
            step: upload.step as u64 * unit,
            bytes,
        };
        let uploads = analysis.uploads.iter().enumerate().map(encode).collect();
        let downloads = analysis
            .downloads
            .iter()
            .map(|download| self.download(download, unit))
            .collect();
        let mut steps = Vec::with_capacity(analysis.steps.len());
        for (index, planned) in analysis.steps.iter().enumerate() {
            let action = match &planned.action {
                PlannedAction::Linear(linear) => Action::Linear(LinearStep {
                    weights: linear.clone(),
                    packing: self.packed.get(&index).map(|(_, packing)| packing.clone()),
                }),
                PlannedAction::LookUp(look_up) => {
                    let deviation = self.deviation(planned.inputs[0], look_up, unit);
                    Action::LookUp(self.look_up(planned.node, look_up, deviation, unit))
                }
            };
            steps.push(planned.with_action(action));
        }
        Ok(Program {
            nodes: analysis.nodes.clone(),
            parameters: *self.parameters,
            unit,
            interface: Interface { uploads, downloads },
            upload_steps: analysis.uploads.iter().map(|upload| upload.step).collect(),
            steps,
            download_slots: analysis.downloads.iter().map(|d| d.slot).collect(),
            log2_p_fail_lookup: self.log2_p_fail_lookup,
            log2_p_fail: log2_union(self.log2_p_fail.iter().copied()),
        })
    }

    pub(super) fn polynomial_size(&self) -> usize {
        self.parameters.literal().polynomial_size
    }

    /// Returns the largest fraction of the torus that the grid's integer 1 may take; not positive
    /// where the noise leaves no room.
    fn fraction(&self) -> f64 {
        self.analysis.most_fraction(&self.noise, self.quantile)
    }

    fn no_room(&self) -> Error {
        let look_ups = self.analysis.look_ups();
        let sigma = |look_up: &PlannedLookUp| {
            look_up
                .gains
                .iter()
                .map(|gain| self.noise.look_up_sigma(gain))
                .fold(0.0, f64::max)
        };
        let noisiest = look_ups
            .map(|look_up| (sigma(look_up), look_up.name.as_str()))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Error::Parameters(match noisiest {
            Some((sigma, name)) => format!(
                "{}: the noise margins of layer {name:?} leave no room: noise 2^{:.2} at {:.1} \
                 standard deviations; choose a more accurate set or a larger failure probability",
                self.parameters,
                sigma.log2(),
                self.quantile
            ),
            None => format!(
                "{}: noise fills the torus at the end of a segment: put fewer linear layers in a \
                 row on the server, or give them fewer weight bits",
                self.parameters
            ),
        })
    }
}
