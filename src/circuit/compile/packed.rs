//! The linear steps that read an upload alone, as polynomial products where that pays.

use std::collections::BTreeMap;

use super::compiler::Compiler;
use crate::circuit::analysis::{PlannedAction, PlannedLinear, Term};
use crate::circuit::packing::{PackedLayout, Packing, most_rows_per_product, pack};
use crate::core::linear_map::LinearMap;
use crate::fhe::packed::SparsePolynomial;
use crate::model::layer::Geometry;
use crate::record::download::Download;

/// Inputs from which a dense layer before a look-up is faster as polynomial products than as LWE
/// rows: a product costs as much as about that many rows.
const PACKED_FROM_INPUTS: usize = 64;

impl Compiler<'_> {
    /// Returns the packed form of each linear step that reads an upload alone, where that pays.
    pub(super) fn pack(&self) -> BTreeMap<usize, (PackedLayout, Packing)> {
        self.analysis
            .steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| {
                let PlannedAction::Linear(PlannedLinear {
                    terms, geometry, ..
                }) = &step.action
                else {
                    return None;
                };
                let ([Term::Matrix(map)], &[slot]) = (terms.as_slice(), step.inputs.as_slice())
                else {
                    return None;
                };
                let is_upload = slot < self.analysis.uploads.len();
                if !is_upload || self.reader_count(slot) > 1 {
                    return None;
                }
                let packed = self.pack_step(index, map, geometry)?;
                Some((index, packed))
            })
            .collect()
    }

    fn pack_step(
        &self,
        index: usize,
        map: &LinearMap<u64>,
        geometry: &Geometry,
    ) -> Option<(PackedLayout, Packing)> {
        if self.download == Download::Full {
            return None;
        }
        let is_answer = self.is_answer(index);
        let dense = *geometry == Geometry::Dense;
        if dense && !is_answer && map.input_count < PACKED_FROM_INPUTS {
            return None;
        }
        let rows = if dense && is_answer {
            self.cheapest_rows_per_product(map.input_count, map.output_count)
        } else {
            1
        };
        pack(map, geometry, self.polynomial_size(), rows)
    }

    /// Returns how many steps and downloads read a slot.
    fn reader_count(&self, slot: usize) -> usize {
        let steps = self.analysis.steps.iter().flat_map(|step| &step.inputs);
        let downloads = self
            .analysis
            .downloads
            .iter()
            .map(|download| &download.slot);
        steps.chain(downloads).filter(|read| **read == slot).count()
    }

    /// Returns whether a step's output is downloaded and read by no other step.
    pub(super) fn is_answer(&self, step: usize) -> bool {
        let slot = self.analysis.uploads.len() + step;
        let downloaded = self.analysis.downloads.iter().any(|d| d.slot == slot);
        downloaded && self.reader_count(slot) == 1
    }

    /// Returns how many outputs of a dense layer should share a product so that upload and packed
    /// answer have the fewest coefficients together.
    fn cheapest_rows_per_product(&self, inputs: usize, outputs: usize) -> usize {
        let coefficients = |rows: &usize| {
            let upload = if *rows > 1 {
                self.polynomial_size()
            } else {
                inputs
            };
            upload + outputs.div_ceil(*rows) * self.parameters.big_dimension()
        };
        let most = most_rows_per_product(inputs, self.polynomial_size()).min(outputs);
        (1..=most).min_by_key(coefficients).unwrap_or(1)
    }

    /// Returns where the elements of an upload lie.
    pub(super) fn layout(&self, slot: usize) -> PackedLayout {
        let steps = self.analysis.steps.iter().enumerate();
        let mut readers = steps.filter(|(_, step)| step.inputs.contains(&slot));
        let packed = readers.find_map(|(index, _)| self.packed.get(&index));
        match packed {
            Some((layout, _)) => layout.clone(),
            None => {
                let count = self.analysis.uploads[slot].quantisation.scales.len();
                PackedLayout::consecutive(count, self.polynomial_size())
            }
        }
    }

    /// Returns by how much packing multiplies fresh noise at worst: in a packed layer every weight
    /// of a product carries noise, those of other rows and of padding too, because they meet
    /// encryptions of zero.
    pub(super) fn packed_growth(&self) -> f64 {
        let growth = |(index, (_, packing)): (&usize, &(PackedLayout, Packing))| {
            let PlannedAction::Linear(linear) = &self.analysis.steps[*index].action else {
                unreachable!("only linear steps are packed");
            };
            let Term::Matrix(map) = &linear.terms[0] else {
                unreachable!("only matrices are packed");
            };
            let of_product = |product: &Vec<SparsePolynomial>| -> f64 {
                let weights = product.iter().flatten();
                weights.map(|&(_, weight)| (weight as f64).powi(2)).sum()
            };
            let products: Vec<f64> = packing.products.iter().map(of_product).collect();
            let own = map.squared_norms();
            packing
                .outputs
                .iter()
                .zip(own)
                .map(|(place, own)| products[place.ciphertext as usize] / own.max(1.0))
                .fold(1.0, f64::max)
        };
        self.packed.iter().map(growth).fold(1.0, f64::max)
    }
}
