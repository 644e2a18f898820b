//! Chooses a segment's parameter set: the cheapest that is precise enough, by tfhe's noise
//! formulas and a cost model of this engine.
//!
//! The search is exhaustive over a small grid and deterministic: polynomial shapes, one or two
//! bootstrap levels with their best base, keyswitch decompositions, and for each the smallest n
//! that is precise enough, because cost grows with n.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};

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
    /// The noise's standard deviation stays below this share of an output step.
    StepNoise(f64),
    /// No look-up reads another integer than the clear one, failures aside.
    Exact,
}

/// The noise of an answer behind look-ups, as a share of its range, that no set may exceed; where less
/// step noise than [`DEFAULT_STEP_NOISE`] is asked for, in proportion to that.
const MOST_ANSWER_NOISE: f64 = 1.0 / 64.0;
/// The noise of a comparison of logits, as a share of the range of their differences, that no set
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

/// The most that one set for all segments may cost over a set for each, as a share: a second
/// evaluation key costs its bytes, its memory and the time to make it.
const SHARED_SET_SURCHARGE: f64 = 0.05;

/// What a segment's set is chosen by.
pub(super) struct Wanted<'a> {
    pub layers: Range<usize>,
    pub analysis: &'a Analysis,
    pub precision: Precision,
}

/// Chooses sets for the segments of one model that is compiled for one target, and each segment's once,
/// whichever placements it stands in.
pub(super) struct Selector {
    log2_p_fail_lookup: f64,
    cost: CostModel,
    /// By a segment's first layer and the one behind its last.
    found: Mutex<BTreeMap<(usize, usize), ParameterSet>>,
}

impl Selector {
    /// Returns one that has found nothing yet.
    pub fn new(log2_p_fail_lookup: f64, cost: CostModel) -> Self {
        Self {
            log2_p_fail_lookup,
            cost,
            found: Mutex::default(),
        }
    }

    /// Returns a set for each segment of a placement, each as precise as it says: one for all that have
    /// look-ups where that costs hardly more, else the cheapest for each.
    ///
    /// # Errors
    ///
    /// As [`select`].
    pub fn select_all(&self, segments: &[Wanted<'_>]) -> Result<Vec<ParameterSet>> {
        let sets = segments
            .iter()
            .map(|segment| self.select(segment))
            .collect::<Result<_>>()?;
        Ok(share(segments, sets, self.log2_p_fail_lookup, &self.cost))
    }

    fn select(&self, segment: &Wanted<'_>) -> Result<ParameterSet> {
        let key = (segment.layers.start, segment.layers.end);
        let found = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = found().get(&key) {
            return Ok(*set);
        }
        let Wanted {
            analysis,
            precision,
            ..
        } = *segment;
        let set = select(analysis, self.log2_p_fail_lookup, precision, &self.cost)?;
        found().insert(key, set);
        Ok(set)
    }
}

/// Returns one set for all segments that have look-ups where that costs hardly more, else theirs.
fn share(
    segments: &[Wanted<'_>],
    mut sets: Vec<ParameterSet>,
    log2_p_fail_lookup: f64,
    cost: &CostModel,
) -> Vec<ParameterSet> {
    let look_ups: Vec<usize> = segments
        .iter()
        .map(|segment| segment.analysis.look_up_count())
        .collect();
    let total = |set_of: &dyn Fn(usize) -> ParameterSet| -> f64 {
        look_ups
            .iter()
            .enumerate()
            .map(|(index, &count)| count as f64 * cost.look_up_core_s(&set_of(index)))
            .sum()
    };
    let most = total(&|index| sets[index]) * (1.0 + SHARED_SET_SURCHARGE);
    let serves_all = |set: &ParameterSet| {
        segments
            .iter()
            .all(|segment| is_precise(segment.analysis, set, log2_p_fail_lookup, segment.precision))
    };
    let shared = sets
        .iter()
        .zip(&look_ups)
        .filter(|(_, count)| **count > 0)
        .map(|(set, _)| (total(&|_| *set), *set))
        .filter(|(total, set)| *total <= most && serves_all(set))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, shared)) = shared {
        for (set, _) in sets
            .iter_mut()
            .zip(&look_ups)
            .filter(|(_, count)| **count > 0)
        {
            *set = shared;
        }
    }
    sets
}

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
                Precision::StepNoise(share) => format!("within {share} steps of noise"),
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
    let share = analysis
        .look_ups()
        .map(|look_up| look_up.most_share(&noise, quantile))
        .fold(f64::INFINITY, f64::min);
    // Thousands of answers take long to look at: look-ups refuse most sets before.
    let share = || {
        analysis
            .downloads
            .iter()
            .map(|download| download.most_share(&noise, quantile))
            .fold(share, f64::min)
    };
    let stricter = match precision {
        Precision::StepNoise(limit) => (limit / DEFAULT_STEP_NOISE).min(1.0),
        Precision::Exact => 1.0,
    };
    let look_ups_precise = |share: f64| {
        analysis
            .look_ups()
            .all(|look_up| match (precision, look_up.purpose) {
                (Precision::StepNoise(limit), Purpose::Activation) => {
                    look_up.step_noise(&noise, share) <= limit
                }
                (Precision::StepNoise(_), Purpose::Comparison) => {
                    look_up.range_noise(&noise, share) <= MOST_COMPARISON_NOISE * stricter
                }
                (Precision::StepNoise(_), Purpose::Protection) => {
                    look_up.range_noise(&noise, share) <= MOST_ANSWER_NOISE * stricter
                }
                (Precision::Exact, _) | (_, Purpose::Conjunction) => {
                    look_up.table_margin(&noise, share, quantile, cells) >= 0.0
                }
            })
    };
    let answers_precise = |share: f64| {
        let mut downloads = analysis.downloads.iter();
        let most = MOST_ANSWER_NOISE * stricter;
        downloads.all(|download| download.range_noise(&noise, share) <= most)
    };
    share() > 0.0 && look_ups_precise(share()) && answers_precise(share())
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
mod tests {
    use super::*;
    use crate::circuit::analysis::{
        Channel, Gain, HALF_TURN, PlannedAction, PlannedLookUp, PlannedStep, Purpose, analyse,
    };
    use crate::core::placement::Placement;
    use crate::model::layer::{Activation, Function};
    use crate::model::quantise::QuantParams;
    use crate::model::{Model, NodeId};
    use proptest::prelude::*;
    use std::path::Path;

