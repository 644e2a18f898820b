//! The float tensors of `weights.bin`, found by name.

use std::collections::BTreeMap;

use super::format::RawWeights;
use super::source::Source;
use crate::core::error::{Error, Result};
use crate::core::shape::element_count;
use crate::machine::file;

/// All tensors of a model, of numbers and inside the file.
pub struct Tensors {
    by_name: BTreeMap<String, Tensor>,
    file_bytes: usize,
}

struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Tensors {
    /// Reads and checks the file.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a wrong checksum, a tensor outside the file, more numbers than
    /// it holds, a name given twice, or something that is no number.
    pub fn read(source: &Source, raw: &RawWeights) -> Result<Self> {
        let bytes = source.read_checked(&raw.file, &raw.sha256)?;
        let mut tensors = BTreeMap::new();
        // Tensors may share numbers, but not so that they become many.
        let mut left = bytes.len();
        for tensor in &raw.tensors {
            let place = || format!("{}: tensor {:?}", source.place(&raw.file), tensor.name);
            let count = element_count(&tensor.shape);
            let end = count
                .and_then(|count| count.checked_mul(4))
                .and_then(|length| length.checked_add(tensor.offset));
            let slice = end
                .and_then(|end| bytes.get(tensor.offset..end))
                .ok_or_else(|| {
                    let reason = format!(
                        "shape {:?} at offset {} lies outside the file of {} bytes",
                        tensor.shape,
                        tensor.offset,
                        bytes.len()
                    );
                    Error::invalid(place(), reason)
                })?;
            left = left.checked_sub(slice.len()).ok_or_else(|| {
                let reason = "with those before it holds more numbers than the file";
                Error::invalid(place(), reason)
            })?;
            let words = slice.as_chunks::<4>().0;
            let numbers = words.iter().map(|&word| f32::from_le_bytes(word));
            let values = file::collected(&place(), numbers)?;
            if let Some(index) = values.iter().position(|value| value.is_nan()) {
                let reason = format!("element {index} is no number");
                return Err(Error::invalid(place(), reason));
            }
            let shape = tensor.shape.clone();
            if tensors
                .insert(tensor.name.clone(), Tensor { shape, values })
                .is_some()
            {
                return Err(Error::invalid(place(), "named twice in model.json"));
            }
        }
        Ok(Self {
            by_name: tensors,
            file_bytes: bytes.len(),
        })
    }

    /// Returns the length of the file.
    pub fn file_bytes(&self) -> usize {
        self.file_bytes
    }

    /// Returns a tensor and its shape, whatever that is; its numbers may be infinite.
    ///
    /// # Errors
    ///
    /// A sentence where it is missing.
    pub fn any(&self, name: &str) -> std::result::Result<(&[f32], &[usize]), String> {
        let tensor = self.by_name.get(name);
        let tensor =
            tensor.ok_or_else(|| format!("tensor {name:?} is missing from weights.tensors"))?;
        Ok((&tensor.values, &tensor.shape))
    }

    /// Returns a tensor of D axes with its shape; `expected` fixes some of its sizes.
    ///
    /// # Errors
    ///
    /// A sentence on what is missing or differs, or which number is not finite.
    pub fn get<const D: usize>(
        &self,
        name: &str,
        expected: [Option<usize>; D],
    ) -> std::result::Result<(&[f32], [usize; D]), String> {
        let (values, own) = self.any(name)?;
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(format!(
                "tensor {name:?}: element {index} is {}: weights must be finite",
                values[index]
            ));
        }
        let shape: Option<[usize; D]> = own.try_into().ok();
        shape
            .filter(|shape| {
                shape
                    .iter()
                    .zip(expected)
                    .all(|(&size, expected)| size > 0 && expected.is_none_or(|e| e == size))
            })
            .map(|shape| (values, shape))
            .ok_or_else(|| {
                let wanted =
                    expected.map(|size| size.map_or("any".into(), |size| size.to_string()));
                format!(
                    "tensor {name:?} has shape {own:?} where [{}] is needed",
                    wanted.join(", ")
                )
            })
    }
}
