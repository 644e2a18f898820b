//! What a placement does, counted from its programs: the work behind each measured figure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fit::Work;
use crate::circuit::analysis::Term;
use crate::circuit::interface::{DownloadEncoding, Form};
use crate::circuit::key_kind::{KeyKind, key_parameters};
use crate::circuit::program::{Action, Program};
use crate::core::placement::{Party, Placement};
use crate::fhe::bootstrap::batches;
use crate::fhe::parameters::ParameterSet;
use crate::fhe::zero::zero_sizes;
use crate::model::Model;
use crate::model::layer::Operation;
use crate::party::wire::{self, ZERO_BYTES};
use crate::plan::memory_need::held_bytes;
use crate::record::cost_model::CostModel;

/// A measured figure of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    ClientCompute,
    Encrypt,
    Serialise,
    /// A server layer, by its index.
    Layer(usize),
    /// What the server does beside its layers.
    Messages,
    Deserialise,
    Decrypt,
    /// Between the phases of an inference.
    Between,
    KeyGeneration,
    KeyTransfer,
    ClientMemory,
    ServerMemory,
}

/// What a placement does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Done {
    pub work: BTreeMap<Figure, Work>,
    pub upload_bytes: u64,
    pub download_bytes: u64,
    pub evaluation_key_bytes: u64,
    pub parameter_sets: Vec<ParameterSet>,
}

/// Core-seconds of a weight on a coefficient.
const COEFFICIENT_S: f64 = 1e-10;
/// Core-seconds of a product of two polynomials, for each coefficient.
const POLYNOMIAL_S: f64 = 2e-8;
/// Seconds of taking a coefficient of a packed ciphertext out as an LWE ciphertext, for each of its
/// own coefficients.
const EXTRACT_S: f64 = 5e-10;

/// Counts what a placement does with its programs on so many threads.
///
/// Work in processes that hold no evaluation key, or encrypt nothing, is of kinds of its own: what
/// the memory allocator returns to the system there, it takes anew for each inference.
pub fn count(
    model: &Model,
    placement: &Placement,
    programs: &[Arc<Program>],
    cost: &CostModel,
    threads: usize,
) -> Done {
    let mut done = Done {
        parameter_sets: sets(programs),
        ..Done::default()
    };
    let keyed = match (programs.is_empty(), key_parameters(programs).is_empty()) {
        (true, _) => "clear",
        (false, true) => "keyless",
        (false, false) => "keyed",
    };
    done.count_client(model, placement, keyed);
    for program in programs {
        done.count_messages(model, program, keyed);
        done.count_steps(model, program, cost, threads, keyed);
    }
    done.count_keys(programs);
    done.count_memory(model, placement, programs);
    done
}

fn sets(programs: &[Arc<Program>]) -> Vec<ParameterSet> {
    let mut sets: Vec<ParameterSet> = Vec::new();
    for program in programs {
        if !sets.contains(&program.parameters) {
            sets.push(program.parameters);
        }
    }
    sets
}

/// Returns the shape of a set's GLWE ciphertexts, as part of a name.
fn shape(parameters: &ParameterSet) -> String {
    let literal = parameters.literal();
    format!("k{}-N{}", literal.glwe_dimension, literal.polynomial_size)
}

impl Done {
    fn of(&mut self, figure: Figure) -> &mut Work {
        self.work.entry(figure).or_default()
    }

    fn count_client(&mut self, model: &Model, placement: &Placement, keyed: &str) {
        let work = self.of(Figure::ClientCompute);
        work.add(format!("reading {keyed}"), 1.0, 1e-5);
        for (layer, party) in model.layers.iter().zip(placement.parties()) {
            if *party == Party::Server {
                continue;
            }
            for node in &model.nodes[layer.nodes.clone()] {
                let multiplications = match &node.operation {
                    Operation::Linear(linear) => linear.map.multiplication_count(),
                    _ => 0,
                };
                let prior = 1e-9 * multiplications as f64 + 3e-8 * node.output_count() as f64;
                work.add(format!("client-layer {} {keyed}", node.name), 1.0, prior);
            }
        }
        self.of(Figure::Between)
            .add(format!("between {keyed}"), 1.0, 1e-7);
    }

