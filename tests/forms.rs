//! Networks whose look-ups are composed and whose branches are joined: imported, on trivial ciphertexts
//! and under encryption.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "trivial/trivial.rs"]
mod trivial;

use std::fs::File;
use std::path::Path;

use ndarray::{ArrayD, Dimension};
use ndarray_npy::WriteNpyExt;
use splitbench::circuit::compile::compile_placement;
use splitbench::circuit::program::NoiseSeed;
use splitbench::core::placement::{Party, Placement};
use splitbench::import::data::Preprocessing;
use splitbench::import::quantise::calibration::RangeMethod;
use splitbench::import::{ImportRequest, import};
use splitbench::model::Model;
use splitbench::oracle::agreement::within_error_model;
use splitbench::party::session::Session;

use trivial::{fast, placement, run_in_the_clear, run_trivially, target};

/// Imports one of the golden files on images of two channels.
fn imported(name: &str) -> Model {
    imported_on(name, &[2, 4, 4])
}

/// Imports one of the golden files on images of this shape whose pixels are 0 to 3.
fn imported_on(name: &str, shape: &[usize]) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let images = ArrayD::from_shape_fn([&[40], shape].concat(), |at| {
        let place = (1..at.ndim()).map(|axis| at[axis] * (9 - 2 * axis));
        let last = at[at.ndim() - 1];
        ((at[0] * (7 + at[at.ndim() - 2]) + place.sum::<usize>() + last * last) % 4) as u8
    });
    let calibrate = folder.path().join("images.npy");
    images.write_npy(File::create(&calibrate).unwrap()).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let request = ImportRequest {
        onnx: golden.join(format!("{name}.onnx")),
        shapes: Vec::new(),
        calibrate,
        labels: None,
        test: None,
        test_labels: None,
        calibration_images: 40,
        preprocessing: Preprocessing::default(),
        bits: None,
        weight_bits: None,
        range: RangeMethod::Mse,
        most_loss: 0.01,
        out: folder.path().join("model"),
    };
    import(&request, &|_| {}).unwrap().model
}

const FORMS: [&str; 6] = [
    "function_gelu_parts",
    "function_where",
    "function_max_of_two",
    "concat_branches",
    "split_joined",
    "pad_dilated_conv",
];

#[test]
fn trivial_ciphertexts_equal_the_clear_run_bit_for_bit() {
    for name in FORMS {
        let model = imported(name);
        let all = placement(&"S".repeat(model.layer_count()));
        for program in &compile_placement(&model, &all, &target(fast())).unwrap() {
            let clear = run_in_the_clear(program);
            let found = run_trivially(program, &clear.uploaded);
            assert_eq!(found, clear.downloaded, "{name}");
        }
    }
}

#[test]
fn encrypted_forms_agree_with_the_error_model() {
    for name in ["function_gelu_parts", "concat_branches"] {
        let model = imported(name);
        let all = placement(&"S".repeat(model.layer_count()));
        let session = Session::set_up(&model, &all, &target(fast())).unwrap();
        let inference = session.infer(model.test.image(3)).unwrap();
        let exchanges = session.programs().iter().zip(&inference.exchanges);
        for (program, exchange) in exchanges {
            assert!(
                within_error_model(program, exchange, NoiseSeed(1)),
                "{name}"
            );
        }
    }
}

#[test]
fn layers_around_pinned_ones_run_encrypted() {
    for (name, shape, letters, fewer) in [
        ("client_gate", &[4, 3, 3][..], "SScS", "CCcS"),
        ("client_attention_sequence_first", &[5, 6], "ScSSS", "CcSCS"),
    ] {
        let model = imported_on(name, shape);
        let most = Placement::uniform(Party::Server, &model.pins());
        assert_eq!(most.to_string(), letters, "{name}");
        for parties in [most, placement(fewer)] {
            let parties = model.place(parties).unwrap();
            let session = Session::set_up(&model, &parties, &target(fast())).unwrap();
            let inference = session.infer(model.test.image(3)).unwrap();
            let exchanges = session.programs().iter().zip(&inference.exchanges);
            assert_eq!(exchanges.len(), parties.server_segments().len());
            for (program, exchange) in exchanges {
                assert!(
                    within_error_model(program, exchange, NoiseSeed(1)),
                    "{name} {parties}"
                );
            }
        }
    }
}
