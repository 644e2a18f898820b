//! Values whose channels or operands lie on very different scales, by hand.

use splitbench::import::quantise::all_server::analyse_all;
use splitbench::model::layer::Function;

use super::FINE;
use super::network::{Builder, Precision};

/// The fraction of the width of all float outputs that eight bits may leave.
const FRACTION: f64 = 0.02;

/// Returns by how much the integer network's outputs lie away from the float ones at most, as a
/// fraction of the width of all.
fn fraction_away(builder: Builder) -> f64 {
    let float = builder.output().to_vec();
    let images = builder.images.clone();
    let analysis = analyse_all(&builder.model()).unwrap().remove(0);
    let outputs = analysis.run(&[images], &mut |_, _, _| {}).swap_remove(0);
    let scales = &analysis.downloads[0].scales;
    let reals = outputs.iter().zip(scales).flat_map(|(row, scale)| {
        row.iter()
            .map(move |&integer| integer as i64 as f64 * scale)
    });
    let floats = || float.iter().flatten().map(|&value| f64::from(value));
    let away = reals
        .zip(floats())
        .map(|(real, float)| (real - float).abs());
    let width = floats().fold(f64::MIN, f64::max) - floats().fold(f64::MAX, f64::min);
    away.fold(0.0, f64::max) / width
}

#[test]
fn a_sum_keeps_a_skip_whose_scale_is_far_from_the_convolutions() {
    let mut failures = Vec::new();
    for weight in [1.0, 0.1, 0.01] {
        let mut builder = Builder::new([2, 4, 4], FINE, 3);
        let weights = vec![weight, -0.7 * weight, 0.3 * weight, weight];
        let conv = builder.point_conv(0, weights, &[0.0, 0.0]);
        builder.add(0, conv);
        let away = fraction_away(builder);
        if away > FRACTION {
            failures.push(format!("weights of {weight}: {away} away"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn channels_keep_their_weights_beside_others_of_few_integers() {
    // Rows with a common divisor, and a row of zeros: their integers are few, their scales large.
    let rows = [
        ("divisor", [0.5, 0.5]),
        ("one weight", [0.0, 0.4]),
        ("zeros", [0.0, 0.0]),
    ];
    let mut failures = Vec::new();
    for (name, [left, right]) in rows {
        let mut builder = Builder::new([2, 4, 4], FINE, 3);
        // Both channels on one scale, so that equal weights are equal integers.
        let input = builder.activation(0, Function::Identity, 8);
        let weights = vec![0.61, -0.37, left, right];
        let conv = builder.point_conv(input, weights, &[0.1, 0.2]);
        builder.point_conv(conv, vec![0.9, -0.8, 0.7, 0.6], &[0.0, 0.3]);
        let away = fraction_away(builder);
        if away > FRACTION {
            failures.push(format!("{name}: {away} away"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn look_ups_of_few_levels_keep_what_lies_between_the_levels() {
    // The offset of an image and the bias of a layer are no multiples of a level.
    let few_levels = Precision {
        input_max: 3,
        ..FINE
    };
    let mut failures = Vec::new();
    for (name, has_layer) in [("offset", false), ("bias", true)] {
        let mut builder = Builder::new([2, 4, 4], few_levels, 3);
        let mut last = 0;
        if has_layer {
            last = builder.point_conv(0, vec![1.0, 0.0, 0.0, 1.0], &[0.123, -0.321]);
        }
        builder.activation(last, Function::Identity, 8);
        let away = fraction_away(builder);
        if away > FRACTION {
            failures.push(format!("{name}: {away} away"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
