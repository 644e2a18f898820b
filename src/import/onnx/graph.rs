//! A checked graph: every value made once and before it is read.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::branches::{self, Conditional};
use super::external::Folder;
use super::input::{GivenShape, GraphInput, inputs};
use super::names::Names;
use super::node::Node;
use super::tensor::{MOST_ELEMENTS, Tensor};
use crate::core::foreign::quoted;
use crate::core::onnx_schema::{GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto};
use crate::import::fault::{Outcome, Place, invalid, unsupported};
use crate::{Error, Result};

/// The most nodes of a file.
const MOST_NODES: usize = 100_000;

/// The most outputs: a label, its probabilities and some room.
const MOST_OUTPUTS: usize = 16;

/// The domains whose operators are known; the empty one is ONNX's own.
const DOMAINS: [&str; 6] = [
    "",
    "ai.onnx.ml",
    "com.microsoft",
    "onnx.brevitas",
    "qonnx.custom_op.general",
    "finn.custom_op.general",
];

/// A checked graph. Values are numbers that stand for names.
#[derive(Debug)]
pub struct Graph {
    /// The file, for errors.
    pub place: String,
    /// Version of ONNX's own operators.
    pub opset: i64,
    /// At least one, in the file's order.
    pub inputs: Vec<GraphInput>,
    /// The values that the file gives back.
    pub outputs: Vec<usize>,
    /// Those that an output depends on, each after the nodes that it reads.
    pub nodes: Vec<Node>,
    /// Constants, by value.
    pub constants: HashMap<usize, Tensor>,
    /// Names of the values.
    pub names: Vec<String>,
    /// How often each value is read, by the nodes and as an output.
    pub use_counts: Vec<usize>,
    /// For each value the nodes that read it.
    readers: Vec<Vec<usize>>,
}

impl Graph {
    /// Checks the graph of a file; `place` names the file in errors, `shapes` are those that a
    /// person gives its inputs.
    ///
    /// # Errors
    ///
    /// Names the file, the node or constant, and what is wrong with it.
    pub fn build(
        model: ModelProto,
        place: &str,
        folder: &Folder,
        shapes: &[GivenShape],
    ) -> Result<Self> {
        let opset = opset_version(&model.opset_import).place(|| place.into())?;
        let Some(graph) = model.graph else {
            return Err(Error::invalid(place, "holds no graph"));
        };
        if !graph.sparse_initializer.is_empty() {
            return Err(Error::Unsupported {
                place: place.into(),
                reason: "sparse initialisers".into(),
            });
        }
        let mut names = Names::default();
        let GraphProto {
            node,
            initializer,
            input,
            output,
            ..
        } = graph;
        let constants = decode_constants(initializer, place, folder, &mut names)?;
        let nodes = decode_nodes(node, place, folder, &mut names)?;
        let inputs = inputs(&input, shapes, &constants, &mut names).place(|| place.into())?;
        let outputs = output
            .iter()
            .map(|info| info.name.as_deref().unwrap_or_default());
        let mut graph = Self {
            place: place.into(),
            opset,
            inputs,
            outputs: outputs.map(|name| names.number(name)).collect(),
            nodes,
            constants,
            names: names.names,
            use_counts: Vec::new(),
            readers: Vec::new(),
        };
        graph.sort()?;
        graph.count_uses();
        Ok(graph)
    }

    /// Returns the place of a node in errors.
    pub fn place_of(&self, node: &Node) -> String {
        let first = node.outputs.iter().flatten().next();
        let output = first.map_or("", |&value| self.names[value].as_str());
        format!("{}: {}", self.place, node.place(output))
    }

    /// Returns the nodes that read a value, one that reads it twice twice.
    pub fn readers(&self, value: usize) -> &[usize] {
        &self.readers[value]
    }

    /// Returns whether a value is an input.
    fn is_input(&self, value: usize) -> bool {
        self.inputs.iter().any(|input| input.value == value)
    }

    /// Returns for each value the node that makes it.
    fn makers(&self) -> Result<Vec<Option<usize>>> {
        let mut makers = vec![None; self.names.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for &value in node.outputs.iter().flatten() {
                let taken = makers[value].is_some()
                    || self.constants.contains_key(&value)
                    || self.is_input(value);
                if taken {
                    let name = quoted(&self.names[value]);
                    let reason = format!("makes {name}, which is made elsewhere too");
                    return Err(Error::invalid(self.place_of(node), reason));
                }
                makers[value] = Some(index);
            }
        }
        Ok(makers)
    }

    /// Orders the nodes so that each comes after those that it reads, otherwise as in the file,
    /// and drops those that no output depends on.
    fn sort(&mut self) -> Result<()> {
        let makers = self.makers()?;
        self.check_sources(&makers)?;
        let needed = self.needed(&makers);
        let mut waits = vec![0usize; self.nodes.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for maker in node.reads().filter_map(|value| makers[value]) {
                waits[index] += 1;
                readers[maker].push(index);
            }
        }
        let mut ready: BinaryHeap<Reverse<usize>> = (0..self.nodes.len())
            .filter(|&index| waits[index] == 0)
            .map(Reverse)
            .collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(Reverse(index)) = ready.pop() {
            order.push(index);
            for &reader in &readers[index] {
                waits[reader] -= 1;
                if waits[reader] == 0 {
                    ready.push(Reverse(reader));
                }
            }
        }
        if let Some(stuck) = waits.iter().position(|&count| count > 0) {
            let place = self.place_of(&self.nodes[stuck]);
            return Err(Error::invalid(
                place,
                "waits for its own output: the graph has a cycle",
            ));
        }
        let mut nodes: Vec<Option<Node>> = self.nodes.drain(..).map(Some).collect();
        let kept = order.into_iter().filter(|&index| needed[index]);
        self.nodes = kept.filter_map(|index| nodes[index].take()).collect();
        Ok(())
    }

