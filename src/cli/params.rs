//! `splitbench params`.

use super::one_split::SplitArguments;
use super::print::print;
use crate::circuit::compile::compile_placement;
use crate::core::error::Result;
use crate::oracle::accuracy::Accuracy;
use crate::oracle::explain::explain;

/// Compiles the split, simulates its accuracy and explains both.
pub fn run(arguments: SplitArguments) -> Result<()> {
    let (settings, model, placement) = arguments.resolve()?;
    let programs = compile_placement(&model, &placement, &settings.target()?)?;
    let images: Vec<usize> = (0..model.test.len()).collect();
    let accuracy = Accuracy::of(&model, &placement, &programs, &images, settings.seed);
    print(explain(&model, &programs, &accuracy, &settings.cost.here()))
}
