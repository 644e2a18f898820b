use std::path::Path;

use super::*;
use crate::choose::solver::tests::{OBJECTIVES, exhaustive};
use crate::choose::solver::{FrontRequest, cost_of, front, neighbours, optimum};
use crate::core::objective::Objective;
use crate::core::placement::{Party, Pins, Placement};
use crate::model::Granularity;

fn shape_oracle<'a>(stack: &'a Stack, scenario: &'a Scenario) -> ShapeOracle<'a> {
    let parameters = ParameterSet::fast().expect("secure");
    ShapeOracle::new(stack, scenario, parameters, &CostModel::default(), 2)
}

#[test]
fn optima_of_the_networks_here_are_those_of_listing_all() {
    let scenario = Scenario {
        network: Some("wan".parse().expect("network")),
        ..Scenario::default()
    };
    for name in ["digits-mlp", "digits-cnn", "digits-deep"] {
        let model = Model::load(Path::new(name)).expect("embedded");
        let stack = Stack::of(&model.with_granularity(Granularity::Layer));
        let oracle = shape_oracle(&stack, &scenario);
        let all = exhaustive(&oracle);
        for objective in OBJECTIVES {
            let best = all
                .iter()
                .map(|cost| cost.value(objective))
                .min_by(f64::total_cmp)
                .expect("placements");
            let found = optimum(&oracle, objective, &[]).expect("shapes do not fail");
            let found = found.expect("placements").cost.value(objective);
            assert!(
                (found - best).abs() <= 1e-12 * best,
                "{name} {objective:?}: {found} {best}"
            );
        }
    }
}

/// MobileNetV2 for 224 x 224 pixels: M. Sandler et al., *MobileNetV2: Inverted Residuals and Linear
/// Bottlenecks*, CVPR 2018, table 2. A convolution with its batch normalisation is a layer, and so
/// is a ReLU6, a residual sum, the pool and the classifier: 99 placeable layers.
fn mobile_net_v2() -> Stack {
    let mut stack = Stack {
        input: 3 * 224 * 224,
        ..Stack::default()
    };
    let (mut side, mut channels) = (224usize, 3usize);
    side /= 2;
    convolution(&mut stack, 3 * 3 * channels, 32, side);
    relu(&mut stack);
    channels = 32;
    // Expansion, channels, repeats, stride.
    for (expansion, out, repeats, stride) in [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ] {
        for repeat in 0..repeats {
            let begin = stack.nodes.len();
            let wide = channels * expansion;
            if expansion > 1 {
                convolution(&mut stack, channels, wide, side);
                relu(&mut stack);
            }
            if repeat == 0 {
                side /= stride;
            }
            convolution(&mut stack, 3 * 3, wide, side);
            relu(&mut stack);
            convolution(&mut stack, wide, out, side);
            if channels == out {
                let last = stack.nodes.len();
                let elements = out * side * side;
                push(&mut stack, vec![begin, last], elements, 0, 0, 0);
            }
            channels = out;
        }
    }
    convolution(&mut stack, channels, 1280, side);
    relu(&mut stack);
    let last = stack.nodes.len();
    push(&mut stack, vec![last], 1280, 0, 1280 * side * side, 0);
    push(
        &mut stack,
        vec![last + 1],
        1000,
        1281 * 1000,
        1280 * 1000,
        0,
    );
    stack
}

/// A convolution whose outputs read so many inputs each.
fn convolution(stack: &mut Stack, fan_in: usize, channels: usize, side: usize) {
    let last = stack.nodes.len();
    let elements = channels * side * side;
    let parameters = (fan_in + 1) * channels;
    push(
        stack,
        vec![last],
        elements,
        parameters,
        fan_in * elements,
        0,
    );
}

fn relu(stack: &mut Stack) {
    let last = stack.nodes.len();
    let elements = stack.nodes[last - 1].elements;
    push(stack, vec![last], elements, 0, 0, elements);
}

