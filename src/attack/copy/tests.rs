//! Copies of built-in networks: what gradients are, what a copy is worth, and what must be worth nothing.

use std::path::Path;

use super::affine::{Batch, Tensors};
use super::campaign::{Advance, Campaign, Listener, Wanted};
use super::ground::{Ground, pixels};
use super::lesson::{Goal, Lesson, gradients};
use super::network::Network;
use super::pupil::Pupil;
use super::split::Split;
use super::start::Start;
use crate::circuit::compile::{Target, compile_placement};
use crate::core::error::Result;
use crate::core::linear_map::LinearMap;
use crate::core::placement::Placement;
use crate::model::answer::Answer;
use crate::model::layer::{Activation, Add, Function, Geometry, Linear, MaxPool, Operation};
use crate::model::output_mode::OutputMode;
use crate::model::quantise::QuantParams;
use crate::model::source::Source;
use crate::model::{Input, Model, Node, TestSet, ValueId};
use crate::record::copy::{CopyOutcome, CopyPoint};

fn ground(name: &str, target: Target) -> Ground {
    let source = Source::find(Path::new(name)).expect("built in");
    let model = Model::read(&source).expect("sound");
    let training = TestSet::training(&source, &model).expect("sound");
    Ground::new(model, training, target).expect("images")
}

fn split(ground: &Ground, letters: &str) -> (Split, Vec<Pupil>) {
    let placement: Placement = letters.parse().expect("letters");
    let programs = compile_placement(&ground.model, &placement, &ground.target).expect("compiled");
    let segments = placement.server_segments();
    let pupils = segments.iter().zip(&programs);
    let pupils = pupils.map(|(segment, program)| Pupil::new(ground, segment, program));
    let pupils = pupils.collect();
    (Split::new(ground, &placement, programs), pupils)
}

/// Returns what a thousand queries teach.
fn lesson_of(ground: &Ground, pupil: &Pupil) -> Lesson {
    let lesson = pupil.lesson(ground, 1000, 1, &|| false);
    lesson.expect("nobody stops it")
}

/// Returns the weights that a lesson teaches the only segment of a split.
fn learnt(ground: &Ground, pupil: &Pupil, lesson: &Lesson) -> Vec<Tensors> {
    let start = pupil.start(ground, lesson, 1);
    pupil
        .learn(start, lesson, 1, &|| false)
        .expect("learnt to the end")
        .tensors
}

/// Returns a network of every kind of operation, its functions smooth.
fn of_all_kinds() -> Model {
    let model = Model::load(Path::new("digits-mlp")).expect("built in");
    let input = Input {
        shape: vec![5],
        max: 16,
        scale: vec![0.1; 5],
        offset: vec![0.0; 5],
    };
    let linear = |inputs: usize, outputs: usize| {
        let weight = |index: usize| (index as f32 * 0.7).sin() * 0.6;
        let weights: Vec<f32> = (0..inputs * outputs).map(weight).collect();
        Operation::Linear(Linear {
            map: LinearMap::dense(&weights, inputs),
            geometry: Geometry::Dense,
            bias: (0..outputs).map(|index| index as f32 * 0.05).collect(),
            correction: vec![0.0; outputs],
            weight_bits: 8,
            weight_scale: None,
            range: vec![(-1.0, 1.0); outputs],
        })
    };
    let tanh = Operation::Activation(Activation {
        function: Function::Tanh,
        output: QuantParams::covering(-1.0, 1.0, 4),
    });
    let add = Operation::Add(Add {
        range: vec![(-1.0, 1.0); 6],
    });
    let pool = Operation::MaxPool(MaxPool {
        windows: vec![vec![0, 1], vec![2, 3, 4], vec![5]],
    });
    let operations = [
        (vec![0], linear(5, 6), 6),
        (vec![1], tanh, 6),
        (vec![1, 2], add, 6),
        (vec![3], pool, 3),
        (vec![4], linear(3, 4), 4),
    ];
    let nodes = operations
        .into_iter()
        .map(|(inputs, operation, count)| Node {
            name: "layer".into(),
            inputs: inputs.into_iter().map(ValueId::new).collect(),
            shape: vec![count],
            channel_size: 1,
            block: None,
            op: "by hand",
            is_pinned: false,
            parameter_count: usize::from(matches!(operation, Operation::Linear(_))),
            operation,
        });
    model.with_nodes(input, nodes.collect())
}

