//! Values whose first axis is not that of the batch. Moving their elements makes no layer; and what treats
//! all leading axes alike reads them as images that have one axis more.

use super::draft::NetworkDraft;
use super::lowering::Lowering;
use super::value::{ClientValue, Value, Wire};
use crate::import::fault::{Fault, Outcome, unsupported};
use crate::import::onnx::Node;
use crate::model::layer::pinned::{Attribute, Kind, Operator};

/// Functions of several values, and products, that mind the last axes alone.
const ALIKE: &[&str] = &[
    "Add", "Div", "Gemm", "MatMul", "Max", "Mean", "Min", "Mul", "Pow", "Sub", "Sum",
];

/// Lowers a node as `operator` would, its operands having an axis for the batch in front; none where it
/// is none that treats leading axes alike, or has no encrypted form either.
///
/// # Errors
///
/// A sentence where the node is wrong.
pub fn lower(
    lowering: &mut Lowering<'_>,
    node: &Node,
    operator: fn(&mut Lowering<'_>, &Node) -> Outcome<Vec<Value>>,
) -> Outcome<Option<Vec<Value>>> {
    let name = node.operator.as_str();
    let is_alike = ALIKE.contains(&name) || super::functions::is_function(name);
    if !is_alike {
        return Ok(None);
    }
    let Some(views) = views(lowering, node)? else {
        return Ok(None);
    };
    for (input, client) in &views {
        lowering.keep(*input, Value::Wire(client.wire.clone()));
    }
    let made = operator(lowering, node);
    for (input, client) in views {
        lowering.keep(input, Value::Client(client));
    }
    let made = match made {
        Err(Fault::Unsupported(_)) => return Ok(None),
        made => made?,
    };
    let viewed = made.into_iter().map(|value| match value {
        Value::Wire(wire) => Some(Value::Client(ClientValue {
            wire,
            kind: Kind::Float,
        })),
        _ => None,
    });
    Ok(viewed.collect())
}

/// Returns the operands of a node that are to be seen as images; none unless they are reals of one shape,
/// beside constants of no more axes.
fn views(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Option<Vec<(usize, ClientValue)>>> {
    let mut views: Vec<(usize, ClientValue)> = Vec::new();
    let mut most_axes = 0;
    for &input in node.inputs.iter().flatten() {
        match lowering.value(input)? {
            Value::Client(client) if client.kind == Kind::Float => {
                views.push((input, client.clone()));
            }
            Value::Constant(constant) => most_axes = most_axes.max(constant.tensor.shape.len()),
            _ => return Ok(None),
        }
    }
    let shapes = views.iter().map(|(_, client)| client.shape());
    let Some(first) = views.first().map(|(_, client)| client.shape()) else {
        return Ok(None);
    };
    let fits = shapes.into_iter().all(|shape| shape == first) && most_axes <= first.len();
    Ok(fits.then_some(views))
}

/// Returns a value of the client's as those who read it see it: reals of one image, batch first, are what
/// any layer reads.
pub fn seen(wire: Wire, kind: Kind) -> Outcome<Value> {
    let shape = wire.layout.shape();
    Ok(match &shape[..] {
        [1, image @ ..] if kind == Kind::Float && !image.is_empty() => Value::Wire(Wire {
            layout: wire.layout.reshape(image)?,
            ..wire
        }),
        _ => Value::Client(ClientValue { wire, kind }),
    })
}

/// Returns whether an operator gives its elements, in their order, another shape.
pub fn is_reshape(operator: &Operator) -> bool {
    let names = ["Flatten", "Reshape", "Squeeze", "Unsqueeze"];
    operator.domain.is_empty() && names.contains(&operator.name.as_str())
}

/// Returns what an operator makes that moves elements and does nothing else, so that it has this shape;
/// none of others.
///
/// # Errors
///
/// A sentence where it moves them in no way that is known.
pub fn moved(
    draft: &mut NetworkDraft,
    operator: &Operator,
    client: &ClientValue,
    shape: &[usize],
) -> Outcome<Option<Value>> {
    let layout = &client.wire.layout;
    let layout = match operator.name.as_str() {
        "Identity" => layout.clone(),
        _ if is_reshape(operator) => match layout.reshape(shape) {
            Ok(layout) => layout,
            // What lies apart is to be laid together first.
            Err(_) => return Ok(None),
        },
        "Transpose" => {
            let rank = shape.len();
            let order = match operator.attributes.get("perm") {
                Some(Attribute::Integers(order)) => order
                    .iter()
                    .map(|&axis| usize::try_from(axis).ok())
                    .collect(),
                _ => Some((0..rank).rev().collect::<Vec<usize>>()),
            };
            match order {
                Some(order) => layout.transpose(&order)?,
                None => return unsupported("axes counted from the last"),
            }
        }
        _ => return Ok(None),
    };
    draft.spend(layout.count())?;
    let wire = Wire {
        layout,
        ..client.wire.clone()
    };
    seen(wire, client.kind).map(Some)
}
