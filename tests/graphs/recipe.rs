//! Recipes: what a generated network is made of.

use proptest::prelude::*;
use splitbench::model::layer::Function;
use splitbench::model::layer::function::{Clip, LeakyRelu, Polynomial};

use super::network::{Builder, Kernel, Precision, SAME};

/// Linear nodes in a row after which a recipe puts an activation.
const MOST_LINEAR: usize = 5;

/// What to build.
#[derive(Debug, Clone)]
pub struct Recipe {
    shape: [usize; 3],
    operations: Vec<Piece>,
    ends_dense: bool,
    seed: u64,
}

/// An operation, or a few that belong together.
#[derive(Debug, Clone)]
enum Piece {
    Conv(Kernel, usize),
    Activation(Function, u32),
    MaxPool(usize),
    AveragePool,
    /// A convolution added to its own input, then an activation.
    Skip(Function, u32),
    /// The same, then a convolution without an activation in between.
    SkipThenConv,
    /// Two activations of one value, on two scales, added and looked up.
    TwoScales([Function; 3], [u32; 3]),
    /// Two convolutions with an activation each, added and looked up.
    TwoBranches([Function; 3], [u32; 3]),
}

/// Returns recipes of two to six pieces.
pub fn recipes() -> impl Strategy<Value = Recipe> {
    let shape = (1usize..4, 4usize..7, 4usize..7);
    let operations = prop::collection::vec(piece(), 2..7);
    let recipe = (shape, operations, any::<bool>(), any::<u64>());
    recipe.prop_map(|(shape, operations, ends_dense, seed)| Recipe {
        shape: shape.into(),
        operations,
        ends_dense,
        seed,
    })
}

fn piece() -> impl Strategy<Value = Piece> {
    let bits = 2u32..6;
    prop_oneof![
        3 => (kernel(), 1usize..5).prop_map(|(kernel, channels)| Piece::Conv(kernel, channels)),
        3 => (function(), bits.clone()).prop_map(|(f, bits)| Piece::Activation(f, bits)),
        1 => (0usize..2).prop_map(Piece::MaxPool),
        1 => Just(Piece::AveragePool),
        1 => (function(), bits.clone()).prop_map(|(f, bits)| Piece::Skip(f, bits)),
        1 => Just(Piece::SkipThenConv),
        1 => (three(function()), three(bits.clone())).prop_map(|(f, b)| Piece::TwoScales(f, b)),
        1 => (three(function()), three(bits)).prop_map(|(f, b)| Piece::TwoBranches(f, b)),
    ]
}

fn three<S: Strategy>(strategy: S) -> impl Strategy<Value = [S::Value; 3]> {
    prop::array::uniform3(strategy)
}

fn kernel() -> impl Strategy<Value = Kernel> {
    let point = Kernel {
        size: 1,
        padding: 0,
        ..SAME
    };
    let strided = Kernel { stride: 2, ..SAME };
    let depthwise = Kernel {
        depthwise: true,
        ..SAME
    };
    let integer = Kernel {
        integer: true,
        ..SAME
    };
    prop_oneof![
        Just(SAME),
        Just(point),
        Just(strided),
        Just(depthwise),
        Just(integer)
    ]
}

fn function() -> impl Strategy<Value = Function> {
    let clip = Clip {
        low: -0.5,
        high: 1.5,
    };
    prop_oneof![
        Just(Function::Relu),
        Just(Function::Clip(clip)),
        Just(Function::Sigmoid),
        Just(Function::Tanh),
        Just(Function::LeakyRelu(LeakyRelu { slope: 0.2 })),
        Just(Function::HardSwish),
        Just(Function::Polynomial(Polynomial {
            coefficients: vec![0.0, 0.0, 1.0],
        })),
        Just(Function::Identity),
    ]
}

impl Recipe {
    /// Returns the network, calibrated.
    pub fn build(&self, precision: Precision) -> Builder {
        let mut builder = Builder::new(self.shape, precision, self.seed);
        for piece in &self.operations {
            piece.add_to(&mut builder);
        }
        if self.ends_dense {
            settle(&mut builder);
            builder.dense(builder.last(), 3);
        }
        builder
    }
}

/// Looks the last value up where many linear nodes lie behind it.
fn settle(builder: &mut Builder) {
    if builder.linear_depth(builder.last()) >= MOST_LINEAR {
        builder.activation(builder.last(), Function::Identity, 4);
    }
}

impl Piece {
    fn add_to(&self, builder: &mut Builder) {
        if !matches!(self, Self::Activation(..)) {
            settle(builder);
        }
        let last = builder.last();
        let shape = builder.shape(last);
        let fits_pool = shape[1].min(shape[2]) >= 2;
        match self {
            Self::Conv(kernel, channels) => {
                builder.conv(last, *channels, *kernel);
            }
            Self::Activation(function, bits) => {
                builder.activation(last, function.clone(), *bits);
            }
            Self::MaxPool(padding) if fits_pool => {
                if !builder.is_looked_up(last) {
                    builder.activation(last, Function::Identity, 4);
                }
                builder.max_pool(builder.last(), *padding);
            }
            Self::AveragePool if fits_pool => {
                builder.average_pool(last);
            }
            Self::MaxPool(_) | Self::AveragePool => {}
            Self::Skip(function, bits) => {
                let conv = builder.conv(last, shape[0], SAME);
                let sum = builder.add(conv, last);
                builder.activation(sum, function.clone(), *bits);
            }
            Self::SkipThenConv => {
                let conv = builder.conv(last, shape[0], SAME);
                let sum = builder.add(last, conv);
                let point = Kernel {
                    size: 1,
                    padding: 0,
                    ..SAME
                };
                builder.conv(sum, 2, point);
            }
            Self::TwoScales(functions, bits) => {
                let operands = [0, 1]
                    .map(|side| builder.activation(last, functions[side].clone(), bits[side]));
                let sum = builder.add(operands[0], operands[1]);
                builder.activation(sum, functions[2].clone(), bits[2]);
            }
            Self::TwoBranches(functions, bits) => {
                let operands = [0, 1].map(|side| {
                    let conv = builder.conv(last, 2, SAME);
                    builder.activation(conv, functions[side].clone(), bits[side])
                });
                let sum = builder.add(operands[0], operands[1]);
                builder.activation(sum, functions[2].clone(), bits[2]);
            }
        }
    }
}
