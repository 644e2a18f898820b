//! Random small networks with linear layers in a row, in every placement, against the float network:
//! what rounding to eight bits may do to logits and labels, and what a composition that is wrong does.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::circuit::analysis::analyse;
use splitbench::core::linear_map::Row;
use splitbench::core::placement::{Party, Placement};
use splitbench::model::layer::function::{Clip, LeakyRelu};
use splitbench::model::layer::{Conv2d, Function, Operation, Window};
use splitbench::model::values::{Values, Wiring};
use splitbench::model::{Model, NodeId, ValueId};
use splitbench::oracle::simulation::arg_max;

use super::network::{Builder, Kernel, Precision, SAME, real_rows};

const NETWORKS: u64 = 60;
/// Most nodes before the last dense layer, and most linear ones of them in a row.
const MOST_NODES: usize = 8;
const MOST_LINEAR: usize = 5;
/// Layers up to which every placement is run.
const MOST_PLACED: usize = 5;
const AUDIT: Precision = Precision {
    weight_bits: 8,
    output_bits: Some(8),
    widening: 1.0,
    input_max: 255,
    images: 500,
};
/// How far a logit may lie away, as a fraction of the range of all, but for one in a hundred.
const MOST_AWAY: f64 = 0.02;
const PERCENTILE: f64 = 0.99;
/// The fraction of labels that agree, among inputs whose two largest logits lie further apart than that.
const LEAST_AGREEMENT: f64 = 0.97;

/// Returns the logits of a placement in integers without noise.
fn integers(model: &Model, placement: &Placement, images: &[Row<u64>]) -> Vec<Row<f32>> {
    let wiring = Wiring::of(model);
    let mut values = Values::default();
    values.insert(ValueId::INPUT, real_rows(&model.input, images));
    for segment in placement.segments() {
        let nodes = model.nodes_of(&segment);
        if segment.party == Party::Client {
            for id in NodeId::all(nodes) {
                let node = model.node(id);
                let output = node.operation.run_float(&values.of(&node.inputs));
                values.insert(id.value(), output);
            }
            continue;
        }
        let analysis = analyse(model, &segment).unwrap();
        let uploads = analysis.uploads.iter().map(|upload| {
            let rows = values.get(upload.value).iter().enumerate();
            let quantise = |(element, row): (usize, &Row<f32>)| -> Row<u64> {
                let reals = row.iter().map(|&real| f64::from(real));
                reals
                    .map(|real| upload.quantisation.quantise(element, real) as u64)
                    .collect()
            };
            rows.map(quantise).collect()
        });
        let uploads: Vec<Vec<Row<u64>>> = uploads.collect();
        let outputs = analysis.run(&uploads, &mut |_, _, _| {});
        for (download, rows) in analysis.downloads.iter().zip(outputs) {
            let real = |(row, scale): (&Row<u64>, &f64)| -> Row<f32> {
                let integers = row.iter().map(|&integer| integer as i64 as f64);
                integers.map(|integer| (integer * scale) as f32).collect()
            };
            let reals = rows.iter().zip(&download.scales).map(real).collect();
            values.insert(download.node.value(), reals);
        }
    }
    values.into_output(&wiring)
}

/// Returns the logits of an image.
fn logits(rows: &[Row<f32>], image: usize) -> Vec<f32> {
    rows.iter().map(|row| row[image]).collect()
}

/// Returns the fraction of images whose labels agree.
fn agreement(float: &[Row<f32>], found: &[Row<f32>], images: impl Iterator<Item = usize>) -> f64 {
    let label = |rows, image| arg_max(logits(rows, image));
    let agrees = images.map(|image| label(float, image) == label(found, image));
    let (count, agreeing) = agrees.fold((0, 0), |(count, agreeing), agrees| {
        (count + 1, agreeing + usize::from(agrees))
    });
    agreeing as f64 / f64::max(count.into(), 1.0)
}

