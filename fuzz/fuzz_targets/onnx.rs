//! Any bytes are read as an ONNX file or refused: `cargo +nightly fuzz run -s none onnx`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::onnx(bytes));
