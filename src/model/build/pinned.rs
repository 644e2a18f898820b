//! Operators that have no encrypted form.

use super::built::{Built, Checked};
use super::channels::{read_range, spread};
use crate::core::shape::element_count;
use crate::model::format::RawOperand;
use crate::model::layer::Operation;
use crate::model::layer::pinned::{Constant, Operand, Operator, Pinned};
use crate::model::tensors::Tensors;

/// Builds an operator whose values are there in the shapes that it says.
pub(super) fn build_pinned(
    operator: Operator,
    operands: Vec<RawOperand>,
    shape: Vec<usize>,
    range: Option<&str>,
    tensors: &Tensors,
) -> Checked<Built> {
    let operands = operands.into_iter().map(|operand| {
        Ok(match operand {
            RawOperand::Nothing {} => Operand::Absent,
            RawOperand::Value { shape, kind, .. } => Operand::Value { shape, kind },
            RawOperand::Constant { tensor, kind } => {
                let (values, shape) = tensors.any(&tensor)?;
                Operand::Constant(Constant {
                    shape: shape.to_vec(),
                    kind,
                    values: values.to_vec(),
                })
            }
        })
    });
    let mut pinned = Pinned::new(operator, operands.collect::<Checked<_>>()?)?;
    let made = pinned.shape();
    if shape.is_empty() || element_count(&shape) != element_count(made) {
        return Err(format!("shape {shape:?} for an output of {made:?}"));
    }
    if let Some(range) = range {
        let range = read_range(range, shape[0], tensors)?;
        pinned.range = spread(&range, pinned.range.len());
    }
    Ok(Built {
        op: "pinned",
        shape,
        parameter_count: pinned.parameter_count(),
        operation: Operation::Pinned(pinned),
    })
}
