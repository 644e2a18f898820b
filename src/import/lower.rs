//! Turns a checked ONNX graph into a [`Network`].
//!
//! The nodes are taken in order. Numbers that do not depend on the input are computed at once
//! (`constants`); functions of single elements are collected until a layer needs them as a value
//! (`value::Wire`); everything else becomes a step of the `draft`. Passes over the draft then
//! merge what can be merged (`rewrite`), and put the residual blocks and the names in place
//! (`finish`).

mod affine;
mod arithmetic;
mod attributes;
mod classes;
mod classifier;
mod constants;
mod dead;
mod draft;
mod elementwise;
mod expression;
mod finish;
mod layout;
mod linear;
mod names;
mod pad;
mod pick;
mod pool;
mod quantisers;
mod reshape;
mod rewrite;
mod tail;
mod value;
mod window;

use std::collections::HashMap;
use std::rc::Rc;

use self::draft::Draft;
use self::layout::Layout;
use self::value::{Constant, Integers, Scores, Value, Wire};
use super::Network;
use super::fault::{Outcome, Place, invalid, unsupported};
use super::network::Tail;
use super::onnx::{Graph, Node, Tensor};
use crate::Result;
use crate::core::foreign::quoted;

/// Returns the network of a graph.
///
/// # Errors
///
/// Names the file, the node and what is wrong with it or not supported.
pub fn lower(graph: &Graph) -> Result<Network> {
    let mut lowering = Lowering::new(graph);
    for node in &graph.nodes {
        lowering.node(node).place(|| graph.place_of(node))?;
    }
    let place = || graph.place.clone();
    let output = lowering.output().place(place)?;
    let draft = rewrite::rewrite(lowering.draft, output.logits.root).place(place)?;
    let network = finish::finish(draft, output.tail, output.classes);
    check_numbers(&network).place(place)?;
    Ok(network)
}

