//! What a name of the file stands for while the graph is lowered.

use std::rc::Rc;

use super::layout::AxisLayout;
use crate::import::network::Tail;
use crate::import::onnx::Tensor;
use crate::model::layer::Function;
use crate::model::layer::pinned::Kind;

/// What a name of the file stands for.
#[derive(Debug, Clone)]
pub enum Value {
    Constant(Rc<Constant>),
    Wire(Wire),
    /// Made from the logits.
    Scores(Scores),
    /// An image with a border that the layer which reads it takes as its padding.
    Padded(Rc<Padded>),
    /// A list with the batch as its last axis.
    Turned(Wire),
    /// What layers of images do not read as it is.
    Client(ClientValue),
}

/// What is no reals of one image, batch first.
#[derive(Debug, Clone)]
pub struct ClientValue {
    /// Its layout has all axes of the file's.
    pub wire: Wire,
    pub kind: Kind,
}

impl ClientValue {
    /// Returns the shape, as the file has it.
    pub fn shape(&self) -> Vec<usize> {
        self.wire.layout.shape()
    }
}

/// A number that does not depend on the network's input.
#[derive(Debug, Clone)]
pub struct Constant {
    pub tensor: Tensor,
    /// Where the numbers are integers times a scale.
    pub grid: Option<Grid>,
    /// The initialiser that it was made from.
    pub origin: Option<String>,
}

impl Constant {
    /// Returns a constant of unknown origin.
    pub fn new(tensor: Tensor) -> Self {
        Self {
            tensor,
            grid: None,
            origin: None,
        }
    }
}

/// The steps that quantised numbers lie on.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// One, or one per index along `axis`; positive.
    pub scale: Vec<f32>,
    /// Along which the scales differ.
    pub axis: Option<usize>,
}

/// A number per element that depends on the network's input: a function, not yet a layer, of what
/// a layer makes.
#[derive(Debug, Clone)]
pub struct Wire {
    /// 0 for the network's input, i + 1 for step i of the draft.
    pub root: usize,
    pub function: Function,
    /// The axes that the file gives the elements.
    pub layout: AxisLayout,
    /// Set between `QuantizeLinear` and `DequantizeLinear`, and where the network takes integers.
    pub integers: Option<Integers>,
    /// Nothing but this wire reads the root.
    pub exclusive: bool,
    /// What the function is called in the file.
    pub name: Option<String>,
}

/// An image inside a border of one number.
#[derive(Debug, Clone)]
pub struct Padded {
    pub wire: Wire,
    /// Per axis of the wire: elements before and after.
    pub border: Vec<[usize; 2]>,
    pub fill: f32,
}

/// Integers that stand for the numbers of a wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Integers {
    pub scale: f64,
    pub zero_point: i64,
    /// Smallest and largest integer, with the zero point.
    pub low: i64,
    pub high: i64,
    /// The network's input has this type; a `Cast` makes it floats.
    pub are_input: bool,
}

impl Wire {
    /// Returns whether it is what its root makes, whatever the axes.
    pub fn is_identity(&self) -> bool {
        self.function == Function::Identity && self.integers.is_none()
    }

    /// Returns the same wire with another function.
    pub fn with_function(&self, function: Function) -> Self {
        Self {
            function,
            ..self.clone()
        }
    }
}

/// Probabilities, labels and the like, made from the logits.
#[derive(Debug, Clone)]
pub struct Scores {
    /// All that the last layer makes.
    pub logits: Wire,
    /// Which of the logits have scores, in order; all of them where there is no list.
    pub picks: Option<Vec<u32>>,
    pub tail: Tail,
    /// The axes that the file gives them, the batch as one.
    pub shape: Vec<usize>,
    /// What the file calls the class of each score.
    pub classes: Option<Vec<i64>>,
}

impl Scores {
    /// Returns the scores of all logits.
    pub fn of(logits: Wire, tail: Tail) -> Self {
        Self {
            shape: [vec![1], logits.layout.shape()].concat(),
            logits,
            picks: None,
            tail,
            classes: None,
        }
    }

    /// Returns the number of classes that have a score.
    pub fn count(&self) -> usize {
        let all = || self.logits.layout.count();
        self.picks.as_ref().map_or_else(all, Vec::len)
    }

    /// Returns whether the file has made them a label.
    pub fn is_label(&self) -> bool {
        self.tail == Tail::ArgMax
    }
}