    fn count_messages(&mut self, model: &Model, program: &Program, keyed: &str) {
        let parameters = &program.parameters;
        let shape = shape(parameters);
        let polynomial = parameters.literal().polynomial_size as f64;
        let mut messages = 0.0;
        let mut bytes = 0.0;
        for upload in &program.interface.uploads {
            let ciphertexts = upload.layout.lengths.len() as f64;
            let elements = upload.layout.places.len() as f64;
            let encrypt = self.of(Figure::Encrypt);
            encrypt.add(format!("encrypt {shape} {keyed}"), ciphertexts, 2e-4);
            encrypt.add(format!("quantise {keyed}"), elements, 1e-8);
            let rest = self.of(Figure::Messages);
            rest.add(
                format!("expand {shape} {keyed}"),
                ciphertexts,
                polynomial * 1e-8,
            );
            let sent = wire::upload_bytes(&upload.layout.lengths, upload.bytes);
            self.upload_bytes += sent;
            bytes += sent as f64;
            messages += 1.0;
        }
        for download in &program.interface.downloads {
            self.count_download(model, download, program, keyed);
            let sizes = download.ciphertext_sizes(parameters);
            let received = wire::download_bytes(&sizes, download.bytes);
            self.download_bytes += received;
            bytes += received as f64;
            messages += 1.0;
        }
        for (figure, verb) in [(Figure::Serialise, "write"), (Figure::Deserialise, "read")] {
            let work = self.of(figure);
            work.add(format!("{verb}-message {keyed}"), messages, 5e-6);
            work.add(format!("{verb}-bytes {keyed}"), bytes, 1.5e-9);
        }
        self.of(Figure::Messages)
            .add(format!("segment {keyed}"), 1.0, 1e-5);
        self.of(Figure::Between)
            .add(format!("between-segment {keyed}"), 1.0, 1e-6);
    }

    fn count_download(
        &mut self,
        model: &Model,
        download: &DownloadEncoding,
        program: &Program,
        keyed: &str,
    ) {
        let parameters = &program.parameters;
        let elements = download.scales.len() as f64;
        let big = parameters.big_size() as f64;
        let decrypt = self.of(Figure::Decrypt);
        match &download.form {
            Form::Lwe => decrypt.add(format!("decrypt {keyed}"), elements * big, 1e-10),
            Form::Glwe(ciphertexts) => {
                // How the memory for taking coefficients out is come by is no matter of their count.
                let node = &model.node(download.node).name;
                let name = format!("decrypt-packed {node} {} {keyed}", shape(parameters));
                for ciphertext in ciphertexts {
                    let extracted = ciphertext.len() as f64 * big;
                    decrypt.add(name.clone(), extracted.min(64.0 * big), EXTRACT_S);
                }
            }
        }
        if download.packing.is_some() {
            let name = format!("pack {}", shape(parameters));
            self.of(Figure::Messages).add(name, elements, 1e-3);
        }
    }

    fn count_steps(
        &mut self,
        model: &Model,
        program: &Program,
        cost: &CostModel,
        threads: usize,
        keyed: &str,
    ) {
        let parameters = &program.parameters;
        let big = parameters.big_size() as f64;
        let uploads = program.interface.uploads.len();
        for step in &program.steps {
            let names: Vec<&str> = step
                .composed
                .iter()
                .chain([&step.node])
                .map(|&node| model.node(node).name.as_str())
                .collect();
            let name = names.join("+");
            let from_client = step.inputs.iter().any(|&slot| slot < uploads);
            let work = self.of(Figure::Layer(model.layer_of(step.node)));
            match &step.action {
                Action::Linear(linear) => match &linear.packing {
                    Some(packing) => {
                        let products: usize = packing.products.iter().map(Vec::len).sum();
                        let size = parameters.literal().polynomial_size as f64;
                        let prior = products as f64 * size * POLYNOMIAL_S / threads as f64;
                        let shape = shape(parameters);
                        work.add(format!("packed {name} {shape} {keyed}"), 1.0, prior);
                    }
                    None => {
                        let weights: usize = linear.weights.terms.iter().map(weight_count).sum();
                        let prior = weights as f64 * big * COEFFICIENT_S / threads as f64;
                        let place = if from_client { "first" } else { "inner" };
                        work.add(format!("linear {name} {place} {keyed}"), 1.0, prior);
                    }
                },
                Action::LookUp(look_up) => {
                    let elements = look_up.sigma.len();
                    let (rounds, batch) = batches(elements, threads);
                    let family = family(parameters);
                    let core_s = cost.look_up_core_s(parameters);
                    // In units of the cost model, so that sets of a family that differ in n share
                    // what is measured.
                    let modelled = (rounds * batch) as f64 * core_s / 1e-3;
                    work.add(format!("look-ups {family}"), modelled, 1e-3);
                    work.add(format!("look-up-rounds {family}"), rounds as f64, 2e-4);
                    if from_client {
                        work.add("extract", elements as f64 * big, EXTRACT_S / threads as f64);
                    }
                }
            }
        }
    }

