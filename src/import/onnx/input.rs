//! The inputs of a graph: their shapes, and the types of their numbers.

use std::collections::HashMap;
use std::str::FromStr;

use super::names::Names;
use super::tensor::{IntegerKind, MOST_ACTIVATIONS, Tensor, element_count, is_float};
use crate::core::foreign::quoted;
use crate::core::onnx_schema::{DimensionProto, ValueInfoProto};
use crate::import::fault::{Outcome, invalid, unsupported};

/// The most inputs of a file.
const MOST_INPUTS: usize = 64;

/// The most axes of an input, with the batch.
const MOST_AXES: usize = 8;

/// One input of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphInput {
    /// What stands for it in the graph.
    pub value: usize,
    /// What the file calls it.
    pub name: String,
    /// Of one image, without the batch.
    pub shape: Vec<usize>,
    /// Whether the file has an axis for the batch before those.
    pub is_batched: bool,
    /// The type of its numbers where these are integers.
    pub kind: Option<IntegerKind>,
}

/// The shape that a person gives an input: `name=1x16`, the batch first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenShape {
    pub name: String,
    /// With the batch, which is one image.
    pub sizes: Vec<usize>,
}

impl FromStr for GivenShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.rsplit_once('=').and_then(|(name, sizes)| {
            let sizes = sizes.split('x').map(|size| size.trim().parse().ok());
            Some((name.to_owned(), sizes.collect::<Option<Vec<usize>>>()?))
        });
        match parsed {
            Some((name, sizes)) if sizes.len() > 1 && sizes[0] == 1 && !sizes.contains(&0) => {
                Ok(Self { name, sizes })
            }
            Some((_, sizes)) if sizes.len() > 1 && !sizes.contains(&0) => {
                Err("the first size is the batch, which is 1 here: name=1x16".into())
            }
            _ => Err("give an input's name and its sizes, the batch first: name=1x16".into()),
        }
    }
}

/// Returns the inputs that are no constants, in the file's order.
///
/// # Errors
///
/// A sentence where there are none or too many, one has no fixed shape, or one that is given does not fit.
pub(super) fn inputs(
    infos: &[ValueInfoProto],
    given: &[GivenShape],
    constants: &HashMap<usize, Tensor>,
    names: &mut Names,
) -> Outcome<Vec<GraphInput>> {
    let numbered = infos.iter().map(|info| (names.number(name_of(info)), info));
    let open: Vec<(usize, &ValueInfoProto)> = numbered
        .filter(|(value, _)| !constants.contains_key(value))
        .collect();
    // Before each is compared with the others.
    match open.len() {
        0 => return invalid("the graph has no input"),
        1..=MOST_INPUTS => {}
        count => return unsupported(format!("{count} inputs; at most {MOST_INPUTS} are read")),
    }
    check_names(&open, given)?;
    let mut inputs: Vec<GraphInput> = Vec::new();
    for (value, info) in open {
        let name = name_of(info);
        if inputs.iter().any(|input| input.value == value) {
            return invalid(format!("two inputs are called {}", quoted(name)));
        }
        let given = given.iter().rfind(|given| given.name == name);
        let InputType {
            shape,
            is_batched,
            kind,
        } = input_type(info, given.map(|given| &given.sizes[..]))?;
        inputs.push(GraphInput {
            value,
            name: name.to_owned(),
            shape,
            is_batched,
            kind,
        });
    }
    if inputs.iter().map(GraphInput::count).sum::<usize>() > MOST_ACTIVATIONS {
        return invalid(format!(
            "the inputs have more than {MOST_ACTIVATIONS} elements together"
        ));
    }
    Ok(inputs)
}

fn name_of(info: &ValueInfoProto) -> &str {
    info.name.as_deref().unwrap_or_default()
}

/// Checks that every given shape is that of an input.
fn check_names(inputs: &[(usize, &ValueInfoProto)], given: &[GivenShape]) -> Outcome<()> {
    let own = || inputs.iter().map(|(_, info)| name_of(info));
    let is_input = |given: &&GivenShape| own().any(|name| name == given.name);
    let Some(unknown) = given.iter().find(|given| !is_input(given)) else {
        return Ok(());
    };
    let names: Vec<String> = own().map(quoted).collect();
    invalid(format!(
        "--shape names {}, but the inputs are {}",
        quoted(&unknown.name),
        names.join(", ")
    ))
}

