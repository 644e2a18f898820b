//! What is fed to the engine: split files, networks that read, messages and keys.

use std::path::PathBuf;
use std::sync::OnceLock;

use splitbench::circuit::compile::{Target, compile_placement};
use splitbench::circuit::key_kind::KeyKind;
use splitbench::circuit::program::Program;
use splitbench::core::error::Result;
use splitbench::core::placement::{Party, Placement, SegmentIndex};
use splitbench::fhe::keys::SecretKey;
use splitbench::fhe::pack::PackingDecomposition;
use splitbench::fhe::parameters::ParameterSet;
use splitbench::fhe::zero::public_zeros;
use splitbench::model::Model;
use splitbench::oracle::simulation::simulate;
use splitbench::party::client::Client;
use splitbench::party::inference::{PhaseTimes, Route, infer, serve};
use splitbench::party::seeded_key::SeededKey;
use splitbench::party::server::{Extent, Server};
use splitbench::record::settings::Settings;
use splitbench::record::step_noise::StepNoise;
use splitbench::sweep::Overrides;

use super::{Folder, mlp, read};

/// Multiplications of a network that is run and compiled.
const MOST_MULTIPLICATIONS: usize = 5000;
/// Look-ups of each step that are done on a message that conforms.
const BATCH: usize = 1;

/// Runs in the clear what reads, and compiles it for the server.
pub fn run(model: &Model) {
    let all = |party| Placement::uniform(party, &model.pins());
    // What computes much is not worth a second of the fuzzer's each time.
    if model.multiplication_count() > MOST_MULTIPLICATIONS {
        return;
    }
    simulate(model, &all(Party::Client), &[], &[0], None);
    read(compile_placement(
        model,
        &all(Party::Server),
        &Target::usual(),
    ));
}

/// Reads a split file, and settles what it says for a small model.
pub fn splits(bytes: &[u8]) {
    let folder = Folder::with("splits.json", bytes);
    let overrides = Overrides {
        splits: Some(folder.path("splits.json")),
        model: Some(PathBuf::from("digits-mlp")),
        // To find one takes a second.
        step_noise: Some(StepNoise::Fraction(0.5)),
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

fn exchange() -> &'static Exchange {
    static EXCHANGE: OnceLock<Exchange> = OnceLock::new();
    EXCHANGE.get_or_init(|| {
        let model = mlp();
        let placement: Placement = "CSC".parse().expect("letters");
        let programs = compile_placement(model, &placement, &Target::usual()).expect("programs");
        let interfaces = programs.iter().map(|p| (p.interface.clone(), p.parameters));
        let client = Client::new(model, &placement, interfaces.collect());
        let mut server = Server::new(&programs);
        for kind in KeyKind::needed(&programs) {
            let key = client.make(&kind).expect("a key");
            server.receive(&kind, &key.to_bytes()).expect("fits");
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
        exchange: &mut dyn FnMut(SegmentIndex, Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>>,
    ) -> Result<usize> {
        let inference = infer(&self.client, &self.route, &self.image, exchange)?;
        Ok(inference.logits.len())
    }

    fn serve(&self, segment: SegmentIndex, uploads: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let mut times = PhaseTimes::default();
        let (program, extent) = (&self.programs[segment.index()], Extent::Batch(BATCH));
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
    for (index, uploads) in exchange.uploads.iter().enumerate() {
        let segment = SegmentIndex::new(index);
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
        let downloads = exchange.downloads[segment.index()].iter();
        Ok(downloads.map(|download| edited(download, bytes)).collect())
    }));
    assert!(classes.is_none_or(|classes| classes == exchange.classes));
    read(exchange.run(&mut |_, _| Ok(vec![bytes.to_vec()])));
}

/// Gives the server a key that is changed: an evaluation key, a packing key, encryptions of zero.
pub fn key(bytes: &[u8]) {
    static KEYS: OnceLock<[(KeyKind, Vec<u8>); 3]> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let parameters = ParameterSet::fast().expect("a set");
        let key = SecretKey::generate(parameters);
        let packing = PackingDecomposition::candidates(&parameters, 10).next();
        let packing = packing.expect("a decomposition");
        let zeros = SeededKey::Zeros(public_zeros(&key));
        [
            (
                KeyKind::Evaluation(parameters),
                key.evaluation_key().to_bytes(),
            ),
            (
                KeyKind::Packing(parameters, packing),
                key.packing_key(packing).to_bytes(),
            ),
            (KeyKind::Zeros(parameters), zeros.to_bytes()),
        ]
    });
    let Some((&kind, edits)) = bytes.split_first() else {
        return;
    };
    let mut server = Server::new(&[]);
    let (kind, key) = &keys[usize::from(kind) % keys.len()];
    let message = edited(key, edits);
    let is_received = read(server.receive(kind, &message)).is_some();
    let conforms = message.len() == key.len();
    assert!(conforms || !is_received, "of another length");
}
