//! Which placements to run when there is no time for all: those that a front by shapes promises,
//! and their neighbours, until the projected time is used.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

use crate::choose::scenario::Scenario;
use crate::choose::solver::{Cost, FrontRequest, Solution, cost_of, front, neighbours};
use crate::core::error::Result;
use crate::core::objective::Objective;
use crate::core::placement::{Party, Placement, Segment};
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
use crate::model::output_mode::OutputMode;
use crate::plan::overhead::{Runs, Speed};
use crate::plan::shapes::{ShapeOracle, Stack};
use crate::record::cost_model::CostModel;
use crate::record::exposure::closed::solved_fraction;

/// The criteria of the front.
const CRITERIA: [Objective; 3] = [Objective::Time, Objective::Exposure, Objective::Bytes];
/// How far the front of a large network may lie above the true one.
const TOLERANCE: f64 = 0.1;
/// The most placements that the front is thinned to: more than any budget pays for.
const MOST_OF_FRONT: usize = 4096;

/// What is asked of each split, and what that takes.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub cost: CostModel,
    /// Of all look-ups.
    pub parameters: ParameterSet,
    pub output_mode: OutputMode,
    pub runs: Runs,
}

impl Asked {
    /// Returns the speed of the machine that `cost` is of, where an exchange of keys takes so long.
    fn speed(&self, key_s: f64) -> Speed {
        let cores = rayon::current_num_threads() as f64;
        Speed {
            key_s,
            look_up_s: self.cost.look_up_core_s(&self.parameters) / cores,
        }
    }
}

/// A placement that may be worth running.
#[derive(Debug, Clone, PartialEq)]
pub struct Promising {
    pub placement: Placement,
    /// Projected seconds of running it, without the studies of its server segments.
    pub run_s: f64,
}

/// What a budget pays for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In order of promise.
    pub placements: Vec<Placement>,
    /// Projected seconds of running them.
    pub run_s: f64,
}

/// Returns the placements that a number of seconds pays for, in order of promise; what is too dear
/// makes room for what is cheaper. The outcome depends on its arguments alone.
///
/// # Errors
///
/// As [`promising`].
pub fn plan(model: &Model, asked: &Asked, budget_s: f64) -> Result<Plan> {
    let mut plan = Plan::default();
    // A server segment is studied once, whatever splits it stands in.
    let mut studied: HashSet<Range<usize>> = HashSet::new();
    let speed = asked.speed(0.0);
    for candidate in promising(model, asked)? {
        let new: Vec<Range<usize>> = candidate
            .placement
            .server_segments()
            .into_iter()
            .map(|segment| segment.layers)
            .filter(|layers| !studied.contains(layers))
            .collect();
        let studies = new
            .iter()
            .map(|layers| asked.output_mode.segment_bootstrap_count(model, layers))
            .map(|count| speed.study_s(count));
        let run_s = candidate.run_s + studies.sum::<f64>();
        if plan.run_s + run_s <= budget_s {
            plan.run_s += run_s;
            plan.placements.push(candidate.placement);
            studied.extend(new);
        }
    }
    Ok(plan)
}

/// Returns the placements of the front by shapes, those of its ends and middles first, then their
/// neighbours that are not on it, the nearest to the front first.
///
/// # Errors
///
/// What pricing a piece gives.
pub fn promising(model: &Model, asked: &Asked) -> Result<Vec<Promising>> {
    let stack = Stack::of(model);
    let scenario = Scenario::default();
    let cores = rayon::current_num_threads();
    let (parameters, output_mode) = (asked.parameters, asked.output_mode);
    let solved = |layers| {
        let party = Party::Server;
        solved_fraction(model, &Segment { party, layers }, output_mode)
    };
    let oracle =
        ShapeOracle::new(&stack, &scenario, parameters, &asked.cost, cores).with_solved(&solved);
    let speed = asked.speed(oracle.key_exchange_s());
    let request = FrontRequest {
        objectives: CRITERIA.to_vec(),
        tolerance: TOLERANCE,
        ..FrontRequest::default()
    };
    let found = front(&oracle, &request)?;
    let of_front: Vec<Solution> = spread(found.len())
        .into_iter()
        .take(MOST_OF_FRONT)
        .map(|index| found[index].clone())
        .collect();
    let mut seen: HashSet<Placement> = of_front.iter().map(|s| s.placement.clone()).collect();
    let mut beside: Vec<(f64, Solution)> = Vec::new();
    for solution in &of_front {
        for placement in neighbours(&solution.placement) {
            if !seen.insert(placement.clone()) {
                continue;
            }
            if let Some(cost) = cost_of(&oracle, &placement)? {
                let distance = distance(&cost, &of_front);
                beside.push((distance, Solution { placement, cost }));
            }
        }
    }
    beside.sort_by(|(a, left), (b, right)| {
        let by_name = || left.placement.to_string().cmp(&right.placement.to_string());
        a.total_cmp(b).then_with(by_name)
    });
    let beside = beside.into_iter().map(|(_, solution)| solution);
    let all = of_front.into_iter().chain(beside);
    let run_s = |placement: &Placement, cost: &Cost| {
        let look_ups = output_mode.bootstrap_count(model, placement);
        // The shapes know nothing of what an output mode adds.
        let added = look_ups - OutputMode::default().bootstrap_count(model, placement);
        let inference_s = cost.time_s + added as f64 * speed.look_up_s;
        asked.runs.seconds(look_ups, inference_s, &speed)
    };
    let promising = all.map(|Solution { placement, cost }| Promising {
        run_s: run_s(&placement, &cost),
        placement,
    });
    Ok(promising.collect())
}

