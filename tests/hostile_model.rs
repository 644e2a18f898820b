//! Broken and hostile model folders and split files: each is refused with a message that names
//! the file and the place in it, and none makes the reader panic or allocate without bound.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splitbench::core::digest::hex_digest;
use splitbench::model::Model;
use splitbench::record::settings::Settings;
use splitbench::sweep::Overrides;
use tempfile::TempDir;

/// A copy of digits-mlp to break.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits-mlp");
        let copy = Self(tempfile::tempdir().unwrap());
        for entry in fs::read_dir(original).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path(entry.file_name().to_str().unwrap())).unwrap();
        }
        copy
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn edit_file(&self, file: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(file)).unwrap();
        edit(&mut bytes);
        fs::write(self.path(file), bytes).unwrap();
    }

    fn edit_json(&self, edit: impl FnOnce(&mut Value)) {
        self.edit_file("model.json", |bytes| {
            let mut json = serde_json::from_slice(bytes).unwrap();
            edit(&mut json);
            *bytes = serde_json::to_vec_pretty(&json).unwrap();
        });
    }

    /// Writes the checksums that the files have.
    fn correct_checksums(&self) {
        let digest = |file| json!(hex_digest(&fs::read(self.path(file)).unwrap()));
        self.edit_json(|json| {
            json["weights"]["sha256"] = digest("weights.bin");
            json["test"]["images_sha256"] = digest("test-images.npy");
            json["test"]["labels_sha256"] = digest("test-labels.npy");
        });
    }

    /// Turns the network into one on images of `[1, 8, 8]`, with kernels of 3 x 3, 9 x 9 and none.
    fn use_image_layers(&self, layers: &str) {
        self.edit_json(|json| {
            json["input"]["shape"] = json!([1, 8, 8]);
            json["layers"] = serde_json::from_str(layers).unwrap();
            json["weights"]["tensors"] = json!([
                {"name": "k3", "shape": [1, 1, 3, 3], "offset": 0},
                {"name": "k9", "shape": [1, 1, 9, 9], "offset": 0},
                {"name": "k0", "shape": [1, 1, 0, 3], "offset": 0},
                {"name": "bias", "shape": [1], "offset": 8192},
                {"name": "range", "shape": [1, 2], "offset": 8320},
            ]);
        });
    }

    /// Returns what is wrong with the way the copy is refused; the message must name the folder.
    fn complaint(&self, case: &str, words: &str) -> Option<String> {
        let folder = self.0.path();
        let outcome = catch_unwind(|| Model::load(folder).map(|_| ()));
        complaint(case, folder, words, outcome)
    }
}

fn complaint(
    case: &str,
    place: &Path,
    words: &str,
    outcome: std::thread::Result<splitbench::Result<()>>,
) -> Option<String> {
    let message = match outcome {
        Err(_) => return Some(format!("{case}: panics")),
        Ok(Ok(())) => return Some(format!("{case}: is accepted")),
        Ok(Err(error)) => error.to_string(),
    };
    if message.contains('\n') {
        return Some(format!("{case}: more than one line: {message}"));
    }
    let mut words = std::iter::once(place.to_str().unwrap()).chain(words.split(" ; "));
    let absent = words.find(|word| !message.contains(word))?;
    Some(format!("{case}: {absent:?} is not in: {message}"))
}

fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Sets the value at a JSON pointer, whose last step may be new; `absent` removes it.
fn set(json: &mut Value, pointer: &str, text: &str) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap();
    match (parent, text) {
        (Value::Object(fields), "absent") => drop(fields.remove(last)),
        (Value::Object(fields), text) => {
            fields.insert(last.into(), serde_json::from_str(text).unwrap());
        }
        (Value::Array(list), text) => {
            list[last.parse::<usize>().unwrap()] = serde_json::from_str(text).unwrap();
        }
        _ => unreachable!("{pointer} has no parent that holds values"),
    }
}

/// Reads lines of `pointer = value => word ; word`.
fn rows(table: &'static str) -> impl Iterator<Item = [&'static str; 3]> {
    table.trim().lines().map(|line| {
        let (setting, words) = line.split_once(" => ").unwrap();
        let (pointer, value) = setting.split_once(" = ").unwrap();
        [pointer, value, words]
    })
}