/// Returns what is wrong with logits, beside those of the float network.
fn faults(float: &[Row<f32>], found: &[Row<f32>]) -> Option<String> {
    let all = || float.iter().flatten().map(|&logit| f64::from(logit));
    let range = all().fold(f64::MIN, f64::max) - all().fold(f64::MAX, f64::min);
    let pairs = float.iter().flatten().zip(found.iter().flatten());
    let mut away: Vec<f64> = pairs
        .map(|(a, b)| f64::from((a - b).abs()) / range)
        .collect();
    away.sort_by(f64::total_cmp);
    let away = away[(PERCENTILE * (away.len() - 1) as f64) as usize];
    let clear = (0..float[0].len()).filter(|&image| {
        let mut sorted = logits(float, image);
        sorted.sort_by(f32::total_cmp);
        let top = sorted.len() - 1;
        f64::from(sorted[top] - sorted[top - 1]) > MOST_AWAY * range
    });
    let clear: Vec<usize> = clear.collect();
    let agreement = agreement(float, found, clear.iter().copied());
    let wrong = away > MOST_AWAY || agreement < LEAST_AGREEMENT;
    wrong.then(|| {
        format!(
            "{away:.4} away, {agreement:.3} of {} labels agree",
            clear.len()
        )
    })
}

/// Returns the placements to run.
fn placements(model: &Model) -> Vec<Placement> {
    let pins = model.pins();
    if pins.free_count() > MOST_PLACED {
        return vec![Placement::uniform(Party::Server, &pins)];
    }
    Placement::all(&pins).collect()
}

/// Returns a network of random layers.
fn network(seed: u64, precision: Precision) -> Builder {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let shape = [
        random.random_range(1..3),
        random.random_range(4..8),
        random.random_range(4..8),
    ];
    let mut builder = Builder::new(shape, precision, seed);
    let nodes = random.random_range(1..=MOST_NODES);
    while builder.last() < nodes {
        add(&mut builder, &mut random);
    }
    builder.dense(builder.last(), random.random_range(2..7));
    builder
}

/// Adds a random layer, or a residual sum.
fn add(builder: &mut Builder, random: &mut ChaCha8Rng) {
    let last = builder.last();
    let shape = builder.shape(last);
    let may_be_linear = builder.linear_depth(last) < MOST_LINEAR;
    let is_image = shape.len() == 3 && shape[1] > 2 && shape[2] > 2;
    match random.random_range(0..10) {
        0..4 if is_image && may_be_linear => {
            let kernel = Kernel {
                size: random.random_range(1..4),
                stride: random.random_range(1..3),
                padding: random.random_range(0..3),
                depthwise: random.random_range(0..4) == 0,
                integer: false,
            };
            builder.conv(last, random.random_range(1..5), kernel);
        }
        4 if is_image && may_be_linear => {
            builder.average_pool(last);
        }
        5 if is_image && may_be_linear => {
            let conv = builder.conv(last, shape[0], SAME);
            builder.add(conv, last);
        }
        6 if may_be_linear => {
            builder.dense(last, random.random_range(2..12));
        }
        7 if is_image && builder.is_looked_up(last) => {
            builder.max_pool(last, 0);
        }
        8.. => {
            let clip = Clip {
                low: -1.0,
                high: 2.0,
            };
            let functions = [
                Function::Relu,
                Function::Clip(clip),
                Function::LeakyRelu(LeakyRelu { slope: 0.2 }),
            ];
            let function = functions[random.random_range(0..functions.len())].clone();
            builder.activation(last, function, 8);
        }
        _ => {}
    }
}

