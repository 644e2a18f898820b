//! The client: float layers, the secret key, encryption and decryption.
//!
//! It holds only its own layers, and of the server's segments only their interfaces.

use crate::error::{Error, Result};
use crate::fhe::cipher::{self, SeededCiphertexts};
use crate::fhe::keys::{SecretKey, SeededEvaluationKey};
use crate::fhe::pack::{PackingDecomposition, SeededPackingKey};
use crate::fhe::parameters::ParameterSet;
use crate::layer::Layer;
use crate::linear_map::Row;
use crate::model::{Input, Model};
use crate::placement::{Party, Placement};
use crate::program::{Form, Interface};

/// The party that owns the data.
pub struct Client {
    input: Input,
    /// Its layers; `None` where the server runs one.
    layers: Vec<Option<Layer>>,
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
        let layers = model.layers.iter().zip(placement.parties());
        let mut keys: Vec<SecretKey> = Vec::new();
        let segments = segments.into_iter().map(|(interface, parameters)| {
            let known = keys.iter().position(|key| *key.parameters() == parameters);
            let key = known.unwrap_or_else(|| {
                keys.push(SecretKey::generate(parameters));
                keys.len() - 1
            });
            ServerSegment { interface, key }
        });
        Self {
            input: model.input.clone(),
            layers: layers
                .map(|(layer, party)| (*party == Party::Client).then(|| layer.clone()))
                .collect(),
            segments: segments.collect(),
            keys,
        }
    }

    /// Generates the evaluation key of one of its secret keys.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where no segment has that parameter set.
    pub fn evaluation_key(&self, parameters: &ParameterSet) -> Result<SeededEvaluationKey> {
        self.key(parameters).map(SecretKey::evaluation_key)
    }

    /// Generates a packing key of one of its secret keys.
    ///
    /// # Errors
    ///
    /// As [`Self::evaluation_key`].
    pub fn packing_key(
        &self,
        parameters: &ParameterSet,
        packing: PackingDecomposition,
    ) -> Result<SeededPackingKey> {
        self.key(parameters).map(|key| key.packing_key(packing))
    }

    fn key(&self, parameters: &ParameterSet) -> Result<&SecretKey> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.parameters() == parameters)
            .ok_or_else(|| Error::Message(format!("the client has no key for {parameters}")))
    }

    /// Returns the network's float input for an image of integers.
    pub fn read_image(&self, image: &[u8]) -> Vec<Row<f32>> {
        let scale = self.input.scale as f32;
        image
            .iter()
            .map(|&pixel| vec![f32::from(pixel) * scale].into())
            .collect()
    }

    /// Runs one of its layers.
    ///
    /// # Panics
    ///
    /// Panics where the layer is the server's.
    pub fn run_layer(&self, layer: usize, input: Vec<Row<f32>>) -> Vec<Row<f32>> {
        let Some(layer) = &self.layers[layer] else {
            panic!("layer {layer} is the server's");
        };
        layer.run_float(input)
    }

    /// Quantises an activation for a server segment.
    pub fn quantise(&self, segment: usize, activation: &[Row<f32>]) -> Vec<i64> {
        let quantisation = self.segments[segment].interface.upload.quantisation;
        activation
            .iter()
            .map(|row| quantisation.quantise(f64::from(row[0])))
            .collect()
    }

    /// Encrypts integers for a server segment.
    pub fn encrypt(&self, segment: usize, integers: &[i64]) -> SeededCiphertexts {
        let ServerSegment { interface, key } = &self.segments[segment];
        cipher::encrypt(&self.keys[*key], &interface.upload.phases(integers))
    }

    /// Decrypts a server segment's answer to integers.
    pub fn decrypt(&self, segment: usize, rows: &[Row<u64>]) -> Vec<i64> {
        let ServerSegment { interface, key } = &self.segments[segment];
        let (key, download) = (&self.keys[*key], &interface.download);
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
    pub fn decrypt_phases(&self, segment: usize, rows: &[Row<u64>]) -> Vec<u64> {
        cipher::decrypt(&self.keys[self.segments[segment].key], rows)
    }

    /// Returns the float activation that a segment's integers stand for.
    pub fn dequantise(&self, segment: usize, integers: &[i64]) -> Vec<Row<f32>> {
        let scales = &self.segments[segment].interface.download.scales;
        integers
            .iter()
            .zip(scales)
            .map(|(&integer, scale)| vec![(integer as f64 * scale) as f32].into())
            .collect()
    }
}