/// Returns a file in NumPy's format whose data is `length` times `value`.
fn npy(descr: &str, shape: &str, length: usize, value: u8) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [npy_header(&header), vec![value; length]].concat()
}

fn npy_header(header: &str) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x02\x00", &length[..], header.as_bytes()].concat()
}

const CONV: &str = r#"{"op": "conv2d", "name": "conv", "weights": "k3", "bias": "bias",
    "stride": [1, 1], "padding": [0, 0, 0, 0], "weight_bits": 8, "range": "range"}"#;

#[test]
fn unbroken_copies_load() {
    let copy = Copy::new();
    assert_eq!(Model::load(copy.0.path()).unwrap().layer_count(), 3);
    let pool = r#"{"op": "average_pool", "name": "pool", "kernel": [2, 2], "stride": [1, 1],
        "padding": [1, 1, 1, 1], "count_padding": true}"#;
    copy.use_image_layers(&format!("[{CONV}, {pool}]"));
    let model = Model::load(copy.0.path()).unwrap();
    assert_eq!(model.layers[1].output_shape, [1, 7, 7]);
}

const MODEL_VALUES: &str = r#"
/format = "onnx" => onnx ; expected splitbench-model
/version = 1 => version 1 ; expected
/version = "1" => line ; column
/surprise = 1 => surprise
/test = absent => missing field `test`
/float_accuracy = "high" => line ; column
/classes = [0, 1] => 2 numbers for 10 outputs
/classes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 8] => 8 twice
/classes = 10 => line ; column
/input/shape = [] => input.shape
/input/shape = [0] => input.shape
/input/shape = [1099511627776] => input.shape
/input/shape = [4294967296, 4294967296] => input.shape
/input/shape = [63] => layers[0] "fc1" ; "fc1.weights" ; [any, 63]
/input/shape = [1, 8, 8] => layers[0] "fc1" ; flatten
/input/scale = 0 => input.scale
/input/scale = 1e300 => input.scale
/input/scale = 1e-300 => input.scale
/input/max = 0 => input.max
/input/max = 256 => input.max
/layers = [] => no layers
/layers = [{"op": "flatten", "name": "f"}] => no layers
/layers/0/op = "softmax" => softmax
/layers/0/surprise = 1 => surprise
/layers/0/weight_bits = 0 => layers[0] "fc1" ; weight_bits
/layers/0/weight_bits = 99 => layers[0] "fc1" ; weight_bits
/layers/0/weights = "gone" => layers[0] "fc1" ; "gone" ; missing
/layers/0/bias = "fc2.bias" => layers[0] "fc1" ; "fc2.bias"
/layers/0/range = "fc1.bias" => layers[0] "fc1" ; "fc1.bias"
/layers/1/name = "fc1" => layers[1] "fc1" ; same name
/layers/1/input = "gone" => layers[1] "relu1" ; input "gone"
/layers/1/input = 7 => layers[1] "relu1" ; input must be a text
/layers/1/function = "softplus" => layers[1] "relu1" ; softplus
/layers/1/function = {"clip": {"low": 1, "high": 0}} => layers[1] "relu1" ; low must not be above high
/layers/1/function = {"chain": []} => layers[1] "relu1" ; no functions
/layers/1/function = {"select": ["relu", "relu"]} => layers[1] "relu1" ; three functions
/layers/1/function = {"elementary": "gamma"} => layers[1] "relu1" ; gamma
/layers/1/function = {"quantise": {"scale": 0, "low": 0, "high": 3}} => layers[1] "relu1" ; positive scale
/layers/1/output/low = 15 => layers[1] "relu1" ; low < high
/layers/1/output/high = 256 => layers[1] "relu1" ; 256 apart
/layers/1/output/high = 9223372036854775807 => layers[1] "relu1" ; 256 apart
/layers/1/output/scale = 0 => layers[1] "relu1" ; scale
/layers/1/output/scale = -1 => layers[1] "relu1" ; scale
/layers/1/output/scale = 1e300 => layers[1] "relu1" ; scale
/layers/1/output/scale = "NaN" => NaN
/layers/1 = {"name": "add", "op": "add", "other": "gone", "range": "fc1.range"} => layers[1] "add" ; "gone"
/layers/1 = {"name": "add", "op": "add", "other": "fc1", "range": "fc2.range"} => layers[1] "add" ; "fc2.range"
/layers/1 = {"name": "pool", "op": "max_pool", "kernel": [1, 1], "stride": [1, 1], "padding": [0, 0, 0, 0]} => layers[1] "pool" ; [32]
/layers/1 = {"name": "map", "op": "linear", "shape": [32], "weights": "fc1.bias", "blocks": "fc1.bias", "bias": "fc1.bias", "weight_bits": 5, "range": "fc1.range"} => layers[1] "map" ; no whole number
/layers/1 = {"name": "map", "op": "linear", "shape": [32], "weights": "fc1.bias", "blocks": "gone", "bias": "fc1.bias", "weight_bits": 5, "range": "fc1.range"} => layers[1] "map" ; "gone"
/layers/1 = {"name": "map", "op": "linear", "shape": [], "weights": "fc1.bias", "blocks": "fc1.bias", "bias": "fc1.bias", "weight_bits": 5, "range": "fc1.range"} => layers[1] "map" ; shape []
/layers/1 = {"name": "other", "op": "reshape", "shape": [31]} => layers[1] "other" ; [32] does not become [31]
/layers/1 = {"name": "pool", "op": "largest", "shape": [32], "windows": "fc1.bias"} => layers[1] "pool" ; must follow an activation
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "RandomNormal", "opset": 17}, "operands": [{"from": "value", "value": "fc1", "shape": [1, 32], "kind": "float"}], "shape": [32]} => layers[1] "p" ; no client here runs
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [{"from": "value", "value": "gone", "shape": [1, 32], "kind": "float"}], "shape": [32]} => layers[1] "p" ; "gone"
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [{"from": "value", "value": "fc1", "shape": [1, 31], "kind": "float"}], "shape": [31]} => layers[1] "p" ; 31
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [{"from": "value", "value": "fc1", "shape": [18446744073709551615, 2], "kind": "float"}], "shape": [32]} => layers[1] "p" ; p
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [{"from": "value", "value": "fc1", "shape": [1, 32], "kind": "float"}], "shape": [33]} => layers[1] "p" ; [33]
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [{"from": "value", "value": "fc1", "shape": [1, 32], "kind": "float"}], "shape": []} => layers[1] "p" ; shape []
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [], "shape": [32]} => layers[1] "p" ; p
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [{"from": "constant", "tensor": "fc1.bias", "kind": "float"}], "shape": [32]} => layers[1] "p" ; p
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [{"from": "value", "value": "fc1", "shape": [1, 32], "kind": "float"}, {"from": "constant", "tensor": "gone", "kind": "float"}], "shape": [32]} => layers[1] "p" ; "gone"
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Softmax", "opset": -3}, "operands": [{"from": "value", "value": "fc1", "shape": [1, 32], "kind": "float"}], "shape": [32]} => layers[1] "p" ; version -3
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Not", "opset": 17}, "operands": [{"from": "value", "value": "fc1", "shape": [1, 32], "kind": "float"}], "shape": [32]} => layers[1] "p" ; p
/layers/1 = {"name": "p", "op": "pinned", "operator": {"name": "Relu", "opset": 17}, "operands": [{"from": "value", "value": "fc1", "shape": [1, 32], "kind": "float"}, {"from": "value", "value": "fc1", "shape": [1, 32], "kind": "float"}], "shape": [32]} => layers[1] "p" ; p
/layers/1 = 3 => layers[1] ; object
/layers/1 = {"op": "flatten"} => layers[1] ; name
/layers/2/input = "input" => layers[2] "fc2"
/layers/2/input = "fc1" => no layer reads ; "relu1"
/layers/0/weight_scale = "fc1.bias" => layers[0] "fc1" ; weight_scale
/layers/0/correction = "gone" => layers[0] "fc1" ; "gone"
/input/scale = [0.1, 0.2] => input.scale ; 64 channels
/input/offset = 1e300 => input.offset
/weights/file = "../weights.bin" => ../weights.bin ; beside model.json
/weights/file = "/weights.bin" => /weights.bin ; beside model.json
/weights/file = "sub/weights.bin" => sub/weights.bin ; beside model.json
/weights/file = ".." => beside model.json
/weights/file = "" => beside model.json
/weights/file = "gone.bin" => cannot read ; gone.bin
/weights/sha256 = "00" => weights.bin ; SHA-256
/weights/tensors = [] => layers[0] "fc1" ; "fc1.weights"
/weights/tensors/1/name = "fc1.weights" => weights.bin ; twice
/weights/tensors/0/offset = 9000 => weights.bin ; "fc1.weights" ; 9976
/weights/tensors/0/offset = 18446744073709551615 => "fc1.weights" ; offset
/weights/tensors/0/offset = -1 => line ; column
/weights/tensors/0/shape = [18446744073709551615] => "fc1.weights"
/weights/tensors/0/shape = [9223372036854775808, 2] => "fc1.weights"
/weights/tensors/0/shape = [] => layers[0] "fc1" ; "fc1.weights"
/weights/tensors/0/shape = [0, 64] => layers[0] "fc1" ; "fc1.weights"
/test/images = "../test-images.npy" => ../test-images.npy ; beside model.json
/test/labels = "gone.npy" => cannot read ; gone.npy
/test/labels_sha256 = "00" => test-labels.npy ; SHA-256
"#;

