//! The client: float layers, the secret key, encryption and decryption.
//!
//! It holds only its own layers, and of the server's segments only their interfaces.

use crate::circuit::interface::{Form, Interface};
use crate::circuit::key_kind::KeyKind;
use crate::core::error::{Error, Result};
use crate::core::linear_map::Row;
use crate::core::placement::{Party, Placement, SegmentIndex};
use crate::fhe::cipher::{self, SeededCiphertexts};
use crate::fhe::keys::SecretKey;
use crate::fhe::parameters::ParameterSet;
use crate::fhe::zero::public_zeros;
use crate::model::values::Values;
use crate::model::{Input, Model, Node, NodeId};
use crate::party::ciphertext::LweCiphertext;
use crate::party::seeded_key::SeededKey;

/// The party that owns the data.
pub struct Client {
    input: Input,
    /// Its nodes; `None` where the server runs one.
    nodes: Vec<Option<Node>>,
    /// One per server segment.
    segments: Vec<ServerSegment>,
    keys: Vec<SecretKey>,
}

/// What the client knows of a server segment.
struct ServerSegment {
    interface: Interface,
    /// Index of its secret key.
    key: usize,
}

impl Client {
    /// Returns the client of a placement, with a secret key for each parameter set of its server
    /// segments.
    pub fn new(
        model: &Model,
        placement: &Placement,
        segments: Vec<(Interface, ParameterSet)>,
    ) -> Self {
        Self::of_nodes(model, placement).with_keys(segments)
    }

    /// Returns the client of a placement without keys.
    pub fn of_nodes(model: &Model, placement: &Placement) -> Self {
        let layers = model.layers.iter().zip(placement.parties());
        let nodes = layers.flat_map(|(layer, party)| {
            model.nodes[layer.nodes.clone()]
                .iter()
                .map(move |node| (*party == Party::Client).then(|| node.clone()))
        });
        Self {
            input: model.input.clone(),
            nodes: nodes.collect(),
            segments: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Returns the client with a secret key for each parameter set of the server segments.
    pub fn with_keys(self, segments: Vec<(Interface, ParameterSet)>) -> Self {
        let mut keys: Vec<SecretKey> = Vec::new();
        let segments = segments
            .into_iter()
            .map(|(interface, parameters)| {
                let known = keys.iter().position(|key| *key.parameters() == parameters);
                let key = known.unwrap_or_else(|| {
                    keys.push(SecretKey::generate(parameters));
                    keys.len() - 1
                });
                ServerSegment { interface, key }
            })
            .collect();
        Self {
            segments,
            keys,
            ..self
        }
    }

    fn segment(&self, segment: SegmentIndex) -> &ServerSegment {
        &self.segments[segment.index()]
    }

    /// Returns what it knows of a server segment.
    pub fn interface(&self, segment: SegmentIndex) -> &Interface {
        &self.segment(segment).interface
    }

    /// Returns the parameters of a server segment.
    pub fn parameters(&self, segment: SegmentIndex) -> &ParameterSet {
        self.keys[self.segment(segment).key].parameters()
    }

    /// Makes a key from one of its secret keys.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where no segment has that parameter set.
    pub fn make(&self, kind: &KeyKind) -> Result<SeededKey> {
        Ok(match kind {
            KeyKind::Evaluation(parameters) => {
                SeededKey::Evaluation(self.key(parameters)?.evaluation_key())
            }
            KeyKind::Packing(parameters, packing) => {
                SeededKey::Packing(self.key(parameters)?.packing_key(*packing))
            }
            KeyKind::Zeros(parameters) => SeededKey::Zeros(public_zeros(self.key(parameters)?)),
        })
    }

    fn key(&self, parameters: &ParameterSet) -> Result<&SecretKey> {
        self.keys
            .iter()
            .find(|key| key.parameters() == parameters)
            .ok_or_else(|| Error::Message(format!("the client has no key for {parameters}")))
    }

    /// Returns the network's float input for an image of integers.
    pub fn read_image(&self, image: &[u8]) -> Vec<Row<f32>> {
        image
            .iter()
            .enumerate()
            .map(|(element, &pixel)| vec![self.input.real(element, pixel)].into())
            .collect()
    }

    /// Runs one of its nodes on the values that it reads.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] that names a node which gives no number for them.
    ///
    /// # Panics
    ///
    /// Panics where the node is the server's.
    pub fn run_node(&self, node: NodeId, values: &Values) -> Result<Vec<Row<f32>>> {
        let Some(node) = &self.nodes[node.index()] else {
            panic!("node {} is the server's", node.index());
        };
        let made = node.operation.run_float(&values.of(&node.inputs));
        if made.iter().flatten().any(|value| value.is_nan()) {
            let place = format!("layer {:?}", node.name);
            return Err(Error::invalid(place, "gives no number for this input"));
        }
        Ok(made)
    }

    /// Quantises a value for an upload of a server segment.
    pub fn quantise(&self, segment: SegmentIndex, upload: usize, value: &[Row<f32>]) -> Vec<i64> {
        let quantisation = &self.interface(segment).uploads[upload].quantisation;
        let elements = value.iter().enumerate();
        elements
            .map(|(element, row)| quantisation.quantise(element, f64::from(row[0])))
            .collect()
    }

    /// Encrypts integers for an upload of a server segment.
    pub fn encrypt(
        &self,
        segment: SegmentIndex,
        upload: usize,
        integers: &[i64],
    ) -> SeededCiphertexts {
        let ServerSegment { interface, key } = self.segment(segment);
        cipher::encrypt(
            &self.keys[*key],
            &interface.uploads[upload].phases(integers),
        )
    }

    /// Decrypts a download of a server segment to integers.
    pub fn decrypt(&self, segment: SegmentIndex, download: usize, rows: &[Row<u64>]) -> Vec<i64> {
        let ServerSegment { interface, key } = self.segment(segment);
        let (key, download) = (&self.keys[*key], &interface.downloads[download]);
        match &download.form {
            Form::Lwe => {
                let phases = cipher::decrypt(key, rows);
                phases
                    .into_iter()
                    .map(|phase| download.decode(phase))
                    .collect()
            }
            Form::Glwe(ciphertexts) => {
                let mut integers = vec![0; download.scales.len()];
                for (row, elements) in rows.iter().zip(ciphertexts) {
                    let coefficients: Vec<usize> =
                        elements.iter().map(|&(_, c)| c as usize).collect();
                    let phases = cipher::decrypt_packed(key, row, &coefficients);
                    for (&(element, _), phase) in elements.iter().zip(phases) {
                        integers[element as usize] = download.decode(phase);
                    }
                }
                integers
            }
        }
    }

    /// Returns the phases of LWE ciphertexts under a segment's key, noise included.
    pub fn decrypt_phases(&self, segment: SegmentIndex, rows: &[LweCiphertext]) -> Vec<u64> {
        cipher::decrypt(&self.keys[self.segment(segment).key], rows)
    }

    /// Returns the float activation that a segment's integers stand for.
    pub fn dequantise(
        &self,
        segment: SegmentIndex,
        download: usize,
        integers: &[i64],
    ) -> Vec<Row<f32>> {
        let scales = &self.interface(segment).downloads[download].scales;
        integers
            .iter()
            .zip(scales)
            .map(|(&integer, scale)| vec![(integer as f64 * scale) as f32].into())
            .collect()
    }
}
