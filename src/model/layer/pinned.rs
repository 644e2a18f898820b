//! An operator that has no encrypted form: the client runs it, in the clear, whoever runs the layers
//! around it.
//!
//! A layer is one operator of ONNX, as `rten` runs it, one image at a time.

mod operator;
mod session;

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;

pub use self::operator::{Attribute, Constant, Kind, Operand, Operator};
use self::session::Session;
use crate::core::linear_map::Row;

/// An operator, and what it reads.
#[derive(Clone)]
pub struct Pinned {
    pub operator: Operator,
    /// Its values are the inputs of the node, in their order.
    pub operands: Vec<Operand>,
    /// Smallest and largest value of each output element over the calibration data; zeros where no
    /// server reads them.
    pub range: Vec<(f32, f32)>,
    session: Arc<Session>,
}

impl Pinned {
    /// Returns an operator that is ready to run, without ranges.
    ///
    /// # Errors
    ///
    /// A sentence where no client runs it.
    pub fn new(operator: Operator, operands: Vec<Operand>) -> Result<Self, String> {
        let session = Arc::new(Session::open(&operator, &operands)?);
        Ok(Self {
            range: vec![(0.0, 0.0); session.shape.iter().product()],
            operator,
            operands,
            session,
        })
    }

    /// Returns the shape of its output, with the axis of the batch.
    pub fn shape(&self) -> &[usize] {
        &self.session.shape
    }

    /// Returns what the elements of its output are.
    pub fn kind(&self) -> Kind {
        self.session.kind
    }

    /// Returns the trained numbers in it, as far as can be told: the finite floats of its constants of
    /// several elements.
    pub fn parameter_count(&self) -> usize {
        let counts = self.operands.iter().map(|operand| match operand {
            Operand::Constant(constant) if constant.kind == Kind::Float => {
                match constant.values.len() {
                    0 | 1 => 0,
                    _ => constant.values.iter().filter(|v| v.is_finite()).count(),
                }
            }
            _ => 0,
        });
        counts.sum()
    }

    /// Returns what it makes of its values of one image, each `[elements]`.
    ///
    /// # Errors
    ///
    /// A sentence where it gives nothing for them.
    pub fn run(&self, values: &[Vec<f32>]) -> Result<Vec<f32>, String> {
        self.session.run(values)
    }

    /// Returns the outputs for the operands; the columns are independent images, and those for which it
    /// gives nothing are not numbers.
    pub fn run_float(&self, operands: &[&[Row<f32>]]) -> Vec<Row<f32>> {
        let images = operands[0].first().map_or(0, |row| row.len());
        let count = self.shape().iter().product();
        let of_image = |image: usize| {
            let values = operands
                .iter()
                .map(|rows| rows.iter().map(|row| row[image]).collect());
            let made = self.run(&values.collect::<Vec<Vec<f32>>>());
            made.unwrap_or_else(|_| vec![f32::NAN; count])
        };
        let by_image: Vec<Vec<f32>> = (0..images).into_par_iter().map(of_image).collect();
        let row = |element: usize| by_image.iter().map(|made| made[element]).collect();
        (0..count).into_par_iter().map(row).collect()
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned")
            .field("operator", &self.operator)
            .field("shape", &self.shape())
            .finish_non_exhaustive()
    }
}