/// Returns the loss that [`gradients`] are of.
fn loss(goal: &Goal, output: &Batch) -> f64 {
    match goal {
        Goal::Values(values) => {
            let squares = (output - &values[0]).mapv(|error| f64::from(error).powi(2));
            squares.sum() / output.len() as f64
        }
        Goal::Classes(classes) => {
            let of = |(column, &class): (ndarray::ArrayView1<'_, f32>, &u32)| {
                let sum: f64 = column.iter().map(|&logit| f64::from(logit).exp()).sum();
                sum.ln() - f64::from(column[class as usize])
            };
            let losses = output.columns().into_iter().zip(classes).map(of);
            losses.sum::<f64>() / classes.len() as f64
        }
    }
}

/// Asserts that gradients are the differences of the loss, of some of the weights and biases.
fn assert_gradients(
    network: &Network,
    tensors: &[Tensors],
    input: &Batch,
    goal: &Goal,
    name: &str,
) {
    let run = network.run(tensors, vec![input.clone()]);
    let outputs: Vec<&Batch> = run.outputs(network).collect();
    let of_outputs = gradients(goal, &[1.0], &outputs);
    let mut sums: Vec<Tensors> = tensors.iter().map(Tensors::zeros).collect();
    network.differentiate(tensors, &run, of_outputs, &mut sums);
    let step = 2e-3;
    let moved = |layer: usize, place: usize, by: f32| {
        let mut moved = tensors.to_vec();
        let Tensors { weights, bias } = &mut moved[layer];
        match place.checked_sub(weights.len()) {
            None => weights[place] += by,
            Some(place) => bias[place] += by,
        }
        loss(goal, &network.outputs(&moved, vec![input.clone()])[0])
    };
    for (layer, sums) in sums.iter().enumerate() {
        let all = [sums.weights.as_slice(), &sums.bias].concat();
        let some = (0..all.len()).step_by(1 + all.len() / 23);
        for place in some.chain([all.len() - 1]) {
            let difference = moved(layer, place, step) - moved(layer, place, -step);
            let (found, expected) = (f64::from(all[place]), difference / f64::from(2.0 * step));
            let error = (found - expected).abs();
            assert!(
                error < 2e-3 + 0.02 * expected.abs(),
                "{name}, layer {layer}, {place}: {found} {expected}"
            );
        }
    }
}

#[test]
fn gradients_are_differences_of_the_loss() {
    let small = of_all_kinds();
    let mut deep = Model::load(Path::new("digits-deep")).expect("built in");
    for node in &mut deep.nodes {
        if let Operation::Activation(activation) = &mut node.operation {
            // Differences do not tell slopes at kinks.
            activation.function = Function::Tanh;
        }
    }
    for (model, name) in [(&small, "all kinds"), (&deep, "digits-deep")] {
        let network = Network::unrounded(model);
        let tensors = network.truth(model);
        let shape = (model.element_count(ValueId::INPUT), 7);
        let input = Batch::from_shape_fn(shape, |(row, column)| {
            ((row * 3 + column * 11) as f32).cos()
        });
        let outputs = model.element_count(model.output());
        let values =
            Batch::from_shape_fn((outputs, 7), |(row, column)| ((row + column) as f32).sin());
        let classes = (0..7).map(|column| column % outputs as u32).collect();
        for goal in [Goal::Values(vec![values]), Goal::Classes(classes)] {
            assert_gradients(&network, &tensors, &input, &goal, name);
        }
    }
}

