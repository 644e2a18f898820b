//! Any bytes are read as a model.json or refused: `cargo +nightly fuzz run -s none model`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::model(bytes));