impl GraphInput {
    /// Returns the number of elements of one image.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What a file says of an input.
struct InputType {
    /// Without the batch.
    shape: Vec<usize>,
    is_batched: bool,
    /// The type of its numbers where these are integers.
    kind: Option<IntegerKind>,
}

/// Returns what a file says of an input. Of a single axis, which leaves no room for a batch, one of fixed
/// size is that of the image's elements.
fn input_type(info: &ValueInfoProto, given: Option<&[usize]>) -> Outcome<InputType> {
    let name = quoted(name_of(info));
    let tensor = info
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref());
    let Some(tensor) = tensor else {
        return unsupported(format!("input {name} is no tensor"));
    };
    let code = tensor.elem_type.unwrap_or(0);
    let kind = IntegerKind::from_code(code).filter(|kind| *kind != IntegerKind::Bool);
    if kind.is_none() && !is_float(code.into()) {
        return unsupported(format!("input {name} has no numbers but ONNX type {code}"));
    }
    let announced: Option<Vec<Option<usize>>> = tensor.shape.as_ref().map(|shape| {
        let size = |dim: &DimensionProto| {
            usize::try_from(dim.dim_value?)
                .ok()
                .filter(|size| *size > 0)
        };
        shape.dim.iter().map(size).collect()
    });
    let sizes = match (announced, given) {
        (None, None) => {
            return unsupported(format!("input {name} has no shape: give one by --shape"));
        }
        (None, Some(given)) => given.iter().copied().map(Some).collect(),
        (Some(announced), None) => announced,
        (Some(announced), Some(given)) => settled(&name, &announced, given)?,
    };
    if !(1..=MOST_AXES).contains(&sizes.len()) {
        return unsupported(format!(
            "input {name} has {} axes; 1 to {MOST_AXES} are read, the batch among them",
            sizes.len()
        ));
    }
    let is_batched = sizes.len() > 1;
    let Some(shape) = sizes[usize::from(is_batched)..]
        .iter()
        .copied()
        .collect::<Option<Vec<usize>>>()
    else {
        return unsupported(format!(
            "input {name} has an axis without a fixed size: give all by --shape, as in \
             --shape {}=1x16",
            name.trim_matches('"')
        ));
    };
    match element_count(&shape) {
        Ok(count) if count <= MOST_ACTIVATIONS => Ok(InputType {
            shape,
            is_batched,
            kind,
        }),
        _ => invalid(format!(
            "input {name} has more than {MOST_ACTIVATIONS} elements"
        )),
    }
}

/// Returns the sizes of an input as given, where they agree with those that the file fixes, the batch
/// aside.
fn settled(
    name: &str,
    announced: &[Option<usize>],
    given: &[usize],
) -> Outcome<Vec<Option<usize>>> {
    let agrees = |(announced, given): (&Option<usize>, &usize)| {
        announced.is_none_or(|announced| announced == *given)
    };
    let is_right =
        announced.len() == given.len() && announced.iter().zip(given).skip(1).all(agrees);
    if is_right {
        return Ok(given.iter().copied().map(Some).collect());
    }
    let size = |size: &Option<usize>| size.map_or("?".into(), |size| size.to_string());
    let fixed: Vec<String> = announced.iter().map(size).collect();
    invalid(format!(
        "--shape does not fit input {name}, which is {} in the file",
        fixed.join("x")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_shapes_name_an_input_and_one_image() {
        let parse = |text: &str| text.parse::<GivenShape>();
        let given = parse("a=b=1x3x16").unwrap();
        assert_eq!(
            (given.name.as_str(), &given.sizes[..]),
            ("a=b", &[1, 3, 16][..])
        );
        for wrong in ["x", "x=", "x=1", "x=1x0", "x=1x-2", "x=1x2.5", "1x16"] {
            assert!(parse(wrong).unwrap_err().contains("name=1x16"), "{wrong}");
        }
        assert!(parse("x=8x16").unwrap_err().contains("batch"));
    }

    #[test]
    fn too_many_inputs_are_counted_before_they_are_read() {
        let infos: Vec<ValueInfoProto> = (0..=MOST_INPUTS)
            .map(|index| ValueInfoProto {
                name: Some(index.to_string()),
                ..ValueInfoProto::default()
            })
            .collect();
        let refusal = |infos: &[ValueInfoProto]| {
            let fault = inputs(infos, &[], &HashMap::new(), &mut Names::default()).unwrap_err();
            format!("{fault:?}")
        };
        assert!(refusal(&infos).contains("65 inputs; at most 64 are read"));
        // One that is read has no type here.
        assert!(refusal(&infos[1..]).contains("is no tensor"));
        assert!(refusal(&[]).contains("no input"));
    }

    #[test]
    fn given_sizes_agree_with_those_that_the_file_fixes() {
        let settle = |given: &[usize]| settled("x", &[Some(8), None, Some(3)], given);
        assert_eq!(settle(&[1, 7, 3]).unwrap(), [Some(1), Some(7), Some(3)]);
        for wrong in [&[1, 7, 4][..], &[1, 7], &[1, 7, 3, 1]] {
            assert!(settle(wrong).is_err(), "{wrong:?}");
        }
    }
}
