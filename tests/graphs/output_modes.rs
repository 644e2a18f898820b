//! Segments with look-ups at their ends: labels alone, answers that are looked up for their protection, and
//! uploads behind a gate.

use std::path::Path;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::circuit::analysis::{MOST_IDENTITY_BITS, NoiseBound, Purpose, analyse_to_end};
use splitbench::circuit::compile::{Target, compile_placement};
use splitbench::circuit::program::{Action, NoiseSeed, Program};
use splitbench::core::placement::{Pins, Placement};
use splitbench::model::answer::Answer;
use splitbench::model::layer::{Dense, Geometry, Linear, Operation};
use splitbench::model::output_mode::OutputMode;
use splitbench::model::protection::Protection;
use splitbench::model::{Granularity, Input, Model, Node, ValueId};
use splitbench::oracle::agreement::within_error_model;
use splitbench::oracle::simulation::{arg_max, simulate};
use splitbench::party::inference::Exchange;
use splitbench::party::session::Session;
use splitbench::record::download::Download;

use super::residual::{cases, placed};
use super::trivial::{fast, placement, run_in_the_clear, run_trivially, target};
use super::{column, columns, config};

const LABEL: OutputMode = OutputMode {
    answer: Answer::Label,
    protect: Protection::None,
};
const PROTECTED: OutputMode = OutputMode {
    answer: Answer::Logits,
    protect: Protection::Bootstrap,
};
const BOTH: OutputMode = OutputMode {
    answer: Answer::Label,
    protect: Protection::Bootstrap,
};

const GATED: OutputMode = OutputMode {
    answer: Answer::Logits,
    protect: Protection::Gate,
};
const GATED_LABEL: OutputMode = OutputMode {
    answer: Answer::Label,
    protect: Protection::Gate,
};

fn with_mode(output_mode: OutputMode) -> Target {
    Target {
        output_mode,
        ..target(fast())
    }
}

fn digits() -> Model {
    Model::load(Path::new("digits-mlp")).unwrap()
}

/// Returns every placement of digits-mlp and of a residual network under test.
fn models_and_placements() -> Vec<(Model, Placement)> {
    let all = Placement::all(&Pins::none(3)).map(|placement| (digits(), placement));
    let residual = cases().into_iter();
    let residual = residual
        .map(|(granularity, text, _): (Granularity, _, _)| (placed(granularity), placement(text)));
    all.chain(residual).collect()
}

/// Returns a network of one layer, whose logits are its inputs 0..=max.
fn identity(classes: usize, max: u32) -> Model {
    let mut weights = vec![0.0; classes * classes];
    weights
        .iter_mut()
        .step_by(classes + 1)
        .for_each(|weight| *weight = 1.0);
    let dense = Dense {
        weights,
        outputs: classes,
        inputs: classes,
    };
    let linear = Linear {
        map: dense.map(),
        geometry: Geometry::Dense,
        bias: vec![0.0; classes],
        correction: vec![0.0; classes],
        weight_bits: 8,
        weight_scale: None,
        range: vec![(0.0, 1.0); classes],
    };
    let node = Node {
        name: "logits".into(),
        inputs: vec![ValueId::INPUT],
        shape: vec![classes],
        channel_size: 1,
        block: None,
        op: "dense",
        parameter_count: classes * classes,
        is_pinned: false,
        operation: Operation::Linear(linear),
    };
    let input = Input {
        shape: vec![classes],
        max,
        scale: vec![1.0 / f64::from(max); classes],
        offset: vec![0.0; classes],
    };
    digits().with_nodes(input, vec![node])
}

/// Returns ones for the first of the largest, and zeros.
fn naive_label(logits: &[i64]) -> Vec<i64> {
    let largest = logits.iter().max().unwrap();
    let first = logits.iter().position(|logit| logit == largest).unwrap();
    (0..logits.len())
        .map(|class| i64::from(class == first))
        .collect()
}