fn push(
    stack: &mut Stack,
    inputs: Vec<usize>,
    elements: usize,
    parameters: usize,
    multiplications: usize,
    look_ups: usize,
) {
    let node = stack.nodes.len();
    stack.layers.push(node..node + 1);
    stack.nodes.push(Shape {
        inputs: inputs.into_iter().map(ValueId::new).collect(),
        elements,
        parameters,
        multiplications,
        look_ups,
        is_pinned: false,
    });
}

#[test]
fn a_hundred_layers_with_residual_skips_are_solved() {
    let stack = mobile_net_v2();
    assert_eq!(stack.layers.len(), 99);
    // 3.5 million parameters, as table 4 of the paper has them; batch normalisation is folded.
    let parameters: usize = stack.nodes.iter().map(|node| node.parameters).sum();
    assert!((3_450_000..3_550_000).contains(&parameters), "{parameters}");
    let scenario = Scenario {
        network: Some("wan".parse().expect("network")),
        client_slowdown: 8.0,
        ..Scenario::default()
    };
    let oracle = shape_oracle(&stack, &scenario);

    // A skip whose ends lie apart is one more crossing: the second bottleneck of 24 channels reads
    // what the first made both in its first convolution and in its sum.
    let sum = stack.nodes.iter().position(|node| node.inputs.len() == 2);
    let sum = sum.expect("residual sums");
    let bytes = |layers: Range<usize>| {
        let segment = oracle.server(layers).expect("shapes do not fail");
        segment.expect("any run of layers").cost.bytes
    };
    let begin = stack.nodes[sum].inputs[0].index();
    let inner = bytes(begin..sum);
    assert_eq!(bytes(begin..sum + 1), inner, "the sum makes as much");
    let elements = |value: usize| stack.elements(ValueId::new(value)) as f64;
    assert_eq!(bytes(sum..sum + 1) - bytes(sum + 1..sum + 2), {
        // Two uploads instead of one, and an answer of the sum instead of the wider layer behind.
        let answers = elements(sum + 1) - elements(sum + 2);
        2.0 * elements(sum) + 2.0 * answers * 2049.0
    });

    let cheapest = optimum(&oracle, Objective::Time, &[]).expect("shapes do not fail");
    let cheapest = cheapest.expect("a placement").placement;
    assert_eq!(cheapest, Placement::uniform(Party::Client, &Pins::none(99)));

    for fraction in [0.5, 0.2, 0.05, 0.0] {
        let limits = [(Objective::Exposure, fraction)];
        let best = optimum(&oracle, Objective::Time, &limits).expect("shapes do not fail");
        let best = best.expect("all on the server gives nothing away");
        assert!(best.cost.exposure <= fraction);
        assert_eq!(
            cost_of(&oracle, &best.placement).expect("shapes do not fail"),
            Some(best.cost)
        );
        // No placement one layer away that keeps to the limit is faster.
        for other in neighbours(&best.placement) {
            let cost = cost_of(&oracle, &other).expect("shapes do not fail");
            let cost = cost.expect("any run of layers");
            assert!(
                cost.exposure > fraction || cost.time_s >= best.cost.time_s * (1.0 - 1e-9),
                "{other} beats {}",
                best.placement
            );
        }
    }
}

#[test]
fn a_front_of_three_criteria_over_a_hundred_layers_is_found() {
    let stack = mobile_net_v2();
    let scenario = Scenario {
        network: Some("slow".parse().expect("network")),
        ..Scenario::default()
    };
    let oracle = shape_oracle(&stack, &scenario);
    let request = FrontRequest {
        objectives: vec![
            Objective::Time,
            Objective::Exposure,
            Objective::ServerMemory,
        ],
        tolerance: 0.2,
        ..FrontRequest::default()
    };
    let found = front(&oracle, &request).expect("shapes do not fail");
    assert!(found.len() > 10, "{}", found.len());
    let first = &found[0].placement;
    assert_eq!(*first, Placement::uniform(Party::Client, &Pins::none(99)));
    assert!(found.iter().any(|solution| solution.cost.exposure < 0.01));
}
