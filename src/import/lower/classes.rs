//! What a file calls the classes: its labels need not count from zero, nor in the order of the
//! outputs.

use super::arithmetic::integers;
use super::lowering::Lowering;
use super::value::Scores;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::tensor::Data;
use crate::import::onnx::{Node, Tensor};

/// Returns the scores of a `LinearClassifier`, with its class list.
///
/// # Errors
///
/// A sentence where the list does not fit the scores.
pub fn of_classifier(lowering: &mut Lowering<'_>, node: &Node, scores: Scores) -> Outcome<Scores> {
    listed(
        lowering,
        node,
        "classlabels_ints",
        "classlabels_strings",
        scores,
    )
}

/// Lowers `ZipMap`: scores with the names of their classes.
///
/// # Errors
///
/// A sentence where the list does not fit the scores.
pub fn zip_map(lowering: &mut Lowering<'_>, node: &Node, scores: Scores) -> Outcome<Scores> {
    listed(
        lowering,
        node,
        "classlabels_int64s",
        "classlabels_strings",
        scores,
    )
}

/// Returns scores whose classes are listed in one of two attributes.
fn listed(
    lowering: &mut Lowering<'_>,
    node: &Node,
    numbers: &str,
    texts: &str,
    scores: Scores,
) -> Outcome<Scores> {
    match node.integers(numbers)? {
        Some(list) if !list.is_empty() => named(scores, list.to_vec()),
        _ if node.has(texts) => {
            tell_of_texts(lowering);
            Ok(scores)
        }
        _ => invalid(format!("has neither {numbers} nor {texts}")),
    }
}

/// Lowers what finds the class of a label in a list: `Gather` and `ArrayFeatureExtractor` of a
/// constant.
///
/// # Errors
///
/// A sentence where the list does not fit the label.
pub fn look_up(lowering: &mut Lowering<'_>, node: &Node, label: Scores) -> Outcome<Scores> {
    let list = lowering.constant(node, 0)?;
    let is_gather = node.operator == "Gather";
    let tensor = &list.tensor;
    let axes = tensor.shape.iter().filter(|&&size| size != 1).count();
    if axes > 1 || is_gather && (tensor.shape.len() != 1 || node.integer("axis", 0)? > 0) {
        return unsupported(format!("a list of classes of shape {:?}", tensor.shape));
    }
    let shape = if is_gather {
        label.shape.clone()
    } else {
        vec![1, label.shape.iter().product()]
    };
    let label = Scores { shape, ..label };
    let Some(names) = whole_numbers(tensor) else {
        if tensor.count() != label.count() {
            return misfit(tensor.count(), &label);
        }
        tell_of_texts(lowering);
        return Ok(label);
    };
    match label.classes.clone() {
        None => named(label, names),
        Some(indices) => {
            let name = |&index: &i64| match usize::try_from(index) {
                Ok(index) if index < names.len() => Ok(names[index]),
                _ => invalid(format!(
                    "looks class {index} up in a list of {}",
                    names.len()
                )),
            };
            let names = indices.iter().map(name).collect::<Outcome<Vec<_>>>()?;
            named(
                Scores {
                    classes: None,
                    ..label
                },
                names,
            )
        }
    }
}

/// Returns the whole numbers that a constant holds, if it does.
fn whole_numbers(tensor: &Tensor) -> Option<Vec<i64>> {
    match &tensor.data {
        Data::Integer { values, .. } => Some(values.clone()),
        Data::Float(values) if values.iter().all(|value| value.fract() == 0.0) => {
            Some(values.iter().map(|&value| value as i64).collect())
        }
        _ => None,
    }
}

/// Lowers `LabelEncoder` of a label: classes by other names.
///
/// # Errors
///
/// A sentence where it does not map whole numbers.
pub fn encode(lowering: &mut Lowering<'_>, node: &Node, label: Scores) -> Outcome<Scores> {
    let list = |name: &str, tensor: &str| -> Outcome<Option<Vec<i64>>> {
        match (node.integers(name)?, node.tensor(tensor)?) {
            (Some(values), _) => Ok(Some(values.to_vec())),
            (None, Some(tensor)) if !matches!(tensor.data, Data::Text) => {
                integers(tensor).map(|values| Some(values.to_vec()))
            }
            _ => Ok(None),
        }
    };
    let Some(keys) = list("keys_int64s", "keys_tensor")? else {
        return unsupported("a label encoder whose keys are no whole numbers");
    };
    let Some(values) = list("values_int64s", "values_tensor")? else {
        if !node.has("values_strings") && !node.has("values_tensor") {
            return unsupported("a label encoder whose values are neither whole numbers nor text");
        }
        tell_of_texts(lowering);
        return Ok(Scores {
            classes: None,
            ..label
        });
    };
    if keys.len() != values.len() {
        return invalid(format!("{} keys for {} values", keys.len(), values.len()));
    }
    let default = node.integer("default_int64", -1)?;
    let old = label.classes.clone();
    let old = old.unwrap_or_else(|| (0..label.count() as i64).collect());
    let name = |class: &i64| {
        let place = keys.iter().position(|key| key == class);
        place.map_or(default, |place| values[place])
    };
    let names = old.iter().map(name).collect();
    named(
        Scores {
            classes: None,
            ..label
        },
        names,
    )
}

/// Returns scores whose classes have these names.
fn named(scores: Scores, names: Vec<i64>) -> Outcome<Scores> {
    if names.len() != scores.count() {
        return misfit(names.len(), &scores);
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return unsupported(format!(
            "several outputs for the class {}; each needs a name of its own",
            pair[0]
        ));
    }
    if scores.classes.as_ref().is_some_and(|other| *other != names) {
        return unsupported("names the classes otherwise than a node before it");
    }
    Ok(Scores {
        classes: Some(names),
        ..scores
    })
}

fn misfit<T>(count: usize, scores: &Scores) -> Outcome<T> {
    invalid(format!(
        "a list of {count} classes for {} outputs",
        scores.count()
    ))
}

/// Says that classes have names that are no numbers.
fn tell_of_texts(lowering: &mut Lowering<'_>) {
    let note = "The file's classes have names that are no whole numbers: labels count its outputs \
                from 0, in their order.";
    if !lowering.draft.notes.iter().any(|other| other == note) {
        lowering.draft.notes.push(note.into());
    }
}
