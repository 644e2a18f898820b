//! The tensors of a model folder, in one file.

use crate::model::format::RawTensor;

/// Little-endian float32 tensors, one after the other.
#[derive(Default)]
pub struct TensorFile {
    pub bytes: Vec<u8>,
    pub tensors: Vec<RawTensor>,
}

impl TensorFile {
    /// Puts a tensor at the end, and returns its name.
    pub fn put(
        &mut self,
        name: String,
        shape: Vec<usize>,
        values: impl Iterator<Item = f32>,
    ) -> String {
        let offset = self.bytes.len();
        self.bytes.extend(values.flat_map(f32::to_le_bytes));
        self.tensors.push(RawTensor {
            name: name.clone(),
            shape,
            offset,
        });
        name
    }
}
