//! Compiles an analysed segment for a parameter set: the grid's unit on the torus, tables, noise
//! margins, messages.
//!
//! The unit is as large as the calibrated ranges allow once a noise margin of z·sigma is left at each
//! end of each look-up, where sigma is the noise predicted by tfhe's formulas and z the Gaussian
//! quantile of the wanted failure probability.

mod compiler;
mod download;
mod look_up;
mod packed;
mod target;
mod upload;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::circuit::analysis::{
    Analysis, DEFAULT_STEP_NOISE, MOST_IDENTITY_BITS, Purpose, analyse_to_end,
};
use crate::circuit::encoding::SourceNoise;
use crate::circuit::program::Program;
use crate::circuit::select::Precision;
use crate::circuit::select::selector::{Selector, Wanted};
use crate::core::error::Result;
use crate::core::placement::{Placement, Segment};
use crate::fhe::noise;
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
use crate::model::quantise::QuantParams;
use compiler::Compiler;

pub use target::{Choice, Target};

/// By how much the bound on noise grows beyond what a set was found to have, so that a few attempts
/// settle it.
const BOUND_GROWTH: f64 = 1.05;
/// The fewest bits of a value that is looked up as it is, however much noise there is.
const LEAST_IDENTITY_BITS: u32 = 2;

/// Returns the program of every server segment of a placement.
///
/// # Errors
///
/// [`crate::Error::Parameters`] where the noise leaves no room for a layer's range.
pub fn compile_placement(
    model: &Model,
    placement: &Placement,
    target: &Target,
) -> Result<Vec<Arc<Program>>> {
    PlacementCompiler::new(model, target.clone()).compile(placement)
}

/// Compiles placements of one model for one target. What they share is found once.
pub struct PlacementCompiler<'a> {
    model: &'a Model,
    target: Target,
    sets: Sets,
}

/// Where the sets of segments come from.
enum Sets {
    Fixed(ParameterSet),
    Chosen(Selector),
}

impl<'a> PlacementCompiler<'a> {
    /// Returns one that has found nothing yet.
    pub fn new(model: &'a Model, target: Target) -> Self {
        let sets = match target.parameters {
            Choice::Fixed(parameters) => Sets::Fixed(parameters),
            Choice::Cheapest(_, cost) => {
                Sets::Chosen(Selector::new(target.log2_p_fail_lookup, cost))
            }
        };
        Self {
            model,
            target,
            sets,
        }
    }

    /// Returns the model whose placements it compiles.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Returns what it compiles for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the program of every server segment of a placement.
    ///
    /// # Errors
    ///
    /// As [`compile_placement`].
    pub fn compile(&self, placement: &Placement) -> Result<Vec<Arc<Program>>> {
        let (model, target) = (self.model, &self.target);
        let segments = placement.server_segments();
        let targets: Vec<Target> = segments.iter().map(|segment| target.of(segment)).collect();
        let parts = || segments.iter().zip(&targets);
        let analyse = |(segment, target), bits| analyse_for(model, segment, target, bits);
        let mut analyses = parts()
            .map(|part| analyse(part, MOST_IDENTITY_BITS))
            .collect::<Result<Vec<Analysis>>>()?;
        let sets = match &self.sets {
            Sets::Fixed(parameters) => vec![*parameters; analyses.len()],
            Sets::Chosen(selector) => {
                let wanted: Vec<Wanted<'_>> = parts()
                    .zip(&analyses)
                    .filter_map(|((segment, target), analysis)| {
                        Some(Wanted {
                            layers: segment.layers.clone(),
                            analysis,
                            precision: target.precision()?,
                        })
                    })
                    .collect();
                selector.select_all(&wanted)?
            }
        };
        for ((analysis, parameters), part) in analyses.iter_mut().zip(&sets).zip(parts()) {
            let bits = identity_bits(analysis, parameters, part.1);
            if bits < MOST_IDENTITY_BITS {
                *analysis = analyse(part, bits)?;
            }
        }
        let programs = analyses.iter().zip(&sets).zip(&targets);
        programs
            .map(|((analysis, parameters), target)| {
                compile(analysis, parameters, target).map(Arc::new)
            })
            .collect()
    }
}

