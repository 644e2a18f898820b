//! Compiles an analysed segment for a parameter set: the grid's unit on the torus, tables, guard
//! bands, messages.
//!
//! The unit is as large as the calibrated ranges allow once a guard band of z·sigma is left at each
//! end of each look-up, where sigma is the noise predicted by tfhe's formulas and z the Gaussian
//! quantile of the wanted failure probability.

mod download;
mod look_up;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::circuit::analysis::{
    Analysis, DEFAULT_LOG2_P_FAIL_LOOKUP, DEFAULT_STEP_NOISE, Gain, MOST_PROTECT_BITS, NoiseBound,
    PlannedAction, PlannedLinear, PlannedLookUp, Purpose, Term, analyse_to_end,
};
use crate::circuit::encoding::{SourceNoise, even_unit};
use crate::circuit::interface::{Interface, UploadEncoding};
use crate::circuit::packing::{Layout, Packing, most_rows_per_product, pack};
use crate::circuit::program::{Action, LinearStep, Program, Step};
use crate::circuit::select::{Precision, select_all};
use crate::core::error::{Error, Result};
use crate::core::linear_map::LinearMap;
use crate::core::placement::{Placement, Segment};
use crate::core::statistics::log2_union;
use crate::fhe::noise;
use crate::fhe::packed::SparsePolynomial;
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
use crate::model::ending::Ending;
use crate::model::layer::Geometry;
use crate::model::protection::Protection;
use crate::record::cost_model::CostModel;
use crate::record::download::Download;
use crate::record::step_noise::SegmentShare;

/// The most variance that rounding a message may add, as a share of the noise that is there.
const ROUNDING_SHARE: f64 = 1.0 / 64.0;
/// By how much the bound on noise grows beyond what a set was found to have, so that a few attempts
/// settle it.
const BOUND_GROWTH: f64 = 1.05;
/// The fewest bits of an answer that is looked up for its protection, however much noise there is.
const LEAST_PROTECT_BITS: u32 = 2;
/// Inputs from which a dense layer before a look-up is faster as polynomial products than as LWE
/// rows: a product costs as much as about that many rows.
const PACKED_FROM_INPUTS: usize = 64;

/// What programs are compiled for.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub parameters: Choice,
    /// log2 of the failure probability that no single look-up may exceed.
    pub log2_p_fail_lookup: f64,
    pub download: Download,
    pub ending: Ending,
    /// Segments whose look-ups may have other noise than `parameters` says.
    pub own_step_noise: Vec<SegmentShare>,
}

impl Target {
    /// Returns what a sweep compiles for unless its settings say otherwise.
    pub fn usual() -> Self {
        Self::cheapest(DEFAULT_STEP_NOISE)
    }

    /// Returns what a sweep compiles for that says nothing else but how much noise look-ups may have.
    pub fn cheapest(step_noise: f64) -> Self {
        let precision = Precision::StepNoise(step_noise);
        Self {
            parameters: Choice::Cheapest(precision, CostModel::default()),
            log2_p_fail_lookup: DEFAULT_LOG2_P_FAIL_LOOKUP,
            download: Download::Plain,
            ending: Ending::default(),
            own_step_noise: Vec::new(),
        }
    }

    /// Returns the target of one segment.
    fn of(&self, segment: &Segment) -> Self {
        let mut own = self.own_step_noise.iter();
        let own = own.find(|own| own.layers == segment.layers);
        let parameters = match (self.parameters, own) {
            (Choice::Cheapest(Precision::StepNoise(_), cost), Some(own)) => {
                Choice::Cheapest(Precision::StepNoise(own.share), cost)
            }
            (parameters, _) => parameters,
        };
        Self {
            parameters,
            own_step_noise: Vec::new(),
            ..*self
        }
    }

    /// Returns how precise look-ups must be, where that decides on the set.
    fn precision(&self) -> Option<Precision> {
        match self.parameters {
            Choice::Cheapest(precision, _) => Some(precision),
            Choice::Fixed(_) => None,
        }
    }