    fn analyses(name: &str, text: &str) -> Vec<Analysis> {
        let model = Model::load(Path::new(name)).expect("embedded");
        let placement: Placement = text.parse().expect("letters");
        placement
            .server_segments()
            .iter()
            .map(|segment| analyse(&model, segment).expect("fits"))
            .collect()
    }

    #[test]
    fn every_set_that_can_be_chosen_is_secure() {
        let sets = GRID.iter().flat_map(|candidates| &candidates.sets);
        assert!(sets.clone().count() > 1000);
        // ParameterSet::new refuses all others; a weakened copy of each shows that it does.
        for set in sets {
            let weaker = ParameterLiteral {
                lwe_noise_std: set.literal().lwe_noise_std * 0.99,
                ..*set.literal()
            };
            assert!(ParameterSet::new(weaker).is_err());
        }
    }

    #[test]
    fn less_noise_costs_more_and_the_choice_repeats() {
        let analysis = &analyses("digits-cnn", "SSSSS")[0];
        let mut last = 0.0;
        for limit in [1.0, 0.5, 0.3, 0.2] {
            let choose = || {
                select(
                    analysis,
                    -64.0,
                    Precision::StepNoise(limit),
                    &CostModel::default(),
                )
                .expect("found")
            };
            let cost = CostModel::default().look_up_core_s(&choose());
            assert!(cost >= last, "{limit}: {cost} < {last}");
            assert_eq!(choose(), choose());
            last = cost;
        }
    }

    #[test]
    fn exact_look_ups_exist_for_small_accumulators_only() {
        let wide = &analyses("digits-cnn", "SSSSS")[0];
        let error = select(wide, -64.0, Precision::Exact, &CostModel::default())
            .expect_err("too wide")
            .to_string();
        assert!(error.contains("accumulators are too wide"), "{error}");
        let narrow = &analyses("digits-mlp", "CSC")[0];
        let set =
            select(narrow, -64.0, Precision::Exact, &CostModel::default()).expect("8-bit inputs");
        assert!(set.literal().polynomial_size >= 2048);
    }

