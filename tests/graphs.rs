//! Networks as graphs: generated ones in integers against plain loops, against the float network
//! and under a parameter set; a residual one on trivial ciphertexts, placed in many ways.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "graphs/audit.rs"]
mod audit;
#[path = "graphs/naive.rs"]
mod naive;
#[path = "graphs/network.rs"]
mod network;
#[path = "graphs/noisy.rs"]
mod noisy;
#[path = "graphs/output_modes.rs"]
mod output_modes;
#[path = "graphs/recipe.rs"]
mod recipe;
#[path = "graphs/residual.rs"]
mod residual;
#[path = "graphs/scales.rs"]
mod scales;
#[path = "trivial/trivial.rs"]
mod trivial;
#[path = "graphs/turn.rs"]
mod turn;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::circuit::analysis::{Analysis, PlannedAction, analyse, gains};
use splitbench::core::linear_map::Row;
use splitbench::core::placement::{Party, Segment};
use splitbench::import::quantise::all_server::analyse_all;
use splitbench::model::Model;

use network::{Builder, Precision};
use recipe::recipes;

/// Few bits, as they are used.
const COARSE: Precision = Precision {
    weight_bits: 5,
    output_bits: None,
    widening: 1.0,
    input_max: 15,
    images: 24,
};
/// Most bits, near to the float network.
const FINE: Precision = Precision {
    weight_bits: 8,
    output_bits: Some(8),
    widening: 1.0,
    input_max: 255,
    images: 24,
};
/// What the float network's values are shaken by: a step of eight bits.
const SHAKE: f32 = 1.0 / 256.0;
/// How many times as far as the shaken float network's the integer network's outputs may lie.
const MOST_SHAKES: f64 = 2.0;
/// How often they are.
const DRAWS: u64 = 8;
/// The ends of a segment of all layers.
const WHOLE: (f64, f64) = (0.0, 1.0);
/// Inputs to each generated network.
const INPUTS: usize = 12;

fn config(cases: u32, seed: u64) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Returns a run of layers that two fractions of the network's length cut out.
fn segment(model: &Model, ends: (f64, f64)) -> Segment {
    let count = model.layer_count();
    let at = |fraction: f64| ((fraction * count as f64) as usize).min(count - 1);
    let (first, last) = (at(ends.0.min(ends.1)), at(ends.0.max(ends.1)));
    Segment {
        party: Party::Server,
        layers: first..last + 1,
    }
}

/// Returns inputs in range, one list per upload each: the least, the greatest, mixtures of both,
/// and any.
fn inputs(analysis: &Analysis, seed: u64) -> Vec<Vec<Vec<i64>>> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let input = |index: usize| {
        let uploads = analysis.uploads.iter().map(|upload| {
            let (low, high) = (upload.quantisation.low, upload.quantisation.high);
            let elements = 0..upload.quantisation.scales.len();
            let mut integer = |_| match index {
                0 => low,
                1 => high,
                2..6 if generator.random() => low,
                2..6 => high,
                _ => generator.random_range(low..=high),
            };
            elements.map(&mut integer).collect()
        });
        uploads.collect()
    };
    (0..INPUTS).map(input).collect()
}

/// Returns inputs as columns, `[uploads][elements][inputs]`.
fn columns(inputs: &[Vec<Vec<i64>>]) -> Vec<Vec<Row<u64>>> {
    let of = |upload: usize| {
        let elements = 0..inputs[0][upload].len();
        let row = |element| {
            inputs
                .iter()
                .map(move |input| input[upload][element] as u64)
        };
        elements.map(|element| row(element).collect()).collect()
    };
    (0..inputs[0].len()).map(of).collect()
}

/// Returns the integers of one column.
fn column(rows: &[Row<u64>], index: usize) -> Vec<i64> {
    rows.iter().map(|row| row[index] as i64).collect()
}

proptest! {
    #![proptest_config(config(48, 1))]

    #[test]
    fn the_integer_network_equals_plain_loops_bit_for_bit(
        recipe in recipes(), ends in (0.0..1.0, 0.0..1.0), whole: bool, seed: u64,
    ) {
        let model = recipe.build(COARSE).model();
        let ends = if whole { WHOLE } else { ends };
        let analysis = analyse(&model, &segment(&model, ends)).unwrap();
        let inputs = inputs(&analysis, seed);
        let outputs = analysis.run(&columns(&inputs), &mut |_, _, _| {});
        for (index, input) in inputs.iter().enumerate() {
            let slots = naive::run(&analysis, input);
            let largest = slots.iter().flatten().map(|value| value.abs()).max();
            prop_assert!(largest.unwrap_or(0) < 1 << 63, "wraps at {largest:?}");
            let expected = naive::downloads(&analysis, &slots);
            let found: Vec<Vec<i64>> = outputs.iter().map(|rows| column(rows, index)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn gains_equal_the_squares_of_probed_weights(
        recipe in recipes(), ends in (0.0..1.0, 0.0..1.0), whole: bool,
    ) {
        let model = recipe.build(COARSE).model();
        let ends = if whole { WHOLE } else { ends };
        let analysis = analyse(&model, &segment(&model, ends)).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.max(b);
        for slot in 0..analysis.uploads.len() + analysis.steps.len() {
            let expected = naive::probed_gains(&analysis, slot);
            for (found, expected) in gains(&analysis, slot).iter().zip(expected) {
                let agrees = near(found.fresh, expected.fresh)
                    && near(found.look_up, expected.look_up);
                prop_assert!(agrees, "slot {slot}: {found:?} is not {expected:?}");
            }
        }
        for step in &analysis.steps {
            if let PlannedAction::LookUp(look_up) = &step.action {
                prop_assert_eq!(&look_up.gains, &gains(&analysis, step.inputs[0]));
            }
        }
        for download in &analysis.downloads {
            prop_assert_eq!(&download.gains, &gains(&analysis, download.slot));
        }
    }

    #[test]
    fn eight_bits_come_near_to_the_float_network(recipe in recipes()) {
        let builder = recipe.build(FINE);
        let images = builder.images.clone();
        let float = builder.output().to_vec();
        let allowed = most_distance(&builder);
        let analysis = analyse_all(&builder.model()).unwrap().remove(0);
        let outputs = &analysis.run(&[images], &mut |_, _, _| {})[0];
        let distance = |element: usize, found: &Row<u64>| {
            let scale = analysis.downloads[0].scales[element];
            let pairs = found.iter().zip(&float[element]);
            let away = pairs.map(|(&found, &float)| {
                (found as i64 as f64 * scale - f64::from(float)).abs()
            });
            away.fold(0.0, f64::max)
        };
        let found = outputs.iter().enumerate();
        let found = found.map(|(element, found)| distance(element, found)).fold(0.0, f64::max);
        prop_assert!(found <= MOST_SHAKES * allowed, "{found} away, {allowed} allowed");
    }
}

/// Returns how far the float network's outputs move at most where all values are shaken by eight
/// bits' steps.
fn most_distance(builder: &Builder) -> f64 {
    let float = builder.output();
    let draws = (0..DRAWS).map(|seed| {
        let shaken = builder.shaken_output(SHAKE, seed);
        let pairs = shaken.iter().flatten().zip(float.iter().flatten());
        pairs
            .map(|(a, b)| f64::from((a - b).abs()))
            .fold(0.0, f64::max)
    });
    draws.fold(0.0, f64::max)
}
