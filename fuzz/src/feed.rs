//! What other people's bytes are fed to, one function for each fuzz target.
//!
//! Each reads any bytes, or refuses them in one readable line; it never panics. `tests/corpus.rs` feeds
//! the corpus to the same functions.

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use splitbench::circuit::compile::{Target, compile_placement};
use splitbench::circuit::program::Program;
use splitbench::core::error::{Error, Result};
use splitbench::core::foreign::line;
use splitbench::core::placement::{Party, Placement};
use splitbench::fhe::keys::SecretKey;
use splitbench::fhe::pack::PackingDecomposition;
use splitbench::fhe::parameters::ParameterSet;
use splitbench::fhe::zero::public_zeros;
use splitbench::import::data::{Part, read_images, read_labels};
use splitbench::import::read_network_bytes;
use splitbench::model::Model;
use splitbench::model::source::{EMBEDDED, Source};
use splitbench::oracle::simulation::simulate;
use splitbench::party::client::Client;
use splitbench::party::inference::{PhaseTimes, Route, infer, serve};
use splitbench::party::server::{Extent, Server};
use splitbench::party::wire::{ZERO_BYTES, write_upload};
use splitbench::record::log::line::Chain;
use splitbench::record::log::recover::Damage;
use splitbench::record::log::{self, Record};
use splitbench::record::results::Tables;
use splitbench::record::settings::Settings;
use splitbench::record::step_noise::StepNoise;
use splitbench::sweep::settings::Overrides;
use tempfile::TempDir;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// What takes any bytes.
pub type Feed = fn(&[u8]);

/// Every target by name, which is also its folder of the corpus.
pub const FEEDS: [(&str, Feed); 9] = [
    ("onnx", onnx),
    ("arrays", arrays),
    ("archives", archives),
    ("model", model),
    ("log", log),
    ("splits", splits),
    ("upload", upload),
    ("download", download),
    ("key", key),
];

/// The longest refusal.
const MOST_LETTERS: usize = 2000;
/// Pixels of an image that is read.
const MOST_PIXELS: usize = 1 << 12;
/// Multiplications of a network that is run and compiled.
const MOST_MULTIPLICATIONS: usize = 5000;
/// Look-ups of each step that are done on a message that conforms.
const BATCH: usize = 1;

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
    let Some(model) = read(Model::read(&source)) else {
        return;
    };
    let all = |party| Placement::uniform(party, model.layer_count());
    // What computes much is not worth a second of the fuzzer's each time.
    if model.multiplication_count() > MOST_MULTIPLICATIONS {
        return;
    }
    simulate(&model, &all(Party::Client), &[], &[0], None);
    read(compile_placement(
        &model,
        &all(Party::Server),
        &Target::usual(),
    ));
}

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

/// Reads a split file, and settles what it says for a small model.
pub fn splits(bytes: &[u8]) {
    let folder = Folder::with("splits.json", bytes);
    let overrides = Overrides {
        splits: Some(folder.path("splits.json")),
        model: Some(PathBuf::from("digits-mlp")),
        // To find one takes a second.
        step_noise: Some(StepNoise::Share(0.5)),
        ..Overrides::default()
    };
    read(Settings::resolve(overrides, &|_| ()));
}

/// A smallest exchange: a linear segment, and one of look-ups.
struct Exchange {
    programs: Vec<std::sync::Arc<Program>>,
    route: Route,
    client: Client,
    server: Server,
    image: Vec<u8>,
    /// The uploads and downloads of each segment, as they are.
    uploads: Vec<Vec<Vec<u8>>>,
    downloads: Vec<Vec<Vec<u8>>>,
    classes: usize,
}

fn mlp() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| Model::read(&Source::Embedded(&EMBEDDED[1])).expect("built in"))
}

fn exchange() -> &'static Exchange {
    static EXCHANGE: OnceLock<Exchange> = OnceLock::new();
    EXCHANGE.get_or_init(|| {
        let model = mlp();
        let placement: Placement = "CSC".parse().expect("letters");
        let programs = compile_placement(model, &placement, &Target::usual()).expect("programs");
        let interfaces = programs.iter().map(|p| (p.interface.clone(), p.parameters));
        let client = Client::new(model, &placement, interfaces.collect());
        let mut server = Server::new(&programs);
        for program in &programs {
            let key = client.evaluation_key(&program.parameters).expect("a key");
            let bytes = key.to_bytes();
            server
                .receive_key(&bytes, &program.parameters)
                .expect("fits");
        }
        let mut exchange = Exchange {
            route: Route::of(model, &placement),
            image: model.test.image(0).to_vec(),
            programs,
            client,
            server,
            uploads: Vec::new(),
            downloads: Vec::new(),
            classes: 0,
        };
        let (mut uploads, mut downloads) = (Vec::new(), Vec::new());
        let classes = exchange.run(&mut |segment, sent| {
            uploads.push(sent.clone());
            let received = exchange.serve(segment, &sent)?;
            downloads.push(received.clone());
            Ok(received)
        });
        exchange.classes = classes.expect("an inference");
        (exchange.uploads, exchange.downloads) = (uploads, downloads);
        exchange
    })
}