#[test]
fn random_networks_keep_logits_and_labels_in_every_placement() {
    let mut failures = Vec::new();
    let mut longest = 0;
    for seed in 0..NETWORKS {
        let builder = network(seed, AUDIT);
        longest = longest.max(builder.linear_depth(builder.last()));
        let (float, images) = (builder.output().to_vec(), builder.images.clone());
        let model = builder.model();
        for placement in placements(&model) {
            let found = integers(&model, &placement, &images);
            if let Some(fault) = faults(&float, &found) {
                let names: Vec<&str> = model.nodes.iter().map(|node| node.op).collect();
                failures.push(format!("{seed} {placement} {}: {fault}", names.join(" ")));
            }
        }
    }
    assert!(
        longest > MOST_LINEAR,
        "only {longest} linear layers in a row"
    );
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_composition_with_the_wrong_padding_is_found() {
    // Two padded convolutions are one of five by five inside; at the border they are not.
    let kernel = |size: usize| Kernel {
        size,
        padding: size / 2,
        ..SAME
    };
    let mut right = Builder::new([1, 4, 4], AUDIT, 5);
    right.conv(0, 2, kernel(3));
    right.conv(1, 2, kernel(3));
    let mut wrong = Builder::new([1, 4, 4], AUDIT, 5);
    wrong.conv(0, 2, kernel(5));
    let images = right.images.clone();
    assert_eq!(images, wrong.images);
    let float = right.output().to_vec();
    let right = right.model();
    let wrong = with_the_weights_inside(wrong.model(), &right);
    let found = |model: &Model| {
        let placement = Placement::uniform(Party::Server, &model.pins());
        faults(&float, &integers(model, &placement, &images))
    };
    assert_eq!(found(&right), None);
    assert!(found(&wrong).is_some());
}

/// Returns a convolution of five by five with what two of three by three in a row do where no padding
/// is near: what an impulse on the padded image becomes.
fn with_the_weights_inside(mut model: Model, pair: &Model) -> Model {
    let linear = |node: usize| match &pair.nodes[node].operation {
        Operation::Linear(linear) => linear,
        other => panic!("{other:?}"),
    };
    let (first, second) = (
        &linear(0).map.blocks[0].weights,
        &linear(1).map.blocks[0].weights,
    );
    let mut weights = vec![0.0; 2 * 25];
    for output in 0..2 {
        for middle in 0..2 {
            for outer in 0..9 {
                for inner in 0..9 {
                    let place = (outer / 3 + inner / 3) * 5 + outer % 3 + inner % 3;
                    weights[output * 25 + place] +=
                        second[(output * 2 + middle) * 9 + outer] * first[middle * 9 + inner];
                }
            }
        }
    }
    let conv = Conv2d {
        weights,
        out_channels: 2,
        in_channels: 1,
        groups: 1,
        kernel: [5, 5],
        window: Window {
            stride: [1, 1],
            padding: [2; 4],
        },
    };
    // The bias of the middle layer reaches the output through all taps.
    let inside = |output: usize| -> f32 {
        let taps = (0..2).map(|middle| {
            let sum: f32 = second[(output * 2 + middle) * 9..][..9].iter().sum();
            sum * linear(0).bias[middle * 16]
        });
        taps.sum::<f32>() + linear(1).bias[output * 16]
    };
    let Operation::Linear(wrong) = &mut model.nodes[0].operation else {
        panic!("a convolution");
    };
    wrong.map = conv.map([4, 4], [4, 4]);
    wrong.bias = (0..32).map(|element| inside(element / 16)).collect();
    wrong.range = linear(1).range.clone();
    model
}

/// Networks, and images each, on which more bits are to be no worse.
const MORE_BITS: (u64, usize) = (6, 5000);
/// Standard errors of a difference that chance explains.
const ERRORS: f64 = 2.0;

#[test]
fn more_bits_are_never_worse() {
    let mut failures = Vec::new();
    for seed in 0..MORE_BITS.0 {
        let mut before: Option<f64> = None;
        for bits in 3..=8 {
            let precision = Precision {
                weight_bits: bits,
                output_bits: Some(bits),
                images: MORE_BITS.1,
                ..AUDIT
            };
            let builder = network(seed, precision);
            let (float, images) = (builder.output().to_vec(), builder.images.clone());
            let model = builder.model();
            let placement = Placement::uniform(Party::Server, &model.pins());
            let found = integers(&model, &placement, &images);
            let fraction = agreement(&float, &found, 0..images[0].len());
            let error = |fraction: f64| fraction * (1.0 - fraction) / images[0].len() as f64;
            if let Some(before) = before {
                let slack = ERRORS * (error(fraction) + error(before)).sqrt();
                if fraction < before - slack {
                    failures.push(format!(
                        "{seed}: {fraction} with {bits} bits, {before} with fewer"
                    ));
                }
            }
            before = Some(fraction);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
