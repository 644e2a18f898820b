//! The client: float layers, the secret key, encryption and decryption.
//!
//! It holds only its own layers, and of the server's segments only their interfaces.

use crate::error::{Error, Result};
use crate::fhe::cipher::{self, SeededPhases};
use crate::fhe::keys::{SecretKey, SeededEvaluationKey};
use crate::fhe::parameters::ParameterSet;
use crate::layer::Layer;
use crate::linear_map::Row;
use crate::model::{Input, Model};
use crate::placement::{Party, Placement};
use crate::program::Interface;

/// The party that owns the data.
pub struct Client {
    input: Input,
    /// Its layers; `None` where the server runs one.
    layers: Vec<Option<Layer>>,
    /// One per server segment.
    interfaces: Vec<Interface>,
    key: Option<SecretKey>,
}

impl Client {
    /// Returns the client of a placement, with a secret key if anything is encrypted.
    pub fn new(
        model: &Model,
        placement: &Placement,
        interfaces: Vec<Interface>,
        parameters: ParameterSet,
    ) -> Self {
        let layers = model.layers.iter().zip(placement.parties());
        Self {
            input: model.input.clone(),
            layers: layers
                .map(|(layer, party)| (*party == Party::Client).then(|| layer.clone()))
                .collect(),
            key: (!interfaces.is_empty()).then(|| SecretKey::generate(parameters)),
            interfaces,
        }
    }

    /// Generates the evaluation key for the server; `None` where nothing is encrypted.
    pub fn evaluation_key(&self) -> Option<SeededEvaluationKey> {
        self.key.as_ref().map(SecretKey::evaluation_key)
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
        let quantisation = self.interfaces[segment].upload.quantisation;
        activation
            .iter()
            .map(|row| quantisation.quantise(f64::from(row[0])))
            .collect()
    }

    /// Encrypts integers for a server segment.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] without a key.
    pub fn encrypt(&self, segment: usize, integers: &[i64]) -> Result<SeededPhases> {
        let step = self.interfaces[segment].upload.step;
        let phases: Vec<u64> = integers
            .iter()
            .map(|&integer| (integer as u64).wrapping_mul(step))
            .collect();
        Ok(cipher::encrypt(self.key()?, &phases))
    }

    /// Decrypts a server segment's answer to integers.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] without a key.
    pub fn decrypt(&self, segment: usize, rows: &[Row<u64>]) -> Result<Vec<i64>> {
        let step = self.interfaces[segment].download.step;
        let phases = cipher::decrypt(self.key()?, rows);
        Ok(phases
            .into_iter()
            .map(|phase| (phase as i64 as f64 / step as f64).round() as i64)
            .collect())
    }

    /// Returns the float activation that a segment's integers stand for.
    pub fn dequantise(&self, segment: usize, integers: &[i64]) -> Vec<Row<f32>> {
        let scales = &self.interfaces[segment].download.scales;
        integers
            .iter()
            .zip(scales)
            .map(|(&integer, scale)| vec![(integer as f64 * scale) as f32].into())
            .collect()
    }

    fn key(&self) -> Result<&SecretKey> {
        let missing = || Error::Message("the client has no key".into());
        self.key.as_ref().ok_or_else(missing)
    }
}