impl Exchange {
    fn run(
        &self,
        exchange: &mut dyn FnMut(usize, Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>>,
    ) -> Result<usize> {
        let inference = infer(&self.client, &self.route, &self.image, exchange)?;
        Ok(inference.logits.len())
    }

    fn serve(&self, segment: usize, uploads: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let mut times = PhaseTimes::default();
        let (program, extent) = (&self.programs[segment], Extent::Batch(BATCH));
        let advance = |_, _| ();
        let served = serve(
            &self.server,
            segment,
            program,
            uploads,
            &mut times,
            extent,
            &advance,
        )?;
        Ok(served.downloads)
    }
}

/// Returns a message as the bytes change it: two give a change of its length, and five each a
/// place and what stands there.
fn edited(message: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let (length, edits) = edits.split_at(edits.len().min(2));
    let change = match length {
        &[low, high] => isize::from(i16::from_le_bytes([low, high])),
        _ => 0,
    };
    let changed = message.len().saturating_add_signed(change);
    message.resize(changed, 0);
    for edit in edits.chunks_exact(5) {
        let place = u32::from_le_bytes([edit[0], edit[1], edit[2], edit[3]]) as usize;
        let count = message.len().max(1);
        if let Some(byte) = message.get_mut(place % count) {
            *byte = edit[4];
        }
    }
    message
}

/// Gives the server an upload that is changed, or no upload at all.
pub fn upload(bytes: &[u8]) {
    let exchange = exchange();
    for (segment, uploads) in exchange.uploads.iter().enumerate() {
        let edited: Vec<_> = uploads.iter().map(|upload| edited(upload, bytes)).collect();
        let downloads = read(exchange.serve(segment, &edited));
        let conforms = edited.iter().zip(uploads).all(|(a, b)| a.len() == b.len());
        assert!(conforms || downloads.is_none(), "of another length");
        read(exchange.serve(segment, &[bytes.to_vec()]));
    }
}

/// Gives the client answers that are changed, or none.
pub fn download(bytes: &[u8]) {
    let exchange = exchange();
    let classes = read(exchange.run(&mut |segment, _| {
        let downloads = exchange.downloads[segment].iter();
        Ok(downloads.map(|download| edited(download, bytes)).collect())
    }));
    assert!(classes.is_none_or(|classes| classes == exchange.classes));
    read(exchange.run(&mut |_, _| Ok(vec![bytes.to_vec()])));
}

/// Gives the server a key that is changed: an evaluation key, a packing key, encryptions of zero.
pub fn key(bytes: &[u8]) {
    type Keys = (ParameterSet, PackingDecomposition, [Vec<u8>; 3]);
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let (parameters, packing, keys) = KEYS.get_or_init(|| {
        let parameters = ParameterSet::fast().expect("a set");
        let key = SecretKey::generate(parameters);
        let packing = PackingDecomposition::candidates(&parameters, 10).next();
        let packing = packing.expect("a decomposition");
        let keys = [
            key.evaluation_key().to_bytes(),
            key.packing_key(packing).to_bytes(),
            write_upload(&public_zeros(&key), ZERO_BYTES),
        ];
        (parameters, packing, keys)
    });
    let Some((&kind, edits)) = bytes.split_first() else {
        return;
    };
    let mut server = Server::new(&[]);
    let message = edited(&keys[usize::from(kind) % keys.len()], edits);
    let received = match usize::from(kind) % keys.len() {
        0 => server.receive_key(&message, parameters),
        1 => server.receive_packing_key(&message, parameters, *packing),
        _ => server.receive_zeros(&message, parameters),
    };
    let is_received = read(received).is_some();
    let conforms = message.len() == keys[usize::from(kind) % keys.len()].len();
    assert!(conforms || !is_received, "of another length");
}
