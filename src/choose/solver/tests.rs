use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::core::pareto::dominates;

pub(crate) const OBJECTIVES: [Objective; 6] = [
    Objective::Time,
    Objective::ClientMemory,
    Objective::ServerMemory,
    Objective::Bytes,
    Objective::Exposure,
    Objective::Money,
];

/// Costs by hand. Whole numbers, so that sums are exact and ties common.
#[derive(Debug, Clone)]
struct Table {
    pins: Pins,
    clients: Vec<Cost>,
    servers: BTreeMap<(usize, usize), SegmentCost>,
    keys: Vec<Cost>,
}

impl Oracle for Table {
    fn pins(&self) -> Pins {
        self.pins.clone()
    }

    fn fixed(&self) -> Cost {
        Cost::default()
    }

    fn client(&self, layer: usize) -> Cost {
        self.clients[layer]
    }

    fn server(&self, layers: Range<usize>) -> Result<Option<SegmentCost>> {
        Ok(self.servers.get(&(layers.start, layers.end)).cloned())
    }

    fn key(&self, key: usize) -> Cost {
        self.keys[key]
    }
}

fn costs() -> impl Strategy<Value = Cost> {
    prop::array::uniform7(0..9u32).prop_map(|v| {
        let [time, bytes, money, exposure, key, client, server] = v.map(f64::from);
        Cost {
            time_s: time,
            bytes,
            money,
            exposure,
            key_memory: key,
            client_memory: client,
            server_memory: server,
        }
    })
}

fn tables(most_layers: usize) -> impl Strategy<Value = Table> {
    (1..=most_layers).prop_flat_map(|layers| {
        let pairs: Vec<(usize, usize)> = (0..layers)
            .flat_map(|begin| (begin + 1..=layers).map(move |end| (begin, end)))
            .collect();
        // One segment in eight cannot be run.
        let segment = (costs(), prop::collection::vec(0..4usize, 0..3), 0..8u32);
        (
            // One layer in eight is pinned to the client.
            prop::collection::vec(prop::bool::weighted(0.125), layers),
            prop::collection::vec(costs(), layers),
            prop::collection::vec(segment, pairs.len()),
            prop::collection::vec(costs(), 4),
        )
            .prop_map(move |(pins, clients, segments, keys)| Table {
                pins: Pins::new(pins),
                clients,
                servers: pairs
                    .iter()
                    .copied()
                    .zip(segments)
                    .filter(|(_, (.., die))| *die > 0)
                    .map(|(pair, (cost, keys, _))| (pair, SegmentCost { cost, keys }))
                    .collect(),
                keys,
            })
    })
}

pub(crate) fn exhaustive(oracle: &dyn Oracle) -> Vec<Cost> {
    Placement::all(&oracle.pins())
        .filter_map(|placement| cost_of(oracle, &placement).expect("tables do not fail"))
        .collect()
}

fn values(cost: &Cost, objectives: &[Objective]) -> Vec<f64> {
    objectives.iter().map(|&o| cost.value(o)).collect()
}

fn exhaustive_front(costs: &[Cost], objectives: &[Objective]) -> Vec<Vec<f64>> {
    let points: Vec<Vec<f64>> = costs.iter().map(|cost| values(cost, objectives)).collect();
    let mut front: Vec<Vec<f64>> = front_of(&points)
        .into_iter()
        .map(|index| points[index].clone())
        .collect();
    front.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    front.dedup();
    front
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_optimum_of_every_objective_is_that_of_listing_all(table in tables(12)) {
        let all = exhaustive(&table);
        for objective in OBJECTIVES {
            let best = all.iter().map(|cost| cost.value(objective)).min_by(f64::total_cmp);
            let found = optimum(&table, objective, &[]).expect("tables do not fail");
            prop_assert_eq!(found.as_ref().map(|s| s.cost.value(objective)), best);
            if let Some(found) = found {
                let cost = cost_of(&table, &found.placement).expect("tables do not fail");
                prop_assert_eq!(cost, Some(found.cost));
            }
        }
    }

    #[test]
    fn limits_leave_the_best_of_what_keeps_to_them(
        table in tables(8), first in 0..6usize, second in 0..6usize, most in 0..40u32,
    ) {
        let (objective, limited, most) = (OBJECTIVES[first], OBJECTIVES[second], f64::from(most));
        let all = exhaustive(&table);
        let within = all.iter().filter(|cost| cost.value(limited) <= most);
        let best = within.map(|cost| cost.value(objective)).min_by(f64::total_cmp);
        let found = optimum(&table, objective, &[(limited, most)]).expect("tables do not fail");
        prop_assert_eq!(found.map(|s| s.cost.value(objective)), best);
    }

    #[test]
    fn fronts_are_those_of_listing_all(
        table in tables(8), picked in prop::sample::subsequence(OBJECTIVES.to_vec(), 2..=4),
    ) {
        let request = FrontRequest { objectives: picked.clone(), ..FrontRequest::default() };
        let found = front(&table, &request).expect("tables do not fail");
        let mut found: Vec<Vec<f64>> = found.iter().map(|s| values(&s.cost, &picked)).collect();
        found.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        prop_assert_eq!(found, exhaustive_front(&exhaustive(&table), &picked));
    }

    #[test]
    fn a_tolerance_loses_no_more_than_it_says(table in tables(8), percent in 1..60u32) {
        let tolerance = f64::from(percent) / 100.0;
        let objectives = vec![Objective::Time, Objective::Bytes, Objective::ServerMemory];
        let request = FrontRequest { objectives: objectives.clone(), tolerance, ..FrontRequest::default() };
        let found = front(&table, &request).expect("tables do not fail");
        let found: Vec<Vec<f64>> = found.iter().map(|s| values(&s.cost, &objectives)).collect();
        for point in exhaustive_front(&exhaustive(&table), &objectives) {
            let near = |other: &&Vec<f64>| {
                other
                    .iter()
                    .zip(&point)
                    .all(|(other, true_value)| *other <= true_value * (1.0 + tolerance) + 1e-9)
            };
            prop_assert!(found.iter().any(|other| near(&other)), "{:?} near {:?}", found, point);
        }
        let undominated = |point: &Vec<f64>| !found.iter().any(|other| dominates(other, point));
        prop_assert!(found.iter().all(undominated));
    }
}
