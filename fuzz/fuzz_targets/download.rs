//! Any bytes are read as an answer or refused: `cargo +nightly fuzz run -s none download`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::download(bytes));