    fn count_keys(&mut self, programs: &[Arc<Program>]) {
        if programs.is_empty() {
            return;
        }
        let mut bytes = 0;
        let (mut made, mut moved) = (Work::default(), Work::default());
        for kind in KeyKind::needed(programs) {
            let (made_as, of_key) = match &kind {
                KeyKind::Evaluation(parameters) => {
                    bytes += add_key(&mut made, &mut moved, parameters);
                    continue;
                }
                KeyKind::Packing(parameters, packing) => (
                    format!("make-packing-key {}", shape(parameters)),
                    packing.key_bytes(parameters),
                ),
                KeyKind::Zeros(parameters) => (
                    format!("make-zeros {}", shape(parameters)),
                    wire::upload_bytes(&zero_sizes(parameters), ZERO_BYTES),
                ),
            };
            made.add(made_as, of_key as f64, 4e-8);
            moved.add("move-key", of_key as f64, 4e-8);
            bytes += of_key;
        }
        made.add("make-secret-key", self.parameter_sets.len() as f64, 2e-5);
        self.work.insert(Figure::KeyGeneration, made);
        if bytes > 0 {
            self.work.insert(Figure::KeyTransfer, moved);
        }
        self.evaluation_key_bytes = bytes;
    }

    fn count_memory(&mut self, model: &Model, placement: &Placement, programs: &[Arc<Program>]) {
        let keys = key_parameters(programs);
        let largest = keys.iter().map(ParameterSet::evaluation_key_bytes).max();
        let fraction = model.client_weight_share(placement).unwrap_or(0.0);
        let parameters: usize = model.layers.iter().map(|layer| layer.parameter_count).sum();
        let messages = (self.upload_bytes + self.download_bytes) as f64;
        let client = self.of(Figure::ClientMemory);
        client.add("client-process", 1.0, 7.5e6);
        if !programs.is_empty() {
            client.add("client-encrypts", 1.0, 1e6);
        }
        client.add("client-parameters", fraction * parameters as f64, 4.0);
        client.add("client-key-bytes", largest.unwrap_or(0) as f64, 2.0);
        client.add("client-message-bytes", messages, 2.0);
        if !programs.is_empty() {
            let held = held_bytes(programs) as f64;
            let server = self.of(Figure::ServerMemory);
            server.add("server-process", 1.0, 1e7);
            server.add("server-held", held, 1.0);
            server.add("server-message-bytes", messages, 2.0);
        }
    }
}

/// Adds the work of making an evaluation key and of handing it over; returns its bytes.
pub fn add_key(made: &mut Work, moved: &mut Work, parameters: &ParameterSet) -> u64 {
    let bytes = parameters.evaluation_key_bytes();
    made.add(
        format!("make-key {}", family(parameters)),
        bytes as f64,
        4e-8,
    );
    moved.add("move-key", bytes as f64, 4e-8);
    bytes
}

/// Returns what look-ups of a set have in common with those of other n.
fn family(parameters: &ParameterSet) -> String {
    let levels = parameters.literal().bootstrap_levels;
    format!("{}-l{levels}", shape(parameters))
}

fn weight_count(term: &Term) -> usize {
    match term {
        Term::Matrix(map) => map.multiplication_count(),
        Term::Scale(factors) => factors.len(),
    }
}
