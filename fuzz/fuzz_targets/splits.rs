//! Any bytes are read as a split file or refused: `cargo +nightly fuzz run -s none splits`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::splits(bytes));
