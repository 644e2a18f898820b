//! What the client knows of a server segment: how to encode uploads and decode downloads.

use crate::circuit::packing::{PackedLayout, Packing};
use crate::fhe::pack::PackingDecomposition;
use crate::fhe::parameters::ParameterSet;
use crate::model::quantise::Quantisation;
use crate::model::{NodeId, ValueId};

/// The part of a program that the client knows.
#[derive(Debug, Clone)]
pub struct Interface {
    /// One per value that crosses to the server.
    pub uploads: Vec<UploadEncoding>,
    /// One per value that crosses to the client.
    pub downloads: Vec<DownloadEncoding>,
}

/// How the client encodes a value.
#[derive(Debug, Clone)]
pub struct UploadEncoding {
    pub value: ValueId,
    /// Where the elements lie in the ciphertexts.
    pub layout: PackedLayout,
    pub quantisation: Quantisation,
    /// Phase of the integer 1.
    pub step: u64,
    /// Leading bytes of each body coefficient that travel.
    pub bytes: usize,
}

/// How the client decodes a value.
#[derive(Debug, Clone)]
pub struct DownloadEncoding {
    /// The node whose value it is.
    pub node: NodeId,
    /// `real = scale · integer`, one per element.
    pub scales: Vec<f64>,
    /// Phase of the integer 1.
    pub step: u64,
    /// Leading bytes of each ciphertext coefficient that travel.
    pub bytes: usize,
    /// Standard deviation of each element's noise, in integers.
    pub noise_std: Vec<f64>,
    /// Whether rounding to integers removes the noise, failures aside.
    pub exact: bool,
    /// Integers that the network was calibrated for.
    pub range: Vec<(i64, i64)>,
    pub form: Form,
    /// The packing keyswitch at the end, if there is one.
    pub packing: Option<PackingDecomposition>,
    /// The encryption of zero at the very end, if there is one.
    pub flooding: Option<Flooding>,
}

/// Noise that is added with an encryption of zero to hide the noise that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flooding {
    /// Its standard deviation, as a fraction of the torus.
    pub std: f64,
    /// log2 of the statistical distance that it leaves between an answer and one whose noise does not
    /// depend on the weights; 0 where it hides nothing.
    pub log2_distance: f64,
}

/// What kind of ciphertexts an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// One LWE ciphertext per element.
    Lwe,
    /// GLWE ciphertexts with the body coefficients that matter: for each, element and coefficient.
    /// The mask is shared by all elements of a ciphertext.
    Glwe(Vec<Vec<(u32, u32)>>),
}

impl Form {
    /// Returns the form of elements packed one after the other.
    pub fn consecutive(element_count: usize, polynomial_size: usize) -> Self {
        let elements: Vec<(u32, u32)> = (0..element_count)
            .map(|element| (element as u32, (element % polynomial_size) as u32))
            .collect();
        Self::Glwe(
            elements
                .chunks(polynomial_size)
                .map(<[_]>::to_vec)
                .collect(),
        )
    }

    /// Returns the form in which the products of a packed layer travel as they are.
    pub fn packed(packing: &Packing) -> Self {
        let mut ciphertexts = vec![Vec::new(); packing.products.len()];
        for (element, place) in packing.outputs.iter().enumerate() {
            ciphertexts[place.ciphertext as usize].push((element as u32, place.coefficient));
        }
        Self::Glwe(ciphertexts)
    }
}

impl UploadEncoding {
    /// Returns the phases of the leading coefficients of each ciphertext that carry `integers`.
    ///
    /// # Panics
    ///
    /// Panics where the number of integers is not that of the layout.
    pub fn phases(&self, integers: &[i64]) -> Vec<Vec<u64>> {
        let PackedLayout { lengths, places } = &self.layout;
        assert_eq!(integers.len(), places.len(), "elements of the upload");
        let mut phases: Vec<Vec<u64>> = lengths.iter().map(|&length| vec![0; length]).collect();
        for (&integer, place) in integers.iter().zip(places) {
            let phase = (integer as u64).wrapping_mul(self.step);
            phases[place.ciphertext as usize][place.coefficient as usize] = phase;
        }
        phases
    }
}

impl DownloadEncoding {
    /// Returns the nearest integer to a decrypted phase.
    pub fn decode(&self, phase: u64) -> i64 {
        (phase as i64 as f64 / self.step as f64).round() as i64
    }

    /// Returns the number of coefficients of each ciphertext of the answer.
    pub fn ciphertext_sizes(&self, parameters: &ParameterSet) -> Vec<usize> {
        match &self.form {
            Form::Lwe => vec![parameters.big_size(); self.scales.len()],
            Form::Glwe(ciphertexts) => ciphertexts
                .iter()
                .map(|elements| parameters.big_dimension() + elements.len())
                .collect(),
        }
    }
}
