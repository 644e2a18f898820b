//! Real keys: placements end to end, trivial ciphertexts against the clear run, damaged messages.
//!
//! The tests share one key pair per parameter set, because making one takes a second.

#![cfg(feature = "engine")]

#[path = "trivial/trivial.rs"]
mod trivial;

use std::path::Path;

use splitbench::circuit::compile::compile_placement;
use splitbench::circuit::program::NoiseSeed;
use splitbench::core::placement::SegmentIndex;
use splitbench::fhe::cipher::insecure_trivial;
use splitbench::fhe::keys::SeededEvaluationKey;
use splitbench::fhe::parameters::ParameterSet;
use splitbench::model::Model;
use splitbench::oracle::agreement::within_error_model;
use splitbench::oracle::audit::audit;
use splitbench::oracle::simulation::{arg_max, simulate};
use splitbench::party::inference::Exchange;
use splitbench::party::server::Server;
use splitbench::party::session::Session;
use splitbench::record::deviations::Deviations;
use splitbench::record::download::Download;

use trivial::{FAST_KEY, fast, placement, run_in_the_clear, run_trivially, target};

#[test]
fn trivial_ciphertexts_equal_the_clear_run_bit_for_bit() {
    for (name, text) in [
        ("digits-mlp", "SSS"),
        ("digits-mlp", "CSC"),
        ("digits-mlp", "SCC"),
        ("digits-cnn", "SSSSS"),
        ("digits-cnn", "CSSSC"),
        ("digits-cnn", "SCSCS"),
    ] {
        let model = Model::load(Path::new(name)).expect("embedded");
        let programs =
            compile_placement(&model, &placement(text), &target(fast())).expect("compiles");
        for program in &programs {
            let clear = run_in_the_clear(program);
            let found = run_trivially(program, &clear.uploaded);
            assert_eq!(found, clear.downloaded, "{name} {text}");
        }
    }
}

#[test]
fn encrypted_placements_agree_with_the_error_model() {
    let cases = [
        (
            ParameterSet::fast(),
            "digits-mlp",
            vec!["SSS", "SCS", "CSC"],
        ),
        (ParameterSet::accurate(), "digits-mlp", vec!["SSC"]),
        (ParameterSet::fast(), "digits-cnn", vec!["CCSSS"]),
    ];
    for (parameters, name, texts) in cases {
        let model = Model::load(Path::new(name)).expect("embedded");
        for text in texts {
            let placement = placement(text);
            let target = target(parameters.as_ref().copied().expect("secure"));
            let session = Session::set_up(&model, &placement, &target).expect("compiles");
            let inference = session.infer(model.test.image(3)).expect("runs");
            let exchanges = session.programs().iter().zip(&inference.exchanges);
            for (program, exchange) in exchanges {
                assert!(
                    within_error_model(program, exchange, NoiseSeed(1)),
                    "{name} {text}"
                );
            }
            let clear = simulate(&model, &placement, session.programs(), &[3], None).labels();
            assert_eq!(arg_max(inference.logits), clear[0], "{name} {text}");
        }
    }
}

#[test]
fn packed_answers_agree_too_and_are_small() {
    let model = Model::load(Path::new("digits-mlp")).expect("embedded");
    for text in ["SSS", "CCS"] {
        let placement = placement(text);
        let mut target = target(fast());
        let plain = Session::set_up(&model, &placement, &target).expect("compiles");
        target.download = Download::Packed;
        let packed = Session::set_up(&model, &placement, &target).expect("compiles");
        let inference = packed.infer(model.test.image(3)).expect("runs");
        let (program, exchange) = (&packed.programs()[0], &inference.exchanges[0]);
        assert!(
            within_error_model(program, exchange, NoiseSeed(1)),
            "{text}"
        );
        let plain = plain.infer(model.test.image(3)).expect("runs");
        assert!(inference.download_bytes <= plain.download_bytes, "{text}");
        assert!(
            inference.download_bytes < 12_000,
            "{text}: {}",
            inference.download_bytes
        );
        assert!(packed.set_up.packing_key_bytes > 0);
    }
}

#[test]
fn values_outside_the_error_model_are_noticed() {
    let model = Model::load(Path::new("digits-mlp")).expect("embedded");
    for text in ["CCS", "SSS"] {
        let programs =
            compile_placement(&model, &placement(text), &target(fast())).expect("compiles");
        let mut exchange = run_in_the_clear(&programs[0]);
        let agrees = |exchange: &Exchange| within_error_model(&programs[0], exchange, NoiseSeed(1));
        assert!(agrees(&exchange));
        let (low, high) = programs[0].interface.downloads[0].range[4];
        exchange.downloaded[0][4] += (high - low) / 2;
        assert!(!agrees(&exchange), "{text}");
    }
}

#[test]
fn measured_step_deviations_agree_with_the_prediction_within_a_factor_of_two() {
    let model = Model::load(Path::new("digits-cnn")).expect("embedded");
    let session = Session::set_up(&model, &placement("SSSSS"), &target(fast())).expect("compiles");
    let mut layers = [(Deviations::default(), Deviations::default()); 2];
    for image in 0..6 {
        let inference = session.infer(model.test.image(image)).expect("runs");
        let uploads: Vec<_> = inference
            .exchanges
            .into_iter()
            .map(|e| e.uploaded)
            .collect();
        let audits = audit(&session, &uploads).expect("has keys");
        for (layer, audit) in layers.iter_mut().zip(audits) {
            *layer = (layer.0.plus(audit.predicted), layer.1.plus(audit.measured));
        }
    }
    let look_ups: u64 = layers.iter().map(|(_, measured)| measured.look_ups).sum();
    assert!(look_ups >= 2000, "{look_ups}");
    for (name, (predicted, measured)) in ["fresh", "deep"].iter().zip(layers) {
        let ratio = measured.one_step / predicted.one_step;
        assert!(
            (0.5..=2.0).contains(&ratio),
            "{name}: {measured:?} of {predicted:?}"
        );
        // Two steps are rare: so few are expected that only far too many would tell.
        let most = 2.0 * predicted.two_steps + 6.0 * predicted.two_steps.sqrt() + 1.0;
        assert!(
            measured.two_steps <= most,
            "{name}: {measured:?} of {predicted:?}"
        );
    }
}

#[test]
fn damaged_evaluation_keys_are_refused() {
    let parameters = fast();
    let bytes = &FAST_KEY[..];
    assert!(SeededEvaluationKey::from_bytes(bytes, &parameters).is_ok());
    assert!(SeededEvaluationKey::from_bytes(&bytes[..bytes.len() - 1], &parameters).is_err());
    assert!(SeededEvaluationKey::from_bytes(&[], &parameters).is_err());
    let accurate = ParameterSet::accurate().expect("secure");
    assert!(
        SeededEvaluationKey::from_bytes(bytes, &accurate).is_err(),
        "another set's key"
    );
}

#[test]
fn a_server_without_a_key_says_so() {
    let model = Model::load(Path::new("digits-mlp")).expect("embedded");
    let programs = compile_placement(&model, &placement("CSC"), &target(fast())).expect("compiles");
    let phases = programs[0].interface.uploads[0].phases(&[0; 32]);
    let server = Server::new(&programs);
    let ciphertexts = insecure_trivial(&fast(), &phases);
    let error = server
        .observe(
            SegmentIndex::FIRST,
            vec![ciphertexts],
            &mut |_, _, _| Ok(()),
        )
        .expect_err("no key")
        .to_string();
    assert!(error.contains("no evaluation key"), "{error}");
}
