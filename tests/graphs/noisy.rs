//! What noise does to ranges: pools compare values that have grown by deviations, and are made for it.

use std::path::Path;

use splitbench::circuit::analysis::NoiseBound;
use splitbench::circuit::compile::{Choice, Target, compile_placement};
use splitbench::circuit::program::{NoiseSeed, Program};
use splitbench::circuit::select::Precision;
use splitbench::core::placement::{Party, Placement};
use splitbench::fhe::parameters::ParameterSet;
use splitbench::model::layer::{Activation, Function, MaxPool, Operation, Window};
use splitbench::model::quantise::QuantParams;
use splitbench::model::{Input, Model, Node, ValueId};
use splitbench::oracle::simulation::simulate;
use splitbench::record::cost_model::CostModel;
use splitbench::record::reads::Reads;

use super::trivial::{placement, target};

/// The largest integer of the pooled values.
const LARGEST: i64 = 15;
/// Inferences of a network with one noise seed.
const COLUMNS: usize = 4000;

/// Returns a network that looks its integers up as they are and takes the largest of 4 × 4.
fn pooled() -> Model {
    let other = Model::load(Path::new("digits-mlp")).unwrap();
    let window = Window {
        stride: [4, 4],
        padding: [0; 4],
    };
    let pool = MaxPool::new(1, [4, 4], [4, 4], window, [1, 1]).unwrap();
    let activation = Activation {
        function: Function::Relu,
        output: QuantParams {
            scale: 1.0,
            low: 0,
            high: LARGEST,
        },
    };
    let node = |name: &str, op, index, shape: [usize; 3], operation| Node {
        name: name.into(),
        inputs: vec![ValueId::new(index)],
        shape: shape.to_vec(),
        channel_size: shape[1] * shape[2],
        block: None,
        op,
        parameter_count: 0,
        is_pinned: false,
        operation,
    };
    let relu = Operation::Activation(activation);
    let nodes = vec![
        node("relu", "relu", 0, [1, 4, 4], relu),
        node("pool", "max_pool", 1, [1, 1, 1], Operation::MaxPool(pool)),
    ];
    let input = Input {
        shape: vec![1, 4, 4],
        max: LARGEST as u32,
        scale: vec![1.0; 16],
        offset: vec![0.0; 16],
    };
    other.with_nodes(input, nodes)
}

fn compiled(model: &Model, target: &Target) -> Program {
    let programs = compile_placement(model, &placement("SS"), target).unwrap();
    Program::clone(&programs[0])
}

/// Runs an image of equal largest values beside zeros, whose deviations are compared with nothing, and
/// returns what was read, and how far the integers of look-ups went beyond the pooled ones' width.
fn run(program: &Program) -> (Reads, f64) {
    let pixel = |element: usize| if element % 4 < 2 { LARGEST as u64 } else { 0 };
    let rows = (0..16).map(|element| vec![pixel(element); COLUMNS].into());
    let mut most = 0.0f64;
    let uploads = [rows.collect()];
    let run = program.observe_clear(&uploads, Some(NoiseSeed(1)), &mut |look_up, rows| {
        let integers = rows.iter().flatten().map(|&value| value as i64 as f64);
        let largest = integers.fold(0.0, f64::max) * look_up.tables[0].scale;
        most = most.max(largest - LARGEST as f64);
    });
    let reads = run.reads.iter().map(|(_, reads)| *reads);
    (reads.fold(Reads::default(), Reads::plus), most)
}