#[test]
fn wrong_values_in_model_json_are_named() {
    assert_none(rows(MODEL_VALUES).filter_map(|[pointer, text, words]| {
        let copy = Copy::new();
        copy.edit_json(|json| set(json, pointer, text));
        copy.complaint(&format!("{pointer} = {text}"), words)
    }));
}

#[test]
fn windows_that_do_not_fit_their_image_are_named() {
    const HUGE: u64 = 1 << 40;
    let conv = |weights: &str, stride: u64, padding: u64| {
        let (stride, padding) = ([stride, 1], [padding; 4]);
        json!({"op": "conv2d", "name": "conv", "weights": weights, "bias": "bias",
            "stride": stride, "padding": padding, "weight_bits": 8, "range": "range"})
    };
    let pool = |kernel: u64, stride: u64, padding: u64| {
        json!({"op": "average_pool", "name": "pool", "kernel": [kernel, kernel],
            "stride": [stride, stride], "padding": [padding, padding, padding, padding]})
    };
    let flatten = json!({"op": "flatten", "name": "flat"});
    let first = conv("k3", 1, 0);
    let alone = [
        (conv("k3", 0, 0), "layers[0] \"conv\" ; stride"),
        (conv("k9", 1, 0), "layers[0] \"conv\" ; kernel [9, 9]"),
        (conv("k0", 1, 0), "layers[0] \"conv\" ; \"k0\""),
        (conv("k3", 1, HUGE), "layers[0] \"conv\" ; padding"),
        (conv("k3", 1, u64::MAX), "layers[0] \"conv\" ; padding"),
    ];
    let after_conv = [
        (json!([pool(0, 1, 0)]), "layers[1] \"pool\" ; kernel"),
        (json!([pool(7, 1, 0)]), "layers[1] \"pool\" ; kernel [7, 7]"),
        (json!([pool(2, 0, 0)]), "layers[1] \"pool\" ; stride"),
        (json!([pool(2, 1, 4000)]), "layers[1] \"pool\" ; padding"),
        (json!([pool(HUGE, 1, HUGE)]), "layers[1] \"pool\" ; padding"),
        (
            json!([pool(HUGE, HUGE, HUGE)]),
            "layers[1] \"pool\" ; kernel",
        ),
        (json!([flatten, pool(2, 1, 0)]), "layers[2] \"pool\" ; [36]"),
    ];
    let alone = alone.map(|(layer, words)| (json!([layer]), words));
    let after_conv = after_conv.map(|(mut layers, words)| {
        layers.as_array_mut().unwrap().insert(0, first.clone());
        (layers, words)
    });
    let cases = alone.into_iter().chain(after_conv);
    assert_none(cases.filter_map(|(layers, words)| {
        let copy = Copy::new();
        copy.use_image_layers(&layers.to_string());
        copy.complaint(&layers.to_string(), words)
    }));
}

