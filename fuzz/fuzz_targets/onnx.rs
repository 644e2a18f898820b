//! Any bytes are read as an ONNX file or refused: `cargo +nightly fuzz run onnx`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splitbench::import::onnx::read_bytes;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = read_bytes(bytes, "fuzz.onnx") {
        let text = error.to_string();
        assert!(text.starts_with("fuzz.onnx") && !text.contains('\n'), "{text}");
    }
});