/// What is known while the nodes are taken in order.
struct Lowering<'a> {
    graph: &'a Graph,
    draft: Draft,
    /// By value; dropped after the last use.
    values: HashMap<usize, Value>,
    /// How often each value is still to be read.
    uses_left: Vec<usize>,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph) -> Self {
        /// Elements that a file without large constants may make.
        const ELEMENTS: usize = 1 << 22;
        /// Elements that may be made for each one in the file.
        const MULTIPLE: usize = 32;
        let count: usize = graph.constants.values().map(Tensor::count).sum();
        let mut draft = Draft::new(&graph.input_shape, ELEMENTS + MULTIPLE * count);
        let mut input = draft.output(0, &graph.input_shape);
        input.exclusive = false;
        if let Some((shape, layout)) = channels_last(graph) {
            draft.input_shape = shape.to_vec();
            input.layout = layout;
            if shape[0] > 1 {
                draft.notes.push(CHANNELS_LAST.into());
            }
        }
        if let Some(kind) = graph.input_kind {
            let (low, high) = kind.range();
            input.integers = Some(Integers {
                scale: 1.0,
                zero_point: 0,
                low,
                high,
                are_input: true,
            });
            draft.notes.push(WHOLE_NUMBERS.into());
        }
        Self {
            graph,
            draft,
            values: HashMap::from([(graph.input, Value::Wire(input))]),
            uses_left: graph.use_counts.clone(),
        }
    }

    /// Lowers one node.
    fn node(&mut self, node: &Node) -> Outcome<()> {
        let mut made = self.operator(node)?.into_iter();
        for &output in &node.outputs {
            let Some(value) = made.next() else { break };
            if let Some(output) = output {
                let value = self.shared(value, output)?;
                self.values.insert(output, value);
            }
        }
        for &input in node.inputs.iter().flatten() {
            self.uses_left[input] = self.uses_left[input].saturating_sub(1);
            if self.uses_left[input] == 0 {
                self.values.remove(&input);
            }
        }
        Ok(())
    }

    /// Returns a value as those who read it get it: one that several layers read is made a layer.
    fn shared(&mut self, value: Value, output: usize) -> Outcome<Value> {
        let Value::Wire(wire) = value else {
            return Ok(value);
        };
        self.draft.spend(expression::size(&wire.function))?;
        let readers = self.graph.use_counts[output];
        if readers > 1 && wire.integers.is_none() && self.is_read_by_layer(output) {
            return Ok(Value::Wire(self.draft.settle(&wire)?));
        }
        Ok(Value::Wire(Wire {
            exclusive: wire.exclusive && readers == 1,
            ..wire
        }))
    }

    /// Returns whether a node that needs its input as a value reads this one.
    fn is_read_by_layer(&self, value: usize) -> bool {
        const LAYERS: [&str; 9] = [
            "Conv",
            "Gemm",
            "MatMul",
            "MaxPool",
            "AveragePool",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "ReduceMean",
            "BatchNormalization",
        ];
        let readers = self.graph.readers(value);
        readers
            .iter()
            .any(|&node| LAYERS.contains(&self.graph.nodes[node].operator.as_str()))
    }

    /// Returns what the outputs of a node stand for.
    fn operator(&mut self, node: &Node) -> Outcome<Vec<Value>> {
        attributes::check(node)?;
        for &input in node.inputs.iter().flatten() {
            self.value(input)?;
        }
        if let Some(constant) = constants::fold(self, node)? {
            return Ok(vec![Value::Constant(Rc::new(constant))]);
        }
        if let Some(scores) = tail::after_scores(self, node)? {
            return Ok(scores);
        }
        if let Some(padded) = pad::after_pad(self, node)? {
            return Ok(vec![padded]);
        }
        let operator = node.operator.as_str();
        let value = match (node.domain.as_str(), operator) {
            ("ai.onnx.ml", "LinearClassifier") => return classifier::linear_classifier(self, node),
            ("ai.onnx.ml", "ZipMap") => {
                let scores = Scores::of(self.wire(node, 0)?, Tail::None);
                Value::Scores(classes::zip_map(self, node, scores)?)
            }
            ("ai.onnx.ml", "LinearRegressor") => linear::linear_regressor(self, node)?,
            ("ai.onnx.ml", "Scaler") => affine::scaler(self, node)?,
            ("ai.onnx.ml", "ArrayFeatureExtractor") => pick::of_wire(self, node)?,
            ("ai.onnx.ml", _) => return unknown(operator),
            (_, "Quant" | "IntQuant") => quantisers::quant(self, node)?,
            (_, "BipolarQuant") => quantisers::bipolar_quant(self, node)?,
            (_, "QuantizeLinear") => quantisers::quantize_linear(self, node)?,
            (_, "DequantizeLinear") => quantisers::dequantize_linear(self, node)?,
            ("", "Conv") => linear::conv(self, node)?,
            ("", "Gemm") => linear::gemm(self, node)?,
            ("", "MatMul") => linear::mat_mul(self, node)?,
            ("", "BatchNormalization") => affine::batch_normalization(self, node)?,
            ("", "Add" | "Sub" | "Mul" | "Div" | "Sum") => elementwise::arithmetic(self, node)?,
            ("", "MaxPool" | "AveragePool") => pool::pool(self, node)?,
            ("", "GlobalAveragePool" | "GlobalMaxPool") => pool::global(self, node)?,
            ("", "ReduceMean") => pool::reduce_mean(self, node)?,
            ("", "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Transpose") => {
                reshape::reshape(self, node)?
            }
            ("", "Identity" | "Dropout" | "Cast") => elementwise::same(self, node)?,
            ("", "Pad") => pad::pad(self, node)?,
            ("", "Gather" | "Slice") => pick::of_wire(self, node)?,
            ("", "Softmax" | "LogSoftmax" | "ArgMax" | "TopK") => return tail::tail(self, node),
            ("", "Concat") => classifier::two_classes(self, node)?,
            ("", _) if elementwise::is_function(operator) => elementwise::function(self, node)?,
            _ => return unknown(operator),
        };
        Ok(vec![value])
    }

    /// Returns what a name of the file stands for.
    fn value(&mut self, value: usize) -> Outcome<&Value> {
        if !self.values.contains_key(&value) {
            let Some(tensor) = self.graph.constants.get(&value) else {
                let name = quoted(&self.graph.names[value]);
                return unsupported(format!("reads {name}, an output that is not computed here"));
            };
            let tensor = tensor.clone();
            let origin = Some(self.graph.names[value].clone());
            let constant = Constant {
                origin,
                ..Constant::new(tensor)
            };
            self.values
                .insert(value, Value::Constant(Rc::new(constant)));
        }
        match self.values.get(&value) {
            Some(value) => Ok(value),
            None => invalid("reads a value that is not there"),
        }
    }

    /// Returns an input of a node that depends on the network's input.
    fn wire(&mut self, node: &Node, index: usize) -> Outcome<Wire> {
        match self.value(node.input(index)?)? {
            Value::Wire(wire) => Ok(wire.clone()),
            Value::Constant(_) => unsupported(format!("input {index} is a constant")),
            Value::Scores(_) => unsupported("computes with what comes after the logits"),
            Value::Padded(_) => unsupported("reads what a Pad made"),
            Value::Turned(_) => unsupported("reads a list whose batch is its last axis"),
        }
    }

    /// Returns such an input of a node that takes integers for what they are.
    fn number_wire(&mut self, node: &Node, index: usize) -> Outcome<Wire> {
        let wire = self.wire(node, index)?;
        let integers = wire.integers.filter(|integers| !integers.are_input);
        Ok(Wire { integers, ..wire })
    }

    /// Returns an input of a node that does not depend on the network's input.
    fn constant(&mut self, node: &Node, index: usize) -> Outcome<Rc<Constant>> {
        match self.value(node.input(index)?)? {
            Value::Constant(constant) => Ok(Rc::clone(constant)),
            _ => unsupported(format!("input {index} is not a constant")),
        }
    }

    /// Returns such an input where the node has it.
    fn optional_constant(&mut self, node: &Node, index: usize) -> Outcome<Option<Rc<Constant>>> {
        match node.optional_input(index) {
            Some(_) => self.constant(node, index).map(Some),
            None => Ok(None),
        }
    }

    /// Returns what the file gives back, as a list: the scores rather than the label where it
    /// gives both.
    fn output(&mut self) -> Outcome<Scores> {
        let mut best: Option<Scores> = None;
        let mut outputs = self.graph.outputs.clone();
        outputs.dedup();
        for output in outputs {
            let scores = match self.value(output)?.clone() {
                Value::Wire(logits) => Scores::of(logits, Tail::None),
                Value::Scores(scores) => scores,
                Value::Padded(_) | Value::Turned(_) => {
                    return unsupported(
                        "an output that is padded, or whose first axis is no batch",
                    );
                }
                Value::Constant(_) => return invalid("an output does not depend on the input"),
            };
            best = Some(match best {
                None => scores,
                Some(other) => same_logits(other, scores)?,
            });
        }
        let Some(mut scores) = best else {
            return invalid("the graph has no output");
        };
        let (root, order) = self.draft.flat(&scores.logits)?;
        if root == 0 {
            return invalid("the network has no layers");
        }
        let picks = match (&scores.picks, order) {
            (Some(picks), order) => Some(pick::in_storage(picks, order.as_deref())),
            (None, order) => order,
        };
        scores.logits.root = match picks {
            Some(picks) => pick::pick(self, root, picks, None)?,
            None => root,
        };
        Ok(scores)
    }
}