/// What is done to the bytes of a file.
type Edit = fn(&mut Vec<u8>);

const WEIGHTS: &str = "weights.bin";
const IMAGES: &str = "test-images.npy";
const LABELS: &str = "test-labels.npy";

#[test]
fn altered_files_are_named_by_their_checksum() {
    let edits: [Edit; 4] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.clear(),
        |bytes| bytes.push(0),
        |bytes| bytes[200] ^= 1,
    ];
    assert_none([WEIGHTS, IMAGES, LABELS].iter().flat_map(|file| {
        edits.iter().enumerate().filter_map(move |(index, edit)| {
            let copy = Copy::new();
            copy.edit_file(file, edit);
            let words = format!("{file} ; truncated or altered ; restore");
            copy.complaint(&format!("edit {index} of {file}"), &words)
        })
    }));
}

fn put(bytes: &mut [u8], offset: usize, value: f32) {
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn wrong_weights_with_the_right_checksum_are_named() {
    let cases: [(Edit, &str); 5] = [
        (|b| b.clear(), "\"fc1.weights\" ; 0 bytes"),
        (|b| b.truncate(9000), "\"fc2.weights\" ; 9000 bytes"),
        (|b| put(b, 12, f32::NAN), "\"fc1.weights\" ; element 3"),
        (|b| put(b, 9860, f32::INFINITY), "\"fc2.bias\" ; element 1"),
        (|b| put(b, 8320, 1e30), "layers[0] \"fc1\" ; \"fc1.range\""),
    ];
    assert_none(cases.iter().filter_map(|(edit, words)| {
        let copy = Copy::new();
        copy.edit_file(WEIGHTS, edit);
        copy.correct_checksums();
        copy.complaint(words, words)
    }));
}

#[test]
fn wrong_test_sets_with_the_right_checksums_are_named() {
    let images = [
        (Vec::new(), "no readable .npy header"),
        (b"PK\x03\x04".into(), "no readable .npy header"),
        (
            b"\x93NUMPY\x02\x00\xff\xff\xff\x00".into(),
            "no readable .npy header",
        ),
        (npy_header(&"(".repeat(5_000_000)), "elements of type"),
        (npy("|u1", "()", 1, 0), "shape []"),
        (npy("|u1", "(0, 64)", 0, 0), "shape [0, 64]"),
        (npy("|u1", "(360, 63)", 360 * 63, 0), "shape [360, 63]"),
        (npy("|u1", "(360, 64)", 360, 0), "[360, 64] ; announces"),
        (npy("|u1", "(1, 64)", 65, 0), "[1, 64] ; announces"),
        (npy("<f4", "(1, 64)", 256, 0), "no u8 array ; f32"),
        (npy("<u2", "(1, 64)", 128, 0), "no u8 array ; u16"),
        (npy("|u1", "(1, 64)", 64, 17), "value 17 ; input.max = 16"),
        (npy("|u1", "(1099511627776, 64)", 0, 0), "70368744177749"),
        (
            npy("|u1", "(4611686018427387904, 64)", 0, 0),
            "more than any file",
        ),
        (npy("|u1", "(1152921504606846976, 0)", 0, 0), "shape"),
    ];
    let labels = [
        (npy("|u1", "(359,)", 359, 0), "359 labels for 360 images"),
        (npy("|u1", "(360,)", 360, 200), "label 200 ; 10 classes"),
        (
            npy("|u1", "(360, 1)", 360, 0),
            "no array of 360 labels ; [360, 1]",
        ),
        (
            npy("<i8", "(360,)", 8 * 360, 0),
            "no array of u8, u16 or u32 labels ; i64",
        ),
        (npy("|u1", "(1099511627776,)", 0, 0), "announces"),
    ];
    let images = images.into_iter().map(|case| (IMAGES, case));
    let labels = labels.into_iter().map(|case| (LABELS, case));
    assert_none(images.chain(labels).filter_map(|(file, (bytes, words))| {
        let copy = Copy::new();
        fs::write(copy.path(file), bytes).unwrap();
        copy.correct_checksums();
        copy.complaint(words, &format!("{file} ; {words}"))
    }));
}

#[test]
fn unreadable_model_json_is_named() {
    let nested: Edit = |bytes| *bytes = [[b'['; 20_000], [b']'; 20_000]].concat();
    let nested_field: Edit = |bytes| {
        let value = ["[".repeat(20_000), "]".repeat(20_000)].concat();
        *bytes = format!("{{\"format\": {value}}}").into_bytes();
    };
    let edits: &[(&str, Edit)] = &[
        ("empty", Vec::clear),
        ("not UTF-8", |bytes| bytes[60] = 0xff),
        ("nested", nested),
        ("nested field", nested_field),
        ("trailing text", |bytes| bytes.push(b'x')),
        ("a field twice", |bytes| {
            bytes.splice(1..1, *b"\"version\": 1,");
        }),
    ];
    let length = fs::read(Copy::new().path("model.json")).unwrap().len();
    let named = edits.iter().filter_map(|(name, edit)| {
        let copy = Copy::new();
        copy.edit_file("model.json", edit);
        copy.complaint(name, "model.json ; no valid model")
    });
    let cut = (0..length - 1).step_by(50).filter_map(|end| {
        let copy = Copy::new();
        copy.edit_file("model.json", |bytes| bytes.truncate(end));
        copy.complaint(&format!("cut at {end}"), "model.json ; no valid model")
    });
    assert_none(named.chain(cut));
}

#[test]
fn no_altered_byte_of_model_json_makes_the_reader_panic() {
    let copy = Copy::new();
    let original = fs::read(copy.path("model.json")).unwrap();
    let panics = (0..original.len()).flat_map(|position| {
        let (copy, original) = (&copy, &original);
        b"9-\"".iter().filter_map(move |&byte| {
            let mut bytes = original.clone();
            bytes[position] = byte;
            fs::write(copy.path("model.json"), bytes).unwrap();
            let outcome = catch_unwind(|| Model::load(copy.0.path()).map(|_| ()));
            outcome
                .err()
                .map(|_| format!("{:?} at {position}", char::from(byte)))
        })
    });
    assert_none(panics);
}

const SPLIT_VALUES: &str = r#"
/surprise = 1 => unknown field `surprise`
/model = absent => missing field `model`
/name = "../above" => name "../above" ; plain folder name
/name = "" => name "" ; plain folder name
/placements = "some" => placements ; "all"
/placements = 7 => placements ; "all"
/placements = ["CXC"] => placements ; letters C and S
/placements = ["CC"] => CC has 2 letters ; 3 placeable layers
/placements = ["CSC", "CSC"] => CSC is given twice
/placements = [] => placements must be at least one
/images = 0 => images must be at least one
/images = 361 => 361 images ; 360 test images
/images = -1 => line ; column
/repeats = 0 => repeats must be at least one
/parameters = "slow" => "slow" ; fast or accurate
/step_noise = 0 => noise ; positive fraction
/log2_p_fail_lookup = -0.5 => failure probability ; below -1
/seed = 0.5 => line ; column
"#;

#[test]
fn wrong_split_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("splits.json");
    let resolve = || {
        catch_unwind(|| {
            let splits = Some(file.clone());
            Settings::resolve(
                Overrides {
                    splits,
                    ..Overrides::default()
                },
                &|_| {},
            )
            .map(|_| ())
        })
    };
    let wrong_values = rows(SPLIT_VALUES).filter_map(|[pointer, text, words]| {
        let mut json = json!({"name": "x", "why": "y", "model": "digits-mlp", "placements": "all"});
        set(&mut json, pointer, text);
        fs::write(&file, json.to_string()).unwrap();
        complaint(&format!("{pointer} = {text}"), &file, words, resolve())
    });
    let unreadable: [(&[u8], &str); 4] = [
        (b"", "no valid split file"),
        (b"{\"name\": ", "no valid split file"),
        (b"\xff", "is no text ; UTF-8"),
        (&[b'['; 20_000], "no valid split file"),
    ];
    let unreadable = unreadable.iter().filter_map(|(text, words)| {
        fs::write(&file, text).unwrap();
        complaint(&String::from_utf8_lossy(text), &file, words, resolve())
    });
    assert_none(wrong_values.chain(unreadable));
}