    /// Checks that every value that is read comes from somewhere.
    fn check_sources(&self, makers: &[Option<usize>]) -> Result<()> {
        let known = |value: usize| {
            makers[value].is_some() || self.constants.contains_key(&value) || self.is_input(value)
        };
        for node in &self.nodes {
            if let Some(value) = node.reads().find(|&value| !known(value)) {
                let name = quoted(&self.names[value]);
                let reason = format!("reads {name}, which no node or initialiser makes");
                return Err(Error::invalid(self.place_of(node), reason));
            }
        }
        if !(1..=MOST_OUTPUTS).contains(&self.outputs.len()) {
            let count = self.outputs.len();
            let reason = format!("the graph has {count} outputs, not 1 to {MOST_OUTPUTS}");
            return Err(Error::invalid(&self.place, reason));
        }
        match self.outputs.iter().find(|&&value| !known(value)) {
            Some(&value) => {
                let name = quoted(&self.names[value]);
                let reason = format!("no node makes the output {name}");
                Err(Error::invalid(&self.place, reason))
            }
            None => Ok(()),
        }
    }

    /// Returns for each node whether an output depends on it.
    fn needed(&self, makers: &[Option<usize>]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open: Vec<usize> = self
            .outputs
            .iter()
            .filter_map(|&value| makers[value])
            .collect();
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut needed[index], true) {
                let reads = self.nodes[index].reads();
                open.extend(reads.filter_map(|value| makers[value]));
            }
        }
        needed
    }

    fn count_uses(&mut self) {
        let mut counts = vec![0; self.names.len()];
        let reads = self.nodes.iter().flat_map(Node::reads);
        for value in reads.chain(self.outputs.iter().copied()) {
            counts[value] += 1;
        }
        self.use_counts = counts;
        self.readers = vec![Vec::new(); self.names.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for &value in node.inputs.iter().flatten() {
                self.readers[value].push(index);
            }
        }
    }
}

/// Returns the version of ONNX's own operators.
fn opset_version(imports: &[OperatorSetId]) -> Outcome<i64> {
    const VERSIONS: std::ops::RangeInclusive<i64> = 6..=26;
    let own = |import: &&OperatorSetId| {
        matches!(import.domain.as_deref().unwrap_or_default(), "" | "ai.onnx")
    };
    // A file of another domain's operators alone names no version.
    let versions = imports
        .iter()
        .filter(own)
        .filter_map(|import| import.version);
    match versions.max() {
        Some(version) if VERSIONS.contains(&version) => Ok(version),
        Some(version) => unsupported(format!(
            "operator set {version}; {} to {} are read",
            VERSIONS.start(),
            VERSIONS.end()
        )),
        None if imports.is_empty() => invalid("names no version of its operators"),
        None => Ok(*VERSIONS.end()),
    }
}

/// Returns the constants of a file, by value.
fn decode_constants(
    initializers: Vec<TensorProto>,
    place: &str,
    folder: &Folder,
    names: &mut Names,
) -> Result<HashMap<usize, Tensor>> {
    let mut constants = HashMap::new();
    let mut element_total = 0;
    for proto in initializers {
        let name = proto.name.clone().unwrap_or_default();
        let place = || format!("{place}: initialiser {}", quoted(&name));
        let tensor = Tensor::decode(proto, folder).place(place)?;
        element_total += tensor.count();
        let fault = if constants.insert(names.number(&name), tensor).is_some() {
            invalid("there are two of this name")
        } else if element_total > MOST_ELEMENTS {
            invalid(format!("more than {MOST_ELEMENTS} elements in all"))
        } else {
            Ok(())
        };
        fault.place(place)?;
    }
    Ok(constants)
}

fn decode_nodes(
    protos: Vec<NodeProto>,
    place: &str,
    folder: &Folder,
    names: &mut Names,
) -> Result<Vec<Node>> {
    let protos = branches::inline(protos, place)?;
    if protos.len() > MOST_NODES {
        let reason = format!("{} nodes; at most {MOST_NODES} are read", protos.len());
        return Err(Error::invalid(place, reason));
    }
    let mut nodes = Vec::with_capacity(protos.len());
    for Conditional {
        node: proto,
        conditions,
    } in protos
    {
        let name = proto.name.clone().filter(|name| !name.is_empty());
        let name = name
            .or_else(|| proto.output.first().cloned())
            .unwrap_or_default();
        let operator = proto.op_type.clone().unwrap_or_default();
        let operator = quoted(&operator);
        let here = || {
            format!(
                "{place}: node {} ({})",
                quoted(&name),
                operator.trim_matches('"')
            )
        };
        let mut node = Node::decode(proto, folder, |name| names.number(name)).place(here)?;
        let conditions = conditions.into_iter();
        node.conditions = conditions
            .map(|(name, is_true)| (names.number(&name), is_true))
            .collect();
        if !DOMAINS.contains(&node.domain.as_str()) {
            let domain = quoted(&node.domain);
            return unsupported(format!("operators of the domain {domain}")).place(here);
        }
        nodes.push(node);
    }
    Ok(nodes)
}
