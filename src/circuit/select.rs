//! Chooses a segment's parameter set: the cheapest that is precise enough, by tfhe's noise
//! formulas and a cost model of this engine.
//!
//! The search is exhaustive over a small grid and deterministic: polynomial shapes, one or two
//! bootstrap levels with their best base, keyswitch decompositions, and for each the smallest n
//! that is precise enough, because cost grows with n.

pub(super) mod selector;

use std::sync::LazyLock;

use crate::circuit::analysis::{Analysis, DEFAULT_STEP_NOISE, Purpose};
use crate::circuit::encoding::SourceNoise;
use crate::core::error::{Error, Result};
use crate::fhe::noise;
use crate::fhe::parameters::{
    ParameterLiteral, ParameterSet, secure_glwe_noise_std, secure_lwe_noise_std,
};
use crate::record::cost_model::CostModel;

/// How precise look-ups must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Precision {
    /// The noise's standard deviation stays below this fraction of an output step.
    StepNoise(f64),
    /// No look-up reads another integer than the clear one, failures aside.
    Exact,
}

/// The noise of an answer behind look-ups, or of a value that is looked up as it is, as a fraction of its
/// range, that no set may exceed; where less
/// step noise than [`DEFAULT_STEP_NOISE`] is asked for, in proportion to that.
const MOST_ANSWER_NOISE: f64 = 1.0 / 64.0;
/// The noise of a comparison of logits, as a fraction of the range of their differences, that no set
/// may exceed; in proportion as that of answers.
const MOST_COMPARISON_NOISE: f64 = 1.0 / 256.0;

/// (k, N) of the search; the last two only pay in exact mode.
const SHAPES: [(usize, usize); 7] = [
    (4, 512),
    (2, 1024),
    (1, 2048),
    (2, 2048),
    (1, 4096),
    (1, 8192),
    (1, 16384),
];
const MOST_BOOTSTRAP_LEVELS: usize = 2;
/// (base 2^b, levels) of the keyswitch.
const KEYSWITCHES: [(usize, usize); 9] = [
    (3, 4),
    (3, 5),
    (2, 6),
    (2, 7),
    (2, 8),
    (2, 9),
    (2, 10),
    (1, 16),
    (1, 20),
];
/// Smallest n, largest n, step.
const DIMENSIONS: (usize, usize, usize) = (600, 1200, 8);

/// Returns the cheapest set for a segment, or for a linear one the set of its ciphertexts alone.
///
/// # Errors
///
/// [`Error::Parameters`] where no set of the grid is precise enough.
pub fn select(
    analysis: &Analysis,
    log2_p_fail_lookup: f64,
    precision: Precision,
    cost: &CostModel,
) -> Result<ParameterSet> {
    if analysis.look_ups().next().is_none() {
        // k·N = 2048 in one polynomial: its fresh noise carries 8-bit layers of a thousand inputs
        // exactly, and long polynomials let more outputs share a mask.
        return ParameterSet::accurate();
    }
    let precise =
        |parameters: &ParameterSet| is_precise(analysis, parameters, log2_p_fail_lookup, precision);
    let is_possible = GRID
        .iter()
        .any(|candidates| precise(&candidates.most_precise));
    let found = is_possible.then(|| cheapest(&precise, cost));
    found.flatten().ok_or_else(|| {
        Error::Parameters(format!(
            "no set keeps the look-ups of layers {} {} at a failure probability of \
             2^{log2_p_fail_lookup}: allow more noise, or place them otherwise",
            analysis.look_up_names(),
            match precision {
                Precision::StepNoise(fraction) => format!("within {fraction} steps of noise"),
                Precision::Exact => "exact; their accumulators are too wide".into(),
            }
        ))
    })
}

