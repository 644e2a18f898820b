//! Chooses the sets of all segments of a placement: each segment's once, and one for all where a second
//! evaluation key does not pay.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::{Precision, is_precise, select};
use crate::circuit::analysis::Analysis;
use crate::core::error::Result;
use crate::fhe::parameters::ParameterSet;
use crate::record::cost_model::CostModel;

/// The most that one set for all segments may cost over a set for each, as a fraction: a second
/// evaluation key costs its bytes, its memory and the time to make it.
const SHARED_SET_SURCHARGE: f64 = 0.05;

/// What a segment's set is chosen by.
pub(in crate::circuit) struct Wanted<'a> {
    pub layers: Range<usize>,
    pub analysis: &'a Analysis,
    pub precision: Precision,
}

/// Chooses sets for the segments of one model that is compiled for one target, and each segment's once,
/// whichever placements it stands in.
pub(in crate::circuit) struct Selector {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::select::tests::analyses;

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
}
