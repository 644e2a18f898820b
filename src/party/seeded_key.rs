//! A key as the client makes it and sends it.

use crate::fhe::cipher::SeededCiphertexts;
use crate::fhe::keys::SeededEvaluationKey;
use crate::fhe::pack::SeededPackingKey;
use crate::party::wire::{self, ZERO_BYTES};

/// A key without what the server makes again from its seed.
pub enum SeededKey {
    Evaluation(SeededEvaluationKey),
    Packing(SeededPackingKey),
    Zeros(SeededCiphertexts),
}

impl SeededKey {
    /// Returns the message that carries it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Evaluation(key) => key.to_bytes(),
            Self::Packing(key) => key.to_bytes(),
            Self::Zeros(zeros) => wire::write_upload(zeros, ZERO_BYTES),
        }
    }
}
