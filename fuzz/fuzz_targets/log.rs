//! Any bytes are read as a results log or refused: `cargo +nightly fuzz run -s none log`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::log(bytes));