/// Returns the better one of two outputs, which must come from the same logits.
fn same_logits(one: Scores, other: Scores) -> Outcome<Scores> {
    let (left, right) = (&one.logits, &other.logits);
    let is_same = left.root == right.root
        && left.function == right.function
        && left.layout.order() == right.layout.order();
    if !is_same {
        return unsupported("outputs of several kinds; a network here has one");
    }
    if one.picks != other.picks {
        // Beside a label, the scores of some classes say nothing more.
        let label = match (one.is_label(), other.is_label()) {
            (true, false) => one,
            (false, true) => other,
            _ => return unsupported("outputs of different classes; a network here has one"),
        };
        return Ok(Scores {
            tail: Tail::None,
            ..label
        });
    }
    let classes = match (&one.classes, &other.classes) {
        (Some(one), Some(other)) if one != other => {
            return unsupported("two outputs that name the classes in two ways");
        }
        (one, other) => one.clone().or(other.clone()),
    };
    let better = if one.is_label() { other } else { one };
    Ok(Scores { classes, ..better })
}

/// Said of a file whose images have their channels last.
const CHANNELS_LAST: &str = "The file takes its images with the channels last; here they have them \
                             first: give --layout hwc where the data files are stored as the file \
                             takes them.";

/// Said of a file that takes integers.
const WHOLE_NUMBERS: &str = "The file takes whole numbers: give the data as it is stored, without \
                             --scale, --mean and --std.";

/// Returns how an input is kept whose channels are its last axis, one that is transposed to have
/// them first before any layer reads it; and its axes, which are right whatever reads them.
fn channels_last(graph: &Graph) -> Option<([usize; 3], Layout)> {
    const ELEMENTWISE: [&str; 11] = [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Neg",
        "Cast",
        "Pad",
        "Identity",
        "Dropout",
        "QuantizeLinear",
        "DequantizeLinear",
    ];
    let [height, width, channels] = graph.input_shape[..] else {
        return None;
    };
    let mut reached = vec![graph.input];
    for node in &graph.nodes {
        if !node
            .inputs
            .iter()
            .flatten()
            .any(|input| reached.contains(input))
        {
            continue;
        }
        if node.operator == "Transpose"
            && matches!(node.integers("perm"), Ok(Some([0, 3 | -1, 1, 2])))
        {
            let stored = [channels, height, width];
            let axes = Layout::plain(&stored).transpose(&[1, 2, 0]).ok()?;
            return Some((stored, axes));
        }
        if ELEMENTWISE.contains(&node.operator.as_str()) {
            reached.extend(node.outputs.iter().flatten());
        }
    }
    None
}

fn unknown<T>(operator: &str) -> Outcome<T> {
    let name = quoted(operator);
    unsupported(format!("the operator {}", name.trim_matches('"')))
}

/// Checks that no weight became infinite on the way.
fn check_numbers(network: &Network) -> Outcome<()> {
    for layer in &network.layers {
        if !finish::is_finite(&layer.operation) {
            let reason = format!(
                "layer {} has weights that are not finite",
                quoted(&layer.name)
            );
            return invalid(reason);
        }
    }
    Ok(())
}