#[test]
fn trivial_ciphertexts_equal_the_clear_run_bit_for_bit_whatever_the_ends() {
    let mut failures = Vec::new();
    for (model, placement) in models_and_placements() {
        for output_mode in [LABEL, PROTECTED, GATED] {
            let programs = compile_placement(&model, &placement, &with_mode(output_mode)).unwrap();
            for (segment, program) in programs.iter().enumerate() {
                let clear = run_in_the_clear(program);
                if run_trivially(program, &clear.uploaded) != clear.downloaded {
                    failures.push(format!(
                        "{} {placement}, segment {segment}, {output_mode:?}",
                        model.name
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn look_ups_are_counted_before_they_are_compiled() {
    for (model, placement) in models_and_placements() {
        for output_mode in [
            OutputMode::default(),
            LABEL,
            PROTECTED,
            BOTH,
            GATED,
            GATED_LABEL,
        ] {
            let programs = compile_placement(&model, &placement, &with_mode(output_mode)).unwrap();
            let found: usize = programs.iter().map(|p| p.bootstrap_count()).sum();
            let counted = output_mode.bootstrap_count(&model, &placement);
            assert_eq!(found, counted, "{} {placement} {output_mode:?}", model.name);
        }
    }
}

/// Returns whether every answer is what a look-up has just returned.
fn ends_in_look_ups(program: &Program) -> bool {
    let mut slots = program.download_slots.iter();
    slots.all(|slot| {
        let step = slot.checked_sub(program.upload_steps.len());
        step.is_some_and(|step| matches!(program.steps[step].action, Action::LookUp(_)))
    })
}

#[test]
fn protected_answers_come_straight_from_look_ups() {
    let mut unprotected = 0;
    for (model, placement) in models_and_placements() {
        let compile =
            |output_mode| compile_placement(&model, &placement, &with_mode(output_mode)).unwrap();
        for program in compile(PROTECTED).iter().chain(&compile(BOTH)) {
            assert!(ends_in_look_ups(program), "{} {placement}", model.name);
        }
        let plain = compile(OutputMode::default());
        unprotected += plain
            .iter()
            .filter(|program| !ends_in_look_ups(program))
            .count();
    }
    assert!(unprotected > 0, "there is something to protect");
}

#[test]
fn protection_costs_little_accuracy_and_labels_hardly_any() {
    let model = digits();
    let images: Vec<usize> = (0..model.test.len()).collect();
    for text in ["SSS", "CCS", "SCS"] {
        let placement = placement(text);
        let accuracy = |output_mode| {
            let programs = compile_placement(&model, &placement, &with_mode(output_mode)).unwrap();
            let simulation = simulate(&model, &placement, &programs, &images, Some(NoiseSeed(1)));
            assert_eq!(
                simulation.all_reads().reads.out_of_range,
                0,
                "{text} {output_mode:?}"
            );
            if output_mode.answer == Answer::Label {
                let unlabelled = simulation.no_label_count();
                assert!(unlabelled <= images.len() / 100, "{text}: {unlabelled}");
            }
            simulation.accuracy(&model, &images)
        };
        let plain = accuracy(OutputMode::default());
        for output_mode in [LABEL, PROTECTED, BOTH, GATED, GATED_LABEL] {
            let found = accuracy(output_mode);
            assert!(
                found >= plain - 0.03,
                "{text} {output_mode:?}: {found} of {plain}"
            );
        }
    }
}

/// Returns logits 0..=max, few different ones among them.
fn logits() -> impl Strategy<Value = (u32, Vec<i64>)> {
    prop_oneof![Just(3u32), Just(15), Just(255)].prop_flat_map(|max| {
        let values = prop::collection::vec(0..=i64::from(max), 2..26);
        (Just(max), values)
    })
}

proptest! {
    #![proptest_config(config(48, 6))]

    #[test]
    fn labels_are_those_of_a_plain_loop_with_ties_to_the_first((max, logits) in logits()) {
        let model = identity(logits.len(), max);
        let expected = naive_label(&logits);
        let uploads = vec![logits];
        // Look-ups of unlimited resolution, and those of a table.
        let segment = &placement("S").server_segments()[0];
        let analysis = analyse_to_end(
            &model,
            segment,
            LABEL,
            MOST_IDENTITY_BITS,
            NoiseBound::default(),
        )
        .unwrap();
        let inputs = columns(std::slice::from_ref(&uploads));
        let found = &analysis.run(&inputs, &mut |_, _, _| {})[0];
        prop_assert_eq!(&column(found, 0), &expected);
        let program = &compile_placement(&model, &placement("S"), &with_mode(LABEL)).unwrap()[0];
        let run = program.run_clear(&inputs, None);
        prop_assert_eq!(&column(&run.outputs[0], 0), &expected);
        prop_assert_eq!(run.range_overflow_count(), 0);
    }
}

#[test]
fn ties_go_to_the_first_on_trivial_ciphertexts() {
    let model = identity(11, 3);
    let programs = compile_placement(&model, &placement("S"), &with_mode(LABEL)).unwrap();
    for logits in [
        [2; 11],
        [0, 3, 1, 3, 3, 0, 0, 0, 0, 0, 3],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
    ] {
        let found = run_trivially(&programs[0], &[logits.to_vec()]);
        assert_eq!(found, [naive_label(&logits)]);
    }
}

/// Returns the smallest difference of logits, in reals, that a comparison tells rightly but for six
/// standard deviations of its noise.
fn resolution(program: &Program) -> f64 {
    let comparisons = program
        .look_ups()
        .find(|step| step.purpose == Purpose::Comparison)
        .unwrap();
    let sigma = comparisons.sigma.iter().copied().fold(0.0, f64::max);
    6.0 * sigma * 2f64.powi(64) / comparisons.unit as f64 * comparisons.tables[0].scale
}

#[test]
fn labels_under_real_keys_are_the_clear_ones_within_the_stated_precision() {
    const MAX: u32 = 15;
    let mut model = identity(3, MAX);
    model.input.max = MAX;
    let session = Session::set_up(&model, &placement("S"), &with_mode(LABEL)).unwrap();
    let program = &session.programs()[0];
    assert!(
        resolution(program) < 1.0 / f64::from(MAX),
        "{}",
        resolution(program)
    );
    for logits in [[0, 1, 0], [15, 14, 0], [7, 8, 9], [3, 15, 0]] {
        let image = logits.map(|logit| logit as u8);
        let inference = session.infer(&image).unwrap();
        let exchange = &inference.exchanges[0];
        assert_eq!(exchange.downloaded, [naive_label(&logits)], "{logits:?}");
        assert!(within_error_model(program, exchange, NoiseSeed(1)));
        assert_eq!(
            arg_max(inference.logits.iter().copied()),
            arg_max(logits.map(|l| l as f32))
        );
        // Another label is noticed, because these logits are no close call.
        let mut other = exchange.clone();
        other.downloaded[0].rotate_left(1);
        assert!(
            !within_error_model(program, &other, NoiseSeed(1)),
            "{logits:?}"
        );
    }
    // Noise decides between equals, and nothing else may win.
    let tie = session.infer(&[9, 9, 2]).unwrap();
    let exchange: &Exchange = &tie.exchanges[0];
    assert!([[1, 0, 0], [0, 1, 0]].contains(&exchange.downloaded[0][..].try_into().unwrap()));
    assert!(within_error_model(program, exchange, NoiseSeed(1)));
}

#[test]
fn protected_answers_agree_under_real_keys_plain_and_packed() {
    let model = digits();
    for download in [Download::Plain, Download::Packed] {
        let placement = placement("CCS");
        let target = Target {
            download,
            ..with_mode(PROTECTED)
        };
        let session = Session::set_up(&model, &placement, &target).unwrap();
        let inference = session.infer(model.test.image(3)).unwrap();
        let program = &session.programs()[0];
        assert_eq!(program.bootstrap_count(), 10);
        assert!(within_error_model(
            program,
            &inference.exchanges[0],
            NoiseSeed(1)
        ));
        let clear = simulate(&model, &placement, session.programs(), &[3], None).labels();
        assert_eq!(arg_max(inference.logits), clear[0]);
    }
}

/// Returns whether every upload is read by a gate, and by nothing else.
fn begins_with_gates(program: &Program) -> bool {
    let uploads = program.upload_steps.len();
    (0..uploads).all(|upload| {
        let steps = program.steps.iter().enumerate();
        let reads: Vec<usize> = steps
            .filter(|(_, step)| step.inputs.contains(&upload))
            .map(|(index, _)| index)
            .collect();
        let behind = |factor: usize| {
            let steps = program.steps.iter();
            let mut readers = steps.filter(|step| step.inputs == [uploads + factor]);
            readers.next().is_some_and(
                |step| matches!(&step.action, Action::LookUp(of) if of.purpose == Purpose::Gate),
            ) && readers.next().is_none()
        };
        matches!(reads[..], [factor] if behind(factor))
    })
}

#[test]
fn whatever_is_uploaded_passes_a_gate_first() {
    for (model, placement) in models_and_placements() {
        for output_mode in [GATED, GATED_LABEL] {
            let programs = compile_placement(&model, &placement, &with_mode(output_mode)).unwrap();
            for program in programs {
                assert!(begins_with_gates(&program), "{} {placement}", model.name);
            }
        }
    }
}

proptest! {
    #![proptest_config(config(24, 4))]

    /// Each element of an upload is looked up by itself, so that an answer to any phases is one to honest ones
    /// where the same is true of each element's look-up. It holds of the layers behind too: the answers are
    /// compared, not the look-ups.
    #[test]
    fn off_the_grid_a_client_learns_what_it_learns_on_it(
        case in 0usize..6, seed in any::<u64>(),
    ) {
        let (model, text) = [
            (digits(), "SSS"), (digits(), "SCC"), (digits(), "CSS"),
            (digits(), "CCS"), (digits(), "CSC"), (digits(), "SSC"),
        ].into_iter().nth(case).unwrap();
        let programs = compile_placement(&model, &placement(text), &with_mode(GATED)).unwrap();
        let program = &programs[0];
        let gate = program.look_ups().next().unwrap();
        let upload = &program.interface.uploads[0];
        let step = program.upload_steps[0];
        let honest = |output: i64| {
            let mut integers = upload.quantisation.low..=upload.quantisation.high;
            integers.find(|integer| gate.read_integer(0, integer * step) == output)
        };
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        // Integers whose phases lie anywhere in the turn.
        let wild: Vec<i64> = upload.layout.places.iter().map(|_| generator.random()).collect();
        let tame: Option<Vec<i64>> = wild
            .iter()
            .map(|integer| honest(gate.read_integer(0, integer.wrapping_mul(step))))
            .collect();
        let tame = tame.expect("some honest integer is looked up alike");
        let answers = |integers: &Vec<i64>| {
            let run = program.run_clear(&columns(&[vec![integers.clone()]]), None);
            column(&run.outputs[0], 0)
        };
        prop_assert_eq!(answers(&wild), answers(&tame));
        // And the real look-ups do so too.
        prop_assert_eq!(&run_trivially(program, &[wild])[0], &answers(&tame));
    }
}

#[test]
fn gated_uploads_agree_under_real_keys() {
    let model = digits();
    for text in ["SSS", "CCS"] {
        let placement = placement(text);
        let session = Session::set_up(&model, &placement, &with_mode(GATED)).unwrap();
        let images = [3, 4, 5];
        let clear = simulate(&model, &placement, session.programs(), &images, None).labels();
        for (image, label) in images.into_iter().zip(clear) {
            let inference = session.infer(model.test.image(image)).unwrap();
            let (program, exchange) = (&session.programs()[0], &inference.exchanges[0]);
            assert!(
                within_error_model(program, exchange, NoiseSeed(1)),
                "{text}"
            );
            assert_eq!(arg_max(inference.logits), label, "{text} {image}");
        }
    }
}
