//! Every set of the grid is secure, and each that is chosen is precise enough.

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

/// Returns the analysis of each server segment of a placement of a model.
pub(super) fn analyses(name: &str, text: &str) -> Vec<Analysis> {
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
    let set = select(narrow, -64.0, Precision::Exact, &CostModel::default()).expect("8-bit inputs");
    assert!(set.literal().polynomial_size >= 2048);
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