#[test]
fn pools_have_room_for_the_deviations_of_their_rounds() {
    let model = pooled();
    let cheapest = |precision, log2_p_fail_lookup| Target {
        parameters: Choice::Cheapest(precision, CostModel::default()),
        log2_p_fail_lookup,
        ..Target::usual()
    };
    for (name, target) in [
        ("usual", Target::usual()),
        ("noisy", cheapest(Precision::StepNoise(1.0), -40.0)),
        ("sure", cheapest(Precision::StepNoise(0.3), -128.0)),
        ("fast", target(ParameterSet::fast().unwrap())),
        ("accurate", target(ParameterSet::accurate().unwrap())),
    ] {
        let (reads, most) = run(&compiled(&model, &target));
        assert_eq!(
            (reads.out_of_range, reads.misread),
            (0, 0),
            "{name}: {most}"
        );
        if name == "usual" {
            assert!(most > 0.5, "deviations are there to be held: {most}");
        }
    }
}

#[test]
fn exact_pools_need_no_room() {
    let model = pooled();
    let exact = Target {
        parameters: Choice::Cheapest(Precision::Exact, CostModel::default()),
        ..Target::usual()
    };
    let width = |target: &Target| {
        let program = compiled(&model, target);
        let look_ups = program.look_ups().skip(1).map(|look_up| {
            let table = &look_up.tables[0];
            (table.range.1 as f64 * table.scale).round() as i64
        });
        look_ups.collect::<Vec<_>>()
    };
    // Ranges have a step more, for what rounds its weights.
    assert_eq!(width(&exact), [LARGEST + 1; 4]);
    let bound = NoiseBound::default();
    let grown: Vec<i64> = (0..4)
        .map(|rounds| LARGEST + 1 + bound.overshoot(rounds, LARGEST))
        .collect();
    assert_eq!(width(&Target::usual()), grown);
}

#[test]
fn networks_that_come_with_it_stay_in_range_with_noise() {
    const INFERENCES: usize = 20_000;
    for name in ["digits-mlp", "digits-cnn", "digits-deep"] {
        let model = Model::load(Path::new(name)).unwrap();
        let placement = Placement::uniform(Party::Server, &model.pins());
        let programs = compile_placement(&model, &placement, &Target::usual()).unwrap();
        let images: Vec<usize> = (0..model.test.len()).collect();
        for seed in 0..INFERENCES.div_ceil(images.len()) as u64 {
            let noise = Some(NoiseSeed(seed));
            let simulation = simulate(&model, &placement, &programs, &images, noise);
            let found = simulation.all_reads();
            let reads = (found.reads.out_of_range, found.reads.misread);
            assert_eq!(reads, (0, 0), "{name}, seed {seed}");
            assert_eq!(found.inferences, images.len() as u64);
        }
    }
}

#[test]
fn ranges_that_are_too_narrow_show_in_the_counts() {
    let model = Model::load(Path::new("digits-mlp")).unwrap();
    let placement = Placement::uniform(Party::Server, &model.pins());
    let programs = compile_placement(&model, &placement, &Target::usual()).unwrap();
    let images: Vec<usize> = (0..model.test.len()).collect();
    // The program takes a third of the calibrated range for the whole.
    let mut nodes = model.nodes.clone();
    for node in &mut nodes {
        if let Operation::Linear(linear) = &mut node.operation {
            linear.range.iter_mut().for_each(|range| {
                *range = (range.0 / 3.0, range.1 / 3.0);
            });
        }
    }
    let narrow = Model::load(Path::new("digits-mlp")).unwrap();
    let narrow = narrow.with_nodes(model.input.clone(), nodes);
    let programs_of = |model| compile_placement(model, &placement, &Target::usual()).unwrap();
    let reads = |programs: &[_]| {
        let noise = Some(NoiseSeed(1));
        simulate(&model, &placement, programs, &images, noise).all_reads()
    };
    let (whole, narrow) = (reads(&programs), reads(&programs_of(&narrow)));
    assert_eq!(whole.reads.out_of_range, 0);
    assert!(narrow.reads.out_of_range > narrow.reads.misread);
    assert!(narrow.misread_inferences > 0);
    assert!(narrow.misread_inferences <= narrow.reads.misread);
    assert!(narrow.of_inference(-61.0).is_observed);
    assert!(!whole.of_inference(-61.0).is_observed);
}
