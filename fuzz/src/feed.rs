//! What other people's bytes are fed to, one function for each fuzz target.
//!
//! Each reads any bytes, or refuses them in one readable line; it never panics. `tests/corpus.rs` feeds
//! the corpus to the same functions. What takes the feature `engine` lies in a file of its own.

#[cfg(feature = "engine")]
#[path = "engine.rs"]
mod engine;

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

#[cfg(feature = "engine")]
use engine::run;
#[cfg(feature = "engine")]
pub use engine::{download, key, splits, upload};

use splitbench::core::error::{Error, Result};
use splitbench::core::foreign::line;
use splitbench::import::data::{Part, read_images, read_labels};
use splitbench::import::read_network_bytes;
use splitbench::model::Model;
use splitbench::model::source::{EMBEDDED, Source};
use splitbench::record::log::line::Chain;
use splitbench::record::log::recover::Damage;
use splitbench::record::log::{self, Record};
use splitbench::record::results::Tables;
use tempfile::TempDir;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// What takes any bytes.
pub type Feed = fn(&[u8]);

/// Every target by name, which is also its folder of the corpus.
pub const FEEDS: &[(&str, Feed)] = &[
    ("onnx", onnx),
    ("arrays", arrays),
    ("archives", archives),
    ("model", model),
    ("log", log),
    #[cfg(feature = "engine")]
    ("splits", splits),
    #[cfg(feature = "engine")]
    ("upload", upload),
    #[cfg(feature = "engine")]
    ("download", download),
    #[cfg(feature = "engine")]
    ("key", key),
];

/// The longest refusal.
const MOST_LETTERS: usize = 2000;
/// Pixels of an image that is read.
const MOST_PIXELS: usize = 1 << 12;

/// Passes over a refusal that a person sees as one readable line.
fn check(error: &Error) {
    let text = line(&error.to_string());
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.len() < MOST_LETTERS, "{text}");
}

/// Returns what was read, unless it was refused.
fn read<T>(result: Result<T>) -> Option<T> {
    result.inspect_err(check).ok()
}

/// A folder with one file in it.
struct Folder(TempDir);

impl Folder {
    fn with(file: &str, bytes: &[u8]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        fs::write(folder.path(file), bytes).expect("written");
        folder
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }
}

/// Reads an ONNX file.
pub fn onnx(bytes: &[u8]) {
    if let Some(error) = read_network_bytes(bytes, "some/file.onnx").err() {
        check(&error);
        let text = error.to_string();
        assert!(text.starts_with("some/file.onnx: "), "{text}");
    }
}

/// Reads images and labels in any format that is one file: NumPy, IDX, CIFAR, text.
pub fn arrays(bytes: &[u8]) {
    let folder = Folder::with("file", bytes);
    let path = folder.path("file");
    let fits = |place: &str, shape: &[usize]| {
        let pixels = shape
            .iter()
            .try_fold(1usize, |all, &size| all.checked_mul(size));
        match pixels {
            Some(pixels) if pixels <= MOST_PIXELS => Ok(()),
            _ => Err(Error::invalid(place, "too many pixels")),
        }
    };
    for part in [Part::Training, Part::Test] {
        if let Some(images) = read(read_images(&path, part, &fits)) {
            let pixels: usize = images.shape.iter().product();
            assert_eq!(images.count() * pixels.max(1), images.pixels.len());
        }
        read(read_labels(&path, part, 100));
    }
}

/// Reads an archive of two arrays, stored or deflated, which are the two halves of the bytes.
pub fn archives(bytes: &[u8]) {
    arrays(bytes);
    let Some((&head, rest)) = bytes.split_first() else {
        return;
    };
    let (method, middle) = match head % 2 {
        0 => (CompressionMethod::Stored, usize::from(head)),
        _ => (CompressionMethod::Deflated, rest.len() / 2),
    };
    let (images, labels) = rest.split_at(middle.min(rest.len()));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, entry) in [("x_test.npy", images), ("y_test.npy", labels)] {
        archive.start_file(name, options).expect("an entry");
        archive.write_all(entry).expect("written");
    }
    arrays(&archive.finish().expect("an archive").into_inner());
}

/// Reads a model.json beside the weights of a built-in model, the one whose weights it names, runs
/// what reads in the clear, and compiles it for the server.
pub fn model(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let sources = EMBEDDED.iter().map(Source::Embedded);
    let mut files = sources.map(|source| {
        let names = ["weights.bin", "test-images.npy", "test-labels.npy"];
        names.map(|name| {
            let file = source.read(name, u64::MAX).expect("built in");
            (name.to_owned(), file.into_owned())
        })
    });
    let named = files.find(|files| {
        let (_, weights) = &files[0];
        text.contains(&splitbench::core::digest::hex_digest(weights))
    });
    let named = named.into_iter().flatten();
    let json = ("model.json".to_owned(), bytes.to_vec());
    let source = Source::Memory(named.chain([json]).collect());
    if let Some(model) = read(Model::read(&source)) {
        run(&model);
    }
}

#[cfg(not(feature = "engine"))]
fn run(_model: &Model) {}

/// Reads a results log: as it is, and as the records of a sound one; what tables follow from it is
/// derived.
pub fn log(bytes: &[u8]) {
    log_text(bytes);
    let mut chain = Chain::default();
    let lines = bytes
        .split(|&byte| byte == b'\n')
        .map(String::from_utf8_lossy);
    let sealed: String = lines.map(|line| chain.seal(&line)).collect();
    log_text(sealed.as_bytes());
}

fn log_text(text: &[u8]) {
    let folder = Folder::with(log::FILE_NAME, text);
    read(Damage::find(folder.0.path()));
    let Some(records) = read(log::read(folder.0.path())) else {
        return;
    };
    if let Some(Record::Settings(settings)) = records.first()
        && settings.model_digest == mlp().digest
    {
        let granularity = settings.granularity;
        Tables::derive(
            settings,
            &mlp().clone().with_granularity(granularity),
            &records,
        );
    }
}

fn mlp() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| Model::read(&Source::Embedded(&EMBEDDED[1])).expect("built in"))
}