    #[test]
    fn segments_of_like_needs_share_a_set_and_its_key() {
        let analyses = analyses("digits-cnn", "CSCSC");
        let choose = |precision| {
            let segments: Vec<_> = analyses
                .iter()
                .enumerate()
                .map(|(index, analysis)| Wanted {
                    layers: index..index + 1,
                    analysis,
                    precision,
                })
                .collect();
            let selector = Selector::new(-64.0, CostModel::default());
            let choose = || selector.select_all(&segments);
            let found = choose().expect("found");
            assert_eq!(choose().expect("found before"), found);
            found
        };
        let alone: Vec<ParameterSet> = analyses
            .iter()
            .map(|analysis| {
                let precision = Precision::StepNoise(1.0);
                select(analysis, -64.0, precision, &CostModel::default()).expect("found")
            })
            .collect();
        assert_ne!(alone[0], alone[1]);
        let together = choose(Precision::StepNoise(1.0));
        assert_eq!(together[0], together[1]);
        for (analysis, set) in analyses.iter().zip(together) {
            assert!(is_precise(analysis, &set, -64.0, Precision::StepNoise(1.0)));
        }
    }

    /// An analysis of look-up layers with given noise gains, plateaus and outputs.
    fn generated(layers: &[(f64, f64, u32)]) -> Analysis {
        let half_turn = HALF_TURN as f64;
        let steps = layers
            .iter()
            .enumerate()
            .map(|(index, &(gain, top, bits))| {
                let gain = Gain {
                    fresh: if index == 0 { gain * gain } else { 0.0 },
                    look_up: if index == 0 { 0.0 } else { gain * gain },
                    ..Gain::default()
                };
                let channel = Channel {
                    scale: 1.0 / half_turn,
                    low: -half_turn / 2.0,
                    high: half_turn / 2.0,
                    foot: 0.0,
                    top: top * half_turn,
                    padding_bit: true,
                    quantum: 1 << 16,
                    step_width: top * half_turn / f64::from((1 << bits) - 1),
                    worst_gain: gain,
                };
                let high = (1 << bits) - 1;
                let look_up = PlannedLookUp {
                    name: format!("relu{index}"),
                    purpose: Purpose::Activation,
                    activation: Activation {
                        function: Function::Relu,
                        output: QuantParams {
                            scale: top / high as f64,
                            low: 0,
                            high,
                        },
                    },
                    channels: vec![channel; 2],
                    elements_per_table: 2,
                    output_step: 2,
                    centre: 0,
                    gains: vec![gain; 4],
                    log2_p_leave: None,
                };
                PlannedStep {
                    node: NodeId::new(index),
                    composed: Vec::new(),
                    inputs: vec![index],
                    last_reads: vec![index],
                    action: PlannedAction::LookUp(look_up),
                }
            });
        Analysis {
            nodes: 0..layers.len(),
            uploads: Vec::new(),
            steps: steps.collect(),
            downloads: Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn sets_chosen_for_generated_networks_are_precise_and_secure(
            layers in prop::collection::vec((1.0f64..400.0, 0.05f64..0.5, 1u32..6), 1..6),
            limit in 0.1f64..2.0, log2_p_fail in -128.0f64..-20.0, exact: bool,
        ) {
            let analysis = generated(&layers);
            let precision = if exact { Precision::Exact } else { Precision::StepNoise(limit) };
            if let Ok(set) = select(&analysis, log2_p_fail, precision, &CostModel::default()) {
                prop_assert!(ParameterSet::new(*set.literal()).is_ok());
                prop_assert!(is_precise(&analysis, &set, log2_p_fail, precision));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn chosen_sets_are_precise_and_secure(
            bits in 1u32..32, limit in 0.15f64..1.0, log2_p_fail in -128.0f64..-20.0,
        ) {
            let text: String = (0..5).map(|l| if bits >> l & 1 == 1 { 'S' } else { 'C' }).collect();
            for analysis in analyses("digits-cnn", &text) {
                let Ok(set) = select(&analysis, log2_p_fail, Precision::StepNoise(limit), &CostModel::default()) else {
                    continue;
                };
                prop_assert!(ParameterSet::new(*set.literal()).is_ok());
                let precision = Precision::StepNoise(limit);
                prop_assert!(is_precise(&analysis, &set, log2_p_fail, precision));
            }
        }
    }
}