#[test]
fn the_true_weights_give_the_servers_labels() {
    for (name, letters) in [
        ("digits-mlp", "SSS"),
        ("digits-mlp", "SCS"),
        ("digits-cnn", "CSSSS"),
        ("digits-deep", "SSSSCSSS"),
    ] {
        let ground = ground(name, Target::usual());
        let (split, _) = split(&ground, letters);
        let truth = split.network.truth(&ground.model);
        let agreement = split.judge(&ground, &truth).agreement;
        assert!(agreement > 0.98, "{name} {letters}: {agreement}");
    }
}

#[test]
fn what_stands_before_learnt_weights_need_run_only_once() {
    for (name, letters) in [
        ("digits-cnn", "CCSCS"),
        ("digits-cnn", "CCCCC"),
        ("digits-mlp", "SSS"),
    ] {
        let ground = ground(name, Target::usual());
        let (split, _) = split(&ground, letters);
        let truth = split.network.truth(&ground.model);
        let input = || vec![pixels(&ground.asked, &[1, 2, 3])];
        let (rest, inputs) = split.network.behind_known(input());
        assert_eq!(
            rest.outputs(&truth, inputs),
            split.network.outputs(&truth, input()),
            "{letters}"
        );
    }
}

#[test]
fn a_linear_segment_is_copied_up_to_the_ceiling() {
    let ground = ground("digits-mlp", Target::usual());
    for letters in ["SCC", "CCS", "CSS"] {
        let (split, pupils) = split(&ground, letters);
        let tensors = learnt(&ground, &pupils[0], &lesson_of(&ground, &pupils[0]));
        let agreement = split.judge(&ground, &tensors).agreement;
        assert!(
            agreement >= 0.99 * split.ceiling(&ground),
            "{letters}: {agreement} of {}",
            split.ceiling(&ground)
        );
    }
}

#[test]
fn answers_teach_more_than_labels_do() {
    let ground = ground("digits-mlp", Target::usual());
    let (split, pupils) = split(&ground, "SSS");
    let lesson = lesson_of(&ground, &pupils[0]);
    let agreement = split
        .judge(&ground, &learnt(&ground, &pupils[0], &lesson))
        .agreement;
    let start = pupils[0].start(&ground, &lesson, 1);
    let own = split
        .learn_alone(&ground, &start, 1000, 1, &|| false)
        .expect("learnt");
    let own = split.judge(&ground, &own).agreement;
    assert!(
        agreement > 0.96 && agreement > own,
        "{agreement}, {own} alone"
    );
}

#[test]
fn labels_teach_too() {
    let target = Target {
        output_mode: OutputMode {
            answer: Answer::Label,
            ..OutputMode::default()
        },
        ..Target::usual()
    };
    let ground = ground("digits-mlp", target);
    let (split, pupils) = split(&ground, "CCS");
    let lesson = lesson_of(&ground, &pupils[0]);
    assert!(matches!(lesson.goal, Goal::Classes(_)));
    let agreement = split
        .judge(&ground, &learnt(&ground, &pupils[0], &lesson))
        .agreement;
    assert!(agreement > 0.9, "{agreement}");
}

#[test]
fn answers_of_another_network_teach_nothing_of_this_one() {
    let ground = ground("digits-mlp", Target::usual());
    let (split, pupils) = split(&ground, "SSS");
    let mut lesson = lesson_of(&ground, &pupils[0]);
    let network = &pupils[0].network;
    let images: Vec<usize> = (0..200).collect();
    let other = Start::draw(
        &ground.model,
        network,
        vec![pixels(&ground.asked, &images)],
        4711,
    );
    lesson.goal = Goal::Values(network.outputs(&other.tensors, lesson.inputs.clone()));
    let agreement = split
        .judge(&ground, &learnt(&ground, &pupils[0], &lesson))
        .agreement;
    assert!(agreement < 0.35, "{agreement}");
}