    /// Returns what holds of the noise of look-ups before a set is chosen; of a fixed set nothing
    /// does, and its bound is where to begin.
    fn noise_bound(&self) -> NoiseBound {
        let step_noise = match self.parameters {
            Choice::Cheapest(Precision::StepNoise(limit), _) => limit,
            Choice::Cheapest(Precision::Exact, _) => 0.0,
            Choice::Fixed(_) => DEFAULT_STEP_NOISE,
        };
        NoiseBound {
            step_noise,
            log2_p_fail_lookup: self.log2_p_fail_lookup,
        }
    }
}

/// Which parameter set a segment gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// The cheapest that is precise enough.
    Cheapest(Precision, CostModel),
    Fixed(ParameterSet),
}

/// Returns the program of every server segment of a placement.
///
/// # Errors
///
/// [`Error::Parameters`] where the noise leaves no room for a layer's range.
pub fn compile_placement(
    model: &Model,
    placement: &Placement,
    target: &Target,
) -> Result<Vec<Arc<Program>>> {
    let segments = placement.server_segments();
    let targets: Vec<Target> = segments.iter().map(|segment| target.of(segment)).collect();
    let parts = || segments.iter().zip(&targets);
    let analyse = |(segment, target), bits| analyse_for(model, segment, target, bits);
    let analyses = parts().map(|part| analyse(part, MOST_PROTECT_BITS));
    let mut analyses: Vec<Analysis> = analyses.collect::<Result<_>>()?;
    let sets = match target.parameters {
        Choice::Fixed(parameters) => vec![parameters; analyses.len()],
        Choice::Cheapest(_, cost) => {
            let precisions = targets.iter().filter_map(Target::precision);
            let wanted: Vec<_> = analyses.iter().zip(precisions).collect();
            select_all(&wanted, target.log2_p_fail_lookup, &cost)?
        }
    };
    for ((analysis, parameters), part) in analyses.iter_mut().zip(&sets).zip(parts()) {
        let bits = protect_bits(analysis, parameters, part.1);
        if bits < MOST_PROTECT_BITS {
            *analysis = analyse(part, bits)?;
        }
    }
    let programs = analyses.iter().zip(&sets).zip(&targets);
    programs
        .map(|((analysis, parameters), target)| compile(analysis, parameters, target).map(Arc::new))
        .collect()
}

/// Returns the analysis of a segment, whose ranges have room for the deviations under whichever set
/// is chosen, or under a fixed one.
fn analyse_for(
    model: &Model,
    segment: &Segment,
    target: &Target,
    protect_bits: u32,
) -> Result<Analysis> {
    let mut bound = target.noise_bound();
    loop {
        let analysis = analyse_to_end(model, segment, target.ending, protect_bits, bound)?;
        let Choice::Fixed(parameters) = target.parameters else {
            return Ok(analysis);
        };
        // Room for more noise makes ranges wider, and noise more beside their steps; but no pool
        // grows beyond the sum of its widths, so that this ends. Without any room left, compiling
        // says so.
        let noise = SourceNoise::of(&parameters);
        let share =
            analysis.most_share(&noise, noise::two_sided_quantile(target.log2_p_fail_lookup));
        let bounded = analysis.look_ups().filter(|of| of.log2_p_leave.is_some());
        let found = bounded.map(|look_up| look_up.step_noise(&noise, share));
        let found = found.fold(0.0, f64::max);
        if share <= 0.0 || found <= bound.step_noise {
            return Ok(analysis);
        }
        bound.step_noise = found * BOUND_GROWTH;
    }
}

