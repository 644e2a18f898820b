//! Any bytes are read as an upload or refused: `cargo +nightly fuzz run -s none upload`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::upload(bytes));
