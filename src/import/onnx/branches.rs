//! Branches of `If`, laid into the graph that holds them: which of the two runs is known once the
//! condition is.

use std::collections::HashMap;

use prost::Message;

use super::census;
use crate::core::error::Result;
use crate::core::foreign::quoted;
use crate::core::onnx_schema::{AttributeProto, GraphProto, NodeProto, attribute_type};
use crate::import::fault::{Outcome, Place, invalid, unsupported};

/// Branches within branches, at most.
const MOST_LEVELS: usize = 8;

/// A node, and the conditions under which it runs: names of values, and what they are to be.
pub struct Conditional {
    pub node: NodeProto,
    pub conditions: Vec<(String, bool)>,
}

/// Lays the branches of every `If` before it. What is left of the `If` reads its condition, then the outputs
/// of the branch that runs where that is true, then those of the other.
///
/// # Errors
///
/// Names the file, the node, and what is wrong with it.
pub fn inline(nodes: Vec<NodeProto>, place: &str) -> Result<Vec<Conditional>> {
    let mut inlining = Inlining {
        place,
        nodes: Vec::with_capacity(nodes.len()),
        parts: 0,
    };
    inlining.add(nodes, &HashMap::new(), &[])?;
    Ok(inlining.nodes)
}

struct Inlining<'a> {
    /// The file, for errors.
    place: &'a str,
    nodes: Vec<Conditional>,
    /// Parts of all branches so far.
    parts: usize,
}

impl Inlining<'_> {
    /// Adds nodes that run under conditions; `renamed` are the names that are others out here.
    fn add(
        &mut self,
        nodes: Vec<NodeProto>,
        renamed: &HashMap<String, String>,
        conditions: &[(String, bool)],
    ) -> Result<()> {
        for mut node in nodes {
            for name in node.input.iter_mut().chain(&mut node.output) {
                if let Some(other) = renamed.get(name) {
                    name.clone_from(other);
                }
            }
            let domain = node.domain.as_deref().unwrap_or_default();
            if node.op_type.as_deref() == Some("If") && matches!(domain, "" | "ai.onnx") {
                self.add_branches(&mut node, renamed, conditions)?;
            }
            let conditions = conditions.to_vec();
            self.nodes.push(Conditional { node, conditions });
        }
        Ok(())
    }

    /// Adds the nodes of both branches, and makes the node read what they make.
    fn add_branches(
        &mut self,
        node: &mut NodeProto,
        renamed: &HashMap<String, String>,
        conditions: &[(String, bool)],
    ) -> Result<()> {
        let first = node.output.first().cloned().unwrap_or_default();
        let name = node.name.as_ref().filter(|name| !name.is_empty());
        let name = quoted(name.unwrap_or(&first));
        let place = format!("{}: node {name} (If)", self.place);
        let place = || place.clone();
        let condition = match &node.input[..] {
            [condition] if conditions.len() < MOST_LEVELS => condition.clone(),
            [_] => return invalid("branches in too many branches").place(place),
            _ => return invalid("has no condition, or several").place(place),
        };
        let attributes = std::mem::take(&mut node.attribute);
        for (name, is_true) in [("then_branch", true), ("else_branch", false)] {
            let branch = self.branch(&attributes, name).place(place)?;
            if branch.output.len() != node.output.len() {
                return invalid(format!("the {name} makes another number of outputs")).place(place);
            }
            let own = |name: &str| format!("{first}/{name}/{is_true}");
            let mut names = renamed.clone();
            let made = branch.node.iter().flat_map(|node| &node.output);
            let made = made.filter(|name| !name.is_empty());
            names.extend(made.map(|name| (name.clone(), own(name))));
            let outputs = branch.output.iter().map(|output| {
                let name = output.name.clone().unwrap_or_default();
                names.get(&name).cloned().unwrap_or(name)
            });
            node.input.extend(outputs);
            let conditions = [conditions, &[(condition.clone(), is_true)]].concat();
            self.add(branch.node, &names, &conditions)?;
        }
        Ok(())
    }

    /// Returns a branch, its constants as nodes.
    fn branch(&mut self, attributes: &[AttributeProto], name: &str) -> Outcome<GraphProto> {
        let mut named = attributes
            .iter()
            .filter(|attribute| attribute.name.as_deref() == Some(name));
        let Some(bytes) = named.next().and_then(|attribute| attribute.g.clone()) else {
            return invalid(format!("has no {name}"));
        };
        census::check_graph(&bytes, &mut self.parts)?;
        let Ok(mut branch) = GraphProto::decode(bytes) else {
            return invalid(format!("the {name} is no graph"));
        };
        if !branch.input.is_empty() || !branch.sparse_initializer.is_empty() {
            return unsupported(format!("the {name} has inputs, or sparse initialisers"));
        }
        let constants = std::mem::take(&mut branch.initializer).into_iter();
        let constants = constants.map(|tensor| NodeProto {
            output: vec![tensor.name.clone().unwrap_or_default()],
            op_type: Some("Constant".into()),
            attribute: vec![AttributeProto {
                name: Some("value".into()),
                r#type: Some(attribute_type::TENSOR),
                t: Some(Box::new(tensor)),
                ..AttributeProto::default()
            }],
            ..NodeProto::default()
        });
        branch.node = constants.chain(branch.node).collect();
        Ok(branch)
    }
}