/// Returns the bits of answers that are looked up for their protection: the most whose steps the
/// set's noise allows. The analysis has the most of all.
fn protect_bits(analysis: &Analysis, parameters: &ParameterSet, target: &Target) -> u32 {
    let limit = match target.parameters {
        Choice::Cheapest(Precision::StepNoise(limit), _) => limit,
        Choice::Cheapest(Precision::Exact, _) | Choice::Fixed(_) => DEFAULT_STEP_NOISE,
    };
    let quantile = noise::two_sided_quantile(target.log2_p_fail_lookup);
    let noise = SourceNoise::of(parameters);
    let share = analysis.most_share(&noise, quantile);
    let protections = analysis
        .look_ups()
        .filter(|look_up| look_up.purpose == Purpose::Protection);
    let noises = protections.map(|look_up| look_up.step_noise(&noise, share));
    let worst = noises.fold(0.0, f64::max);
    let levels = |bits: u32| f64::from((1u32 << bits) - 1);
    let fits = |bits: &u32| worst * levels(*bits) / levels(MOST_PROTECT_BITS) <= limit;
    (LEAST_PROTECT_BITS..=MOST_PROTECT_BITS)
        .rfind(fits)
        .unwrap_or(LEAST_PROTECT_BITS)
}

/// Returns the program of a segment under a parameter set.
///
/// # Errors
///
/// As [`compile_placement`].
pub fn compile(analysis: &Analysis, parameters: &ParameterSet, target: &Target) -> Result<Program> {
    let mut compiler = Compiler {
        analysis,
        parameters,
        download: target.download,
        protection: target.ending.protect,
        quantile: noise::two_sided_quantile(target.log2_p_fail_lookup),
        packed: BTreeMap::new(),
        noise: SourceNoise::of(parameters),
        log2_p_fail: Vec::new(),
        log2_p_fail_lookup: None,
    };
    compiler.packed = compiler.pack();
    compiler.segment()
}

struct Compiler<'a> {
    analysis: &'a Analysis,
    parameters: &'a ParameterSet,
    download: Download,
    protection: Protection,
    /// Guard band in standard deviations.
    quantile: f64,
    /// By step: its packed form, and the layout of its upload.
    packed: BTreeMap<usize, (Layout, Packing)>,
    noise: SourceNoise,
    log2_p_fail: Vec<f64>,
    log2_p_fail_lookup: Option<f64>,
}

