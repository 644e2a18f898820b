//! Any bytes are read as a key of the client or refused: `cargo +nightly fuzz run -s none key`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::key(bytes));
