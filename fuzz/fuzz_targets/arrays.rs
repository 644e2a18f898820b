//! Any bytes are read as images or labels or refused: `cargo +nightly fuzz run -s none arrays`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::arrays(bytes));
