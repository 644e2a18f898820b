//! Operators that pick elements out of a value or put them into another order.
//!
//! What such an operator does to any numbers it does to the numbers of their places: those go
//! through it as a constant, and what comes out says which elements were picked.

use std::rc::Rc;

use super::arithmetic::integers;
use super::constants::arrange::Sizes;
use super::constants::of_inputs;
use super::copies::picked;
use super::draft::Stage;
use super::layout::AxisLayout;
use super::lowering::Lowering;
use super::reshape::reshaped;
use super::value::{Constant, Scores, Value, Wire};
use crate::import::fault::{Outcome, unsupported};
use crate::import::network::Tail;
use crate::import::onnx::{Node, Tensor};

/// Returns whether an operator moves elements and does nothing else to them.
pub fn moves(operator: &str) -> bool {
    const MOVING: [&str; 10] = [
        "Identity",
        "Dropout",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Transpose",
        "Gather",
        "Slice",
        "ArrayFeatureExtractor",
    ];
    MOVING.contains(&operator)
}

/// Returns scores with the classes that a node picks out of them.
///
/// # Errors
///
/// A sentence where no label is left.
pub fn of_scores(lowering: &mut Lowering<'_>, node: &Node, scores: Scores) -> Outcome<Scores> {
    let (places, shape) = places(lowering, node, &scores.shape)?;
    let in_order = |count: usize| places.iter().copied().eq(0..count as u32);
    if scores.is_label() {
        // Of the best classes the first is the label.
        if !in_order(scores.shape.iter().product()) && places != [0] {
            return unsupported("picks another class than the best");
        }
        return Ok(Scores { shape, ..scores });
    }
    let count = scores.count();
    if in_order(count) {
        return Ok(Scores { shape, ..scores });
    }
    let mut sorted = places.clone();
    sorted.sort_unstable();
    let keeps_all = sorted.into_iter().eq(0..count as u32);
    if !keeps_all && scores.tail != Tail::None {
        if places.len() < 2 {
            return unsupported(
                "picks the probability of one class, which is no label: export all of them",
            );
        }
        let note = format!(
            "The file picks {} of its {count} probabilities; the logits are those of the classes \
             picked.",
            places.len()
        );
        lowering.draft.notes.push(note);
    }
    let before = |place: u32| match &scores.picks {
        Some(picks) => picks[place as usize],
        None => place,
    };
    let class = |classes: &Vec<i64>| places.iter().map(|&p| classes[p as usize]).collect();
    Ok(Scores {
        picks: Some(places.iter().map(|&place| before(place)).collect()),
        tail: if keeps_all { scores.tail } else { Tail::None },
        classes: scores.classes.as_ref().map(class),
        shape,
        ..scores
    })
}

/// Lowers an operator that picks elements of a value.
///
/// # Errors
///
/// A sentence where images of a batch are picked too.
pub fn of_wire(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Value> {
    if node.operator == "Gather" && matches!(lowering.value(node.input(0)?)?, Value::Constant(_)) {
        return unsupported("looks up a table by what it reads");
    }
    let wire = lowering.wire(node, 0)?;
    let shape = wire.layout.shape();
    // Two images tell whether the same is picked of each.
    let (places, made) = places(lowering, node, &[vec![2], shape.clone()].concat())?;
    let count = wire.layout.count() as u32;
    let (first, second) = places.split_at(places.len() / 2);
    let is_of_each = made.first() == Some(&2)
        && first.iter().all(|&place| place < count)
        && second
            .iter()
            .copied()
            .eq(first.iter().map(|place| place + count));
    if !is_of_each || first.is_empty() {
        return unsupported("picks images out of the batch, or nothing");
    }
    if first.iter().copied().eq(0..count) {
        let layout = wire.layout.reshape(&made[1..])?;
        return Ok(Value::Wire(Wire { layout, ..wire }));
    }
    if shape.iter().filter(|&&size| size != 1).count() > 1 {
        let picks = first.to_vec();
        return picked(lowering, node, &wire, picks, &made[1..]).map(Value::Wire);
    }
    let name = lowering.name(node, None);
    let (value, order) = lowering.draft.flat(&wire)?;
    let root = pick(lowering, value, in_storage(first, order.as_deref()), name)?;
    let layout = AxisLayout::plain(&made[1..]);
    Ok(Value::Wire(Wire {
        layout,
        ..lowering.draft.output(root, &[])
    }))
}

/// Returns picks as places in a list; `order` are the places of the elements that are picked from.
pub fn in_storage(picks: &[u32], order: Option<&[u32]>) -> Vec<u32> {
    match order {
        None => picks.to_vec(),
        Some(order) => picks.iter().map(|&pick| order[pick as usize]).collect(),
    }
}

/// Adds a step that picks elements of a list, and returns its value.
///
/// # Errors
///
/// A sentence where they are too many.
pub fn pick(
    lowering: &mut Lowering<'_>,
    value: usize,
    picks: Vec<u32>,
    name: Option<String>,
) -> Outcome<usize> {
    let shape = vec![picks.len()];
    lowering.draft.spend(picks.len())?;
    lowering
        .draft
        .push(Stage::Pick(picks), vec![value], shape, name)
}

/// Returns the places, in a value of a shape, of the elements that a node makes of its first
/// input, and their shape.
fn places(
    lowering: &mut Lowering<'_>,
    node: &Node,
    shape: &[usize],
) -> Outcome<(Vec<u32>, Vec<usize>)> {
    let count: usize = shape.iter().product();
    lowering.draft.spend(count)?;
    let numbers = Tensor::integers(shape.to_vec(), (0..count as i64).collect());
    let mut inputs = vec![Some(Rc::new(Constant::new(numbers)))];
    for index in 1..node.inputs.len() {
        inputs.push(lowering.optional_constant(node, index)?);
    }
    let axes = |inputs: &[Option<Rc<Constant>>]| {
        node.has("axes") || inputs.get(1).is_some_and(Option::is_some)
    };
    let all = || (0..count as u32).collect();
    if node.operator == "Squeeze" && !axes(&inputs) {
        // The batch stays.
        let (batch, rest) = shape.split_at(1.min(shape.len()));
        let squeezed = Sizes(rest).squeezed(None)?;
        return Ok((all(), [batch, &squeezed].concat()));
    }
    if let ("Reshape", Some(Some(target)), Some((&1, image))) =
        (node.operator.as_str(), inputs.get(1), shape.split_first())
    {
        let zero_is_zero = node.integer("allowzero", 0)? != 0;
        if let Ok(made) = reshaped(image, integers(&target.tensor)?, zero_is_zero) {
            return Ok((all(), [vec![1], made].concat()));
        }
    }
    let Some(moved) = of_inputs(lowering, node, &inputs)? else {
        return unsupported("moves elements in a way that is not known");
    };
    let places = integers(&moved.tensor)?
        .iter()
        .map(|&place| place as u32)
        .collect();
    Ok((places, moved.tensor.shape))
}
