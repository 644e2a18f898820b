//! Any bytes are read as an archive of arrays or refused: `cargo +nightly fuzz run -s none archives`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench_fuzz::feed;

fuzz_target!(|bytes: &[u8]| feed::archives(bytes));