#[test]
fn random_answers_teach_no_more_than_no_server() {
    let ground = ground("digits-mlp", Target::usual());
    let (split, pupils) = split(&ground, "SSS");
    let mut lesson = lesson_of(&ground, &pupils[0]);
    let start = pupils[0].start(&ground, &lesson, 1);
    if let Goal::Values(values) = &mut lesson.goal {
        // Each question gets the answer to another one.
        let turned: Vec<usize> = (0..1000).map(|column| (column * 389 + 7) % 1000).collect();
        values[0] = super::lesson::columns(&values[0], &turned);
    }
    let agreement = split
        .judge(&ground, &learnt(&ground, &pupils[0], &lesson))
        .agreement;
    let own = split
        .learn_alone(&ground, &start, 1000, 1, &|| false)
        .expect("learnt");
    let own = split.judge(&ground, &own).agreement;
    assert!(
        agreement < 0.4 && agreement < own,
        "{agreement}, {own} alone"
    );
}

/// Keeps points.
#[derive(Default)]
struct Points(Vec<CopyPoint>);

impl Listener for Points {
    fn point(&mut self, point: &CopyPoint, _: Advance) -> Result<()> {
        self.0.push(point.clone());
        Ok(())
    }

    fn stop(&self) -> bool {
        false
    }
}

/// Returns the points of some splits.
fn points(ground: &Ground, letters: &[&str], budget_s: f64) -> Vec<CopyPoint> {
    let placements: Vec<Placement> = letters
        .iter()
        .map(|l| l.parse().expect("letters"))
        .collect();
    let wanted = Wanted {
        queries: vec![10, 40],
        seeds: 2,
        seed: 3,
        budget_s,
    };
    let mut points = Points::default();
    let campaign = Campaign::new(ground, &placements).expect("compiled");
    campaign
        .run(&wanted, &|_, _| false, &mut points)
        .expect("run");
    points.0
}

#[test]
fn figures_do_not_depend_on_the_number_of_threads_nor_on_other_splits() {
    let ground = ground("digits-mlp", Target::usual());
    let on = |threads: usize, letters: &'static [&'static str]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads")
            .install(|| points(&ground, letters, 1e6))
    };
    let outcomes = |points: &[CopyPoint]| -> Vec<(usize, Vec<CopyOutcome>)> {
        let of_split = points
            .iter()
            .filter(|point| point.placement.to_string() == "SCS");
        of_split
            .map(|point| (point.queries, point.seeds.clone()))
            .collect()
    };
    let one = outcomes(&on(1, &["SCS"]));
    assert_eq!(one.len(), 2);
    assert_eq!(one, outcomes(&on(3, &["SCS"])));
    assert_eq!(one, outcomes(&on(2, &["CCC", "SCC", "SCS", "CCS"])));
}

#[test]
fn what_does_not_fit_into_the_budget_is_unknown_with_a_reason() {
    let ground = ground("digits-mlp", Target::usual());
    for point in points(&ground, &["SSS", "CCS"], 0.0) {
        assert_eq!(point.seeds, []);
        assert!(point.reason.expect("a reason").contains("--budget"));
    }
}

#[test]
fn images_to_ask_with_are_none_that_copies_are_judged_on() {
    let source = Source::find(Path::new("digits-mlp")).expect("built in");
    let model = Model::read(&source).expect("sound");
    let same = Some(model.test.clone());
    for training in [None, same] {
        let ground = Ground::new(model.clone(), training, Target::usual()).expect("images");
        let (asked, judged) = (&ground.asked.test, &ground.model.test);
        assert_eq!((asked.len(), judged.len()), (180, 180));
        assert_eq!(asked.image(0), model.test.image(0));
        assert_eq!(judged.image(0), model.test.image(180));
    }
}
