//! What layers are called: as in the file, made short and plain.

use std::collections::HashSet;

use super::lowering::Lowering;
use crate::import::network::{Layer, Operation};
use crate::import::onnx::Node;

/// The longest name.
const LONGEST: usize = 48;

impl Lowering<'_> {
    /// Returns a name for what a node makes, `None` where the file has none that says anything;
    /// `origin` is the initialiser of its weights.
    pub fn name(&self, node: &Node, origin: Option<&str>) -> Option<String> {
        let weights = origin.and_then(weights_owner);
        let mut outputs = node.outputs.iter().flatten();
        // The network's outputs are called after what they mean, not after the layer.
        let is_output = |value: &usize| self.graph.outputs.contains(value);
        let output = if outputs.clone().any(is_output) {
            None
        } else {
            outputs
                .next()
                .map(|&value| self.graph.names[value].as_str())
        };
        let operator = node.operator.as_str();
        short_name(&node.name, operator)
            .or_else(|| short_name(weights.as_deref()?, ""))
            .or_else(|| short_name(output?, operator))
    }
}

/// Returns the name of the layer that an initialiser belongs to.
fn weights_owner(initialiser: &str) -> Option<String> {
    const ENDINGS: [&str; 5] = [".weight", ".kernel", "/kernel", "_weight", "_w"];
    let end = ENDINGS
        .iter()
        .find_map(|ending| initialiser.strip_suffix(ending));
    end.map(str::to_owned)
}

/// Returns a name without what it says twice, `None` where it says no more than the operator.
fn short_name(name: &str, mut operator: &str) -> Option<String> {
    let name = name.strip_suffix("_output_0").unwrap_or(name);
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split(['/', ':']).filter(|part| !part.is_empty()) {
        // A module's path repeats those of its parents.
        let repeats = |parent: &&str| {
            part.strip_prefix(*parent)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        if parts.last().is_some_and(repeats) {
            parts.pop();
        }
        parts.push(part);
    }
    if parts.len() > 1 && parts.last().is_some_and(|last| is_generic(last, operator)) {
        parts.pop();
        // The module that holds the operator has a name of its own.
        operator = "";
    }
    let joined = parts.join(".");
    if joined.is_empty() || is_generic(&joined, operator) {
        return None;
    }
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || "_.-".contains(letter) {
            letter
        } else {
            '_'
        }
    };
    let text: String = joined.chars().map(plain).collect();
    // The end of a long name tells more than its start.
    let text = text[text.len().saturating_sub(LONGEST)..].trim_matches(['_', '.', '-']);
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns whether a name is only a number, or the operator and a number.
fn is_generic(name: &str, operator: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let rest = lower
        .strip_prefix(&operator.to_ascii_lowercase())
        .unwrap_or(&lower);
    rest.chars()
        .all(|letter| letter.is_ascii_digit() || "_.-".contains(letter))
}

/// Gives each layer a name that no other has.
pub fn settle(layers: &mut [Layer]) {
    let mut taken: HashSet<String> = HashSet::from(["input".into()]);
    let given: HashSet<String> = layers.iter().map(|layer| layer.name.clone()).collect();
    let mut next = std::collections::HashMap::new();
    for layer in layers {
        let (stem, needs_number) = match layer.name.as_str() {
            "" => (kind(&layer.operation), true),
            name => (name, false),
        };
        let stem = stem.to_owned();
        let mut name = stem.clone();
        if needs_number || taken.contains(&name) {
            let separator = if needs_number { "" } else { "_" };
            let number = next
                .entry(stem.clone())
                .or_insert(usize::from(!needs_number));
            while {
                *number += 1;
                name = format!("{stem}{separator}{number}");
                taken.contains(&name) || given.contains(&name)
            } {}
        }
        taken.insert(name.clone());
        layer.name = name;
    }
}

/// Returns what an operation without a name is called.
fn kind(operation: &Operation) -> &str {
    match operation {
        Operation::Dense { .. } => "dense",
        Operation::Conv2d { .. } => "conv",
        Operation::AveragePool { .. } => "average_pool",
        Operation::MaxPool { .. } | Operation::Largest { .. } => "max_pool",
        Operation::Activation(function) => function.name(),
        Operation::Add => "add",
        Operation::Flatten => "flatten",
        Operation::Reshape => "reshape",
        Operation::Linear { .. } => "linear",
        Operation::Pinned(pinned) => &pinned.operator.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_say_something() {
        for (name, operator, expected) in [
            ("/conv1/Conv_output_0", "Conv", Some("conv1")),
            (
                "/layer1/layer1.0/conv1/Conv",
                "Conv",
                Some("layer1.0.conv1"),
            ),
            ("/act1/Relu_output_0", "Relu", Some("act1")),
            ("conv_1", "Conv", None),
            ("Conv_12", "Conv", None),
            ("46", "MatMul", None),
            ("n1_conv_2d", "Conv", Some("n1_conv_2d")),
            ("a b\n\"c", "Conv", Some("a_b__c")),
            ("", "Conv", None),
            ("///", "Conv", None),
        ] {
            assert_eq!(short_name(name, operator).as_deref(), expected, "{name}");
        }
        assert_eq!(
            short_name(&"x".repeat(5000), "Conv").unwrap().len(),
            LONGEST
        );
    }

    #[test]
    fn layers_without_a_name_are_counted_and_none_is_twice() {
        let layer = |name: &str| Layer {
            name: name.into(),
            inputs: vec![0],
            shape: vec![1],
            block: None,
            is_pinned: false,
            operation: Operation::Add,
        };
        let mut layers: Vec<Layer> = ["", "a", "add1", "a", "input", ""].map(layer).into();
        settle(&mut layers);
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["add2", "a", "add1", "a_2", "input_2", "add3"]);
    }
}