fn is_precise(
    analysis: &Analysis,
    parameters: &ParameterSet,
    log2_p_fail_lookup: f64,
    precision: Precision,
) -> bool {
    let quantile = noise::two_sided_quantile(log2_p_fail_lookup);
    let noise = SourceNoise::of(parameters);
    let cells = parameters.literal().polynomial_size;
    let fraction = analysis
        .look_ups()
        .map(|look_up| look_up.most_fraction(&noise, quantile))
        .fold(f64::INFINITY, f64::min);
    // Thousands of answers take long to look at: look-ups refuse most sets before.
    let fraction = || {
        analysis
            .downloads
            .iter()
            .map(|download| download.most_fraction(&noise, quantile))
            .fold(fraction, f64::min)
    };
    let stricter = match precision {
        Precision::StepNoise(limit) => (limit / DEFAULT_STEP_NOISE).min(1.0),
        Precision::Exact => 1.0,
    };
    let look_ups_precise = |fraction: f64| {
        analysis
            .look_ups()
            .all(|look_up| match (precision, look_up.purpose) {
                (Precision::StepNoise(limit), Purpose::Activation) => {
                    look_up.step_noise(&noise, fraction) <= limit
                }
                (Precision::StepNoise(_), Purpose::Comparison) => {
                    look_up.range_noise(&noise, fraction) <= MOST_COMPARISON_NOISE * stricter
                }
                (Precision::StepNoise(_), Purpose::Protection | Purpose::Gate) => {
                    look_up.range_noise(&noise, fraction) <= MOST_ANSWER_NOISE * stricter
                }
                (Precision::Exact, _) | (_, Purpose::Conjunction) => {
                    look_up.table_margin(&noise, fraction, quantile, cells) >= 0.0
                }
            })
    };
    let answers_precise = |fraction: f64| {
        let mut downloads = analysis.downloads.iter();
        let most = MOST_ANSWER_NOISE * stricter;
        downloads.all(|download| download.range_noise(&noise, fraction) <= most)
    };
    fraction() > 0.0 && look_ups_precise(fraction()) && answers_precise(fraction())
}

/// All sets that differ only in n, from cheap to dear.
struct Candidates {
    sets: Vec<ParameterSet>,
    most_precise: ParameterSet,
}

/// The whole grid; built once, from formulas alone.
static GRID: LazyLock<Vec<Candidates>> = LazyLock::new(|| {
    let mut grid = Vec::new();
    for (glwe_dimension, polynomial_size) in SHAPES {
        for bootstrap_levels in 1..=MOST_BOOTSTRAP_LEVELS {
            for (keyswitch_base_log, keyswitch_levels) in KEYSWITCHES {
                let literal = ParameterLiteral {
                    lwe_dimension: 0,
                    glwe_dimension,
                    polynomial_size,
                    lwe_noise_std: 0.0,
                    glwe_noise_std: secure_glwe_noise_std(glwe_dimension, polynomial_size),
                    bootstrap_base_log: 1,
                    bootstrap_levels,
                    keyswitch_base_log,
                    keyswitch_levels,
                };
                grid.extend(candidates(literal));
            }
        }
    }
    grid
});

/// Returns a shape's sets for every n, each with the bootstrap base of least noise.
fn candidates(shape: ParameterLiteral) -> Option<Candidates> {
    let (smallest, largest, step) = DIMENSIONS;
    let with = |lwe_dimension: usize, bootstrap_base_log: usize| {
        ParameterSet::new(ParameterLiteral {
            lwe_dimension,
            lwe_noise_std: secure_lwe_noise_std(lwe_dimension),
            bootstrap_base_log,
            ..shape
        })
        .ok()
    };
    // The best base hardly depends on n, whose variance factor is common to all of them.
    let best = (4..=24)
        .filter_map(|base_log| with(smallest, base_log))
        .min_by(|a, b| noise::bootstrap_variance(a).total_cmp(&noise::bootstrap_variance(b)))?;
    let base_log = best.literal().bootstrap_base_log;
    let sets: Vec<_> = (smallest..=largest)
        .step_by(step)
        .filter_map(|n| with(n, base_log))
        .collect();
    let most_precise = *sets.iter().min_by(|a, b| {
        let variance = |set| noise::look_up_variance(set) + noise::bootstrap_variance(set);
        variance(a).total_cmp(&variance(b))
    })?;
    Some(Candidates { sets, most_precise })
}

/// Returns the cheapest precise set of the grid.
fn cheapest(precise: &dyn Fn(&ParameterSet) -> bool, cost: &CostModel) -> Option<ParameterSet> {
    let mut best: Option<(f64, ParameterSet)> = None;
    for candidates in GRID.iter() {
        let beats = |cost: f64| best.is_none_or(|(lowest, _)| cost < lowest);
        let found = candidates
            .sets
            .iter()
            .map(|set| (cost.look_up_core_s(set), *set))
            .take_while(|(cost, _)| beats(*cost))
            .find(|(_, set)| precise(set));
        best = found.or(best);
    }
    best.map(|(_, set)| set)
}

#[cfg(test)]
mod tests;