/// Returns the analysis of a segment, whose ranges have room for the deviations under whichever set
/// is chosen, or under a fixed one.
fn analyse_for(
    model: &Model,
    segment: &Segment,
    target: &Target,
    identity_bits: u32,
) -> Result<Analysis> {
    let mut bound = target.noise_bound();
    loop {
        let analysis = analyse_to_end(model, segment, target.output_mode, identity_bits, bound)?;
        let Choice::Fixed(parameters) = target.parameters else {
            return Ok(analysis);
        };
        // Room for more noise makes ranges wider, and noise more beside their steps; but no pool
        // grows beyond the sum of its widths, so that this ends. Without any room left, compiling
        // says so.
        let noise = SourceNoise::of(&parameters);
        let fraction =
            analysis.most_fraction(&noise, noise::two_sided_quantile(target.log2_p_fail_lookup));
        let found = analysis
            .look_ups()
            .filter(|of| of.log2_p_leave.is_some())
            .map(|look_up| look_up.step_noise(&noise, fraction))
            .fold(0.0, f64::max);
        if fraction <= 0.0 || found <= bound.step_noise {
            return Ok(analysis);
        }
        bound.step_noise = found * BOUND_GROWTH;
    }
}

/// Returns the bits of values that are looked up as they are: the most whose steps the set's noise allows. The
/// analysis has the most of all.
///
/// Steps of answers are as precise as those of activations. A gate rounds what the client could have rounded, with
/// the same noise whatever its steps are: they are as fine as the set tells apart at all.
fn identity_bits(analysis: &Analysis, parameters: &ParameterSet, target: &Target) -> u32 {
    let limit = match target.parameters {
        Choice::Cheapest(Precision::StepNoise(limit), _) => limit,
        Choice::Cheapest(Precision::Exact, _) | Choice::Fixed(_) => DEFAULT_STEP_NOISE,
    };
    let quantile = noise::two_sided_quantile(target.log2_p_fail_lookup);
    let noise = SourceNoise::of(parameters);
    let fraction = analysis.most_fraction(&noise, quantile);
    let steps = |bits: u32| f64::from((1u32 << bits) - 1);
    let limit_of = |purpose| match purpose {
        Purpose::Protection => Some(limit),
        Purpose::Gate => Some(limit.max(DEFAULT_STEP_NOISE)),
        Purpose::Activation | Purpose::Comparison | Purpose::Conjunction => None,
    };
    // Of each: the noise in its steps over the limit, and how many these are; a sign takes a step more.
    let identities: Vec<(f64, f64)> = analysis
        .look_ups()
        .filter_map(|look_up| {
            let limit = limit_of(look_up.purpose)?;
            let QuantParams { low, high, .. } = look_up.activation.output;
            let count = (high - low + i64::from(low < 0)) as f64;
            Some((look_up.step_noise(&noise, fraction) / limit, count))
        })
        .collect();
    let fits = |bits: &u32| {
        let mut excesses = identities.iter();
        excesses.all(|(excess, count)| excess * steps(*bits).min(*count) / count <= 1.0)
    };
    (LEAST_IDENTITY_BITS..=MOST_IDENTITY_BITS)
        .rfind(fits)
        .unwrap_or(LEAST_IDENTITY_BITS)
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
        protection: target.output_mode.protect,
        quantile: noise::two_sided_quantile(target.log2_p_fail_lookup),
        packed: BTreeMap::new(),
        noise: SourceNoise::of(parameters),
        log2_p_fail: Vec::new(),
        log2_p_fail_lookup: None,
    };
    compiler.packed = compiler.pack();
    compiler.segment()
}