/// Returns how many times larger than some point of the front a cost is in every criterion: one
/// and less where it is not dominated.
fn distance(cost: &Cost, front: &[Solution]) -> f64 {
    let times = |solution: &Solution| {
        CRITERIA
            .iter()
            .map(|&criterion| {
                // A value of nothing is matched by nothing alone.
                let (of, least) = (cost.value(criterion), solution.cost.value(criterion));
                if of == least { 1.0 } else { of / least }
            })
            .fold(f64::INFINITY, f64::min)
    };
    front.iter().map(times).fold(0.0, f64::max)
}

/// Returns the indices below a count so that any beginning of them is spread over all: both ends,
/// then the middles of what lies between.
fn spread(count: usize) -> Vec<usize> {
    let Some(last) = count.checked_sub(1) else {
        return Vec::new();
    };
    let mut order = vec![0, last];
    order.dedup();
    let mut gaps = VecDeque::from([(0, last)]);
    while let Some((low, high)) = gaps.pop_front() {
        if high - low < 2 {
            continue;
        }
        let middle = (low + high) / 2;
        order.push(middle);
        gaps.extend([(low, middle), (middle, high)]);
    }
    order
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Granularity;

    #[test]
    fn any_beginning_is_spread_and_all_are_there_once() {
        assert_eq!(spread(0), [0; 0]);
        assert_eq!(spread(1), [0]);
        assert_eq!(spread(2), [0, 1]);
        assert_eq!(spread(5), [0, 4, 2, 1, 3]);
        for count in 0..60 {
            let mut all = spread(count);
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_larger_budget_pays_for_more_and_never_overdraws() {
        let model = Model::load(Path::new("digits-deep")).expect("embedded");
        let model = model.with_granularity(Granularity::Layer);
        let asked = Asked {
            cost: CostModel::default(),
            parameters: ParameterSet::fast().expect("secure"),
            output_mode: OutputMode::default(),
            runs: Runs {
                images: 1,
                repeats: 1,
                skip_party_memory: false,
                simulated_multiplications: 0.0,
            },
        };
        let mut last = 0;
        for budget_s in [0.0, 3.0, 20.0, 60.0, 1e9] {
            let plan = plan(&model, &asked, budget_s).expect("planned");
            assert!(plan.run_s <= budget_s);
            assert!(plan.placements.len() >= last, "{budget_s}");
            assert_eq!(
                plan,
                super::plan(&model, &asked, budget_s).expect("planned")
            );
            last = plan.placements.len();
        }
        assert!(last > 8 && last <= 256, "{last}");
        let many = Asked {
            runs: Runs {
                repeats: 5,
                ..asked.runs
            },
            ..asked
        };
        let fewer = super::plan(&model, &many, 60.0).expect("planned");
        let more = super::plan(&model, &asked, 60.0).expect("planned");
        assert!(fewer.placements.len() < more.placements.len());
        let all = promising(&model, &asked).expect("found");
        assert_eq!(all[0].placement.to_string(), "C".repeat(8));
        let names: HashSet<String> = all.iter().map(|p| p.placement.to_string()).collect();
        assert_eq!(names.len(), all.len(), "each once");
        assert!(names.contains(&"S".repeat(8)));
    }
}