impl Compiler<'_> {
    fn segment(mut self) -> Result<Program> {
        let analysis = self.analysis;
        let bytes = self.round_uploads();
        let share = self.share();
        let unit = even_unit(share.max(0.0));
        if unit == 0 {
            return Err(self.no_room());
        }
        let uploads = analysis.uploads.iter().enumerate();
        let uploads = uploads.map(|(slot, upload)| UploadEncoding {
            value: upload.value,
            layout: self.layout(slot),
            quantisation: upload.quantisation.clone(),
            step: upload.step as u64 * unit,
            bytes,
        });
        let uploads = uploads.collect();
        let downloads = analysis.downloads.iter();
        let downloads = downloads
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
            steps.push(Step {
                node: planned.node,
                composed: planned.composed.clone(),
                inputs: planned.inputs.clone(),
                last_reads: last_reads(analysis, index),
                action,
            });
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

    fn polynomial_size(&self) -> usize {
        self.parameters.literal().polynomial_size
    }

    /// Returns the packed form of each linear step that reads an upload alone, where that pays.
    fn pack(&self) -> BTreeMap<usize, (Layout, Packing)> {
        let steps = self.analysis.steps.iter().enumerate();
        steps
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
                if !is_upload || reader_count(self.analysis, slot) > 1 {
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
    ) -> Option<(Layout, Packing)> {
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

    /// Returns whether a step's output is downloaded and read by no other step.
    fn is_answer(&self, step: usize) -> bool {
        let slot = self.analysis.uploads.len() + step;
        let downloaded = self.analysis.downloads.iter().any(|d| d.slot == slot);
        downloaded && reader_count(self.analysis, slot) == 1
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
    fn layout(&self, slot: usize) -> Layout {
        let steps = self.analysis.steps.iter().enumerate();
        let mut readers = steps.filter(|(_, step)| step.inputs.contains(&slot));
        let packed = readers.find_map(|(index, _)| self.packed.get(&index));
        match packed {
            Some((layout, _)) => layout.clone(),
            None => {
                let count = self.analysis.uploads[slot].quantisation.scales.len();
                Layout::consecutive(count, self.polynomial_size())
            }
        }
    }

    /// Counts what packed products and rounded uploads add to fresh noise, and returns the bytes of
    /// a body coefficient that keep rounding below its share of the noise wherever it arrives.
    fn round_uploads(&mut self) -> usize {
        let product = noise::product_variance(self.parameters, 1.0);
        let growth = self.packed_growth();
        let own = growth * (self.noise.fresh + product);
        let look_ups = self.analysis.look_ups().flat_map(|look_up| &look_up.gains);
        let look_ups = look_ups.map(|gain| (gain, self.noise.added));
        let downloads = self.analysis.downloads.iter().flat_map(|download| {
            // Half a unit at most is lost to noise where decoding is to be exact.
            let floor = (0.25 / (download.largest() + 0.5) / self.quantile).powi(2);
            download.gains.iter().map(move |gain| (gain, floor))
        });
        let arrivals: Vec<(&Gain, f64)> = look_ups.chain(downloads).collect();
        let fits = |bytes: &usize| {
            let rounding = growth * noise::body_rounding_variance(*bytes);
            arrivals.iter().all(|(gain, floor)| {
                let there = gain.fresh * own + gain.look_up * self.noise.look_up + floor;
                gain.fresh * rounding <= ROUNDING_SHARE * there
            })
        };
        let bytes = match self.protection {
            Protection::None | Protection::Bootstrap => (2..8).find(fits).unwrap_or(8),
            // Rounding errors meet the weights, and the client knows them: flooding would have to
            // hide them too.
            Protection::Rerandomise => 8,
        };
        self.noise.fresh = own + growth * noise::body_rounding_variance(bytes);
        bytes
    }

    /// Returns by how much packing multiplies fresh noise at worst: in a packed layer every weight
    /// of a product carries noise, those of other rows and of padding too, because they meet
    /// encryptions of zero.
    fn packed_growth(&self) -> f64 {
        let growth = |(index, (_, packing)): (&usize, &(Layout, Packing))| {
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
            let outputs = packing.outputs.iter().zip(own);
            outputs
                .map(|(place, own)| products[place.ciphertext as usize] / own.max(1.0))
                .fold(1.0, f64::max)
        };
        self.packed.iter().map(growth).fold(1.0, f64::max)
    }

    /// Returns the largest share of the torus that the grid's integer 1 may take; not positive
    /// where the noise leaves no room.
    fn share(&self) -> f64 {
        self.analysis.most_share(&self.noise, self.quantile)
    }

    fn no_room(&self) -> Error {
        let look_ups = self.analysis.look_ups();
        let sigma = |look_up: &PlannedLookUp| {
            let sigmas = look_up
                .gains
                .iter()
                .map(|gain| self.noise.look_up_sigma(gain));
            sigmas.fold(0.0, f64::max)
        };
        let noisiest = look_ups
            .map(|look_up| (sigma(look_up), look_up.name.as_str()))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Error::Parameters(match noisiest {
            Some((sigma, name)) => format!(
                "{}: the guard bands of layer {name:?} leave no room: noise 2^{:.2} at {:.1} \
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

/// Returns how many steps and downloads read a slot.
fn reader_count(analysis: &Analysis, slot: usize) -> usize {
    let steps = analysis.steps.iter().flat_map(|step| &step.inputs);
    let downloads = analysis.downloads.iter().map(|download| &download.slot);
    steps.chain(downloads).filter(|read| **read == slot).count()
}

/// Returns the slots that a step reads and nothing after it does.
fn last_reads(analysis: &Analysis, step: usize) -> Vec<usize> {
    let mut slots = analysis.steps[step].inputs.clone();
    slots.retain(|&slot| !analysis.is_read_after(slot, step));
    slots.dedup();
    slots
}
