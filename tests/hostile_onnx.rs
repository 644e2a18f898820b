//! Broken and hostile ONNX files: each is refused with one line that names the file, the node and
//! the reason, soon and without much memory.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "hostile_onnx/models.rs"]
mod models;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use splitbench::core::onnx_schema::{
    AttributeProto, GraphProto, ModelProto, StringStringEntry, attribute_type,
};
use splitbench::import::{read_network, read_network_bytes};

use models::{hostile_models, model, node, valid, with};

/// The longest that any file may take to be refused, in a build without optimisation.
const LONGEST: Duration = Duration::from_secs(10);

/// The largest file of the fuzzer's corpus.
const CORPUS_BYTES: usize = 2048;

/// Returns the refusal of a file, checked to be one line that names the file, and prompt.
fn refusal(bytes: &[u8]) -> Option<String> {
    let start = Instant::now();
    let result = read_network_bytes(bytes, "some/file.onnx");
    assert!(start.elapsed() < LONGEST, "took {:?}", start.elapsed());
    let text = result.err()?.to_string();
    assert!(text.starts_with("some/file.onnx: "), "{text}");
    assert!(!text.contains('\n') && text.len() < 1000, "{text}");
    Some(text)
}

#[test]
fn hostile_models_are_refused_with_their_reason() {
    let mut failures = Vec::new();
    for (name, model, words) in hostile_models() {
        match refusal(&model.encode_to_vec()) {
            None => failures.push(format!("{name} reads")),
            Some(text) if words.iter().all(|word| text.contains(word)) => {}
            Some(text) => failures.push(format!("{name}: {text}")),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn files_cut_short_or_made_of_anything_are_refused() {
    let bytes = valid().encode_to_vec();
    assert_eq!(refusal(&bytes), None);
    for length in (0..bytes.len()).step_by(7) {
        assert!(refusal(&bytes[..length]).is_some(), "{length} bytes");
    }
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..2000 {
        let mut noise = vec![0; random.random_range(1..200)];
        random.fill_bytes(&mut noise);
        assert!(refusal(&noise).is_some(), "{noise:?}");
    }
}

#[test]
fn files_with_flipped_bytes_never_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let models: Vec<Vec<u8>> = corpus()
        .into_iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    for round in 0..4000 {
        let mut bytes = models[round % models.len()].clone();
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(0..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(place) {
                *byte = random.random();
            }
        }
        refusal(&bytes);
    }
}

#[test]
fn lengths_beyond_the_file_take_no_memory() {
    // A graph, a node, a name of 2^60 bytes; and a number of more than ten bytes.
    let bomb = [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(refusal(&bomb).unwrap().contains("cut short"));
    assert!(refusal(&[0x08; 1]).is_some());
    assert!(refusal(&[0xff; 32]).is_some());
    // Two bytes a node, but some hundred once decoded.
    let mut nodes = GraphProto::default().encode_to_vec();
    nodes.extend([0x0a, 0x00].repeat(3_000_000));
    let mut file = vec![0x3a];
    prost::encode_length_delimiter(nodes.len(), &mut file).unwrap();
    file.extend(nodes);
    assert!(refusal(&file).unwrap().contains("more than"));
    let nodes = vec![node("Relu", &["x"], "y"); 100_001];
    assert!(
        refusal(&model(&[1, 2], nodes, vec![]).encode_to_vec())
            .unwrap()
            .contains("100001 nodes")
    );
}

#[test]
fn deep_nesting_is_refused() {
    /// Levels of graphs in attributes of nodes of graphs.
    const DEPTH: usize = 20_000;
    // From the inside out, and back to front: each level wraps what is there.
    let mut reversed: Vec<u8> = Vec::new();
    let wrap = |reversed: &mut Vec<u8>, tag: u8| {
        let mut header = vec![tag];
        prost::encode_length_delimiter(reversed.len(), &mut header).unwrap();
        reversed.extend(header.iter().rev());
    };
    for _ in 0..DEPTH {
        for tag in [0x32, 0x2a, 0x0a] {
            wrap(&mut reversed, tag);
        }
    }
    wrap(&mut reversed, 0x3a);
    // The version of the operators.
    reversed.extend([0x42, 0x02, 0x10, 0x11].iter().rev());
    reversed.reverse();
    assert!(refusal(&reversed).unwrap().contains("graph of its own"));
    // Groups within groups.
    assert!(refusal(&[0x0b; DEPTH]).is_some());
}

#[test]
fn subgraphs_and_sparse_tensors_are_not_supported() {
    let branch = AttributeProto {
        name: Some("then_branch".into()),
        g: Some(vec![].into()),
        r#type: Some(attribute_type::GRAPH),
        ..AttributeProto::default()
    };
    let nodes = vec![with(&[branch], node("If", &["x"], "y"))];
    let text = refusal(&model(&[1, 2], nodes, vec![]).encode_to_vec()).unwrap();
    assert!(
        text.contains("node \"n\" (If)") && text.contains("then_branch"),
        "{text}"
    );
    let mut sparse = valid();
    sparse.graph.as_mut().unwrap().sparse_initializer = vec![vec![].into()];
    assert!(refusal(&sparse.encode_to_vec()).unwrap().contains("sparse"));
}

/// Returns the valid model with its first weights in another file.
fn external(location: &str) -> ModelProto {
    let mut model = valid();
    let weights = &mut model.graph.as_mut().unwrap().initializer[0];
    weights.float_data.clear();
    weights.data_location = Some(1);
    weights.external_data = vec![StringStringEntry {
        key: Some("location".into()),
        value: Some(location.into()),
    }];
    model
}

#[test]
fn external_numbers_come_only_from_the_folder_of_the_model() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("models");
    fs::create_dir_all(folder.join("deep")).unwrap();
    let numbers: Vec<u8> = (0..6).flat_map(|n| (n as f32).to_le_bytes()).collect();
    for place in ["w.bin", "models/w.bin", "models/deep/w.bin"] {
        fs::write(outside.path().join(place), &numbers).unwrap();
    }
    let path = folder.join("m.onnx");
    let try_location = |location: &str| {
        fs::write(&path, external(location).encode_to_vec()).unwrap();
        read_network(&path).map_err(|error| error.to_string())
    };
    for location in ["w.bin", "deep/w.bin", "./w.bin"] {
        assert!(try_location(location).is_ok(), "{location}");
    }
    let absolute = outside.path().join("w.bin");
    let mut outsiders = vec![
        "../w.bin",
        "deep/../../w.bin",
        absolute.to_str().unwrap(),
        "/etc/passwd",
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../w.bin", folder.join("link.bin")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.join("linked")).unwrap();
        outsiders.extend(["link.bin", "linked/w.bin"]);
    }
    for location in outsiders {
        let text = try_location(location).unwrap_err();
        assert!(text.contains("m.onnx") && text.contains("\"w\""), "{text}");
        assert!(
            text.contains("folder") && !text.contains('\n'),
            "{location}: {text}"
        );
    }
    // A model that is no file has no folder.
    assert!(refusal(&external("w.bin").encode_to_vec()).is_some());
}

#[test]
fn folders_and_missing_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read_network(folder.path()).is_err());
    assert!(read_network(&folder.path().join("missing.onnx")).is_err());
}

/// Returns the files of the fuzzer's corpus.
fn corpus() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn the_corpus_reads_or_is_refused() {
    let paths = corpus();
    assert!(paths.len() > 50, "{} files", paths.len());
    for path in paths {
        let is_hostile = path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("hostile_");
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() <= CORPUS_BYTES, "{}", path.display());
        assert_eq!(refusal(&bytes).is_some(), is_hostile, "{}", path.display());
    }
}

/// `SPLITBENCH_WRITE_CORPUS=1 cargo test --test hostile_onnx` writes what is missing.
#[test]
fn the_corpus_holds_every_small_hostile_model() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx");
    for (name, model, _) in hostile_models() {
        let bytes = model.encode_to_vec();
        if bytes.len() > CORPUS_BYTES {
            continue;
        }
        let path = folder.join(format!("hostile_{name}.onnx"));
        if std::env::var_os("SPLITBENCH_WRITE_CORPUS").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(
            fs::read(&path).unwrap_or_default(),
            bytes,
            "{}",
            path.display()
        );
    }
}
