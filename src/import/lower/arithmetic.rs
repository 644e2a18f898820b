//! Arithmetic on constants, with ONNX's broadcasting.

use std::borrow::Cow;

use super::expression::elementary;
use super::value::Constant;
use crate::import::fault::{Outcome, invalid, unsupported};
use crate::import::onnx::Tensor;
use crate::import::onnx::tensor::{Data, element_count};

/// Where each element of a larger shape finds its number in a smaller one.
#[derive(Debug)]
pub struct Spread {
    /// Size and stride of each axis of the larger shape, and stride in the smaller.
    axes: Vec<[usize; 3]>,
}

impl Spread {
    /// Returns how `small` spreads over `large`.
    ///
    /// # Errors
    ///
    /// A sentence where it does not.
    pub fn new(small: &[usize], large: &[usize]) -> Outcome<Self> {
        let fits = small.len() <= large.len()
            && small
                .iter()
                .rev()
                .zip(large.iter().rev())
                .all(|(&s, &l)| s == l || s == 1);
        if !fits {
            return invalid(format!("shape {small:?} does not spread over {large:?}"));
        }
        let mut axes = Vec::with_capacity(large.len());
        let (mut large_stride, mut small_stride) = (1, 1);
        for (index, &size) in large.iter().rev().enumerate() {
            let own = small.iter().rev().nth(index).copied().unwrap_or(1);
            axes.push([size, large_stride, if own == 1 { 0 } else { small_stride }]);
            large_stride *= size;
            small_stride *= own;
        }
        Ok(Self { axes })
    }

    /// Returns the index in the smaller shape.
    pub fn index(&self, element: usize) -> usize {
        let part = |&[size, stride, own]: &[usize; 3]| element / stride % size * own;
        self.axes.iter().map(part).sum()
    }
}

/// Returns the shape that two shapes spread over.
///
/// # Errors
///
/// A sentence where there is none or it is too large.
pub fn common_shape(left: &[usize], right: &[usize]) -> Outcome<Vec<usize>> {
    let rank = left.len().max(right.len());
    let size = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |axis| shape[axis])
    };
    let mut shape = Vec::with_capacity(rank);
    for axis in 0..rank {
        match (size(left, axis), size(right, axis)) {
            (one, other) if one == other || other == 1 => shape.push(one),
            (1, other) => shape.push(other),
            _ => {
                return invalid(format!(
                    "shapes {left:?} and {right:?} do not fit each other"
                ));
            }
        }
    }
    element_count(&shape)?;
    Ok(shape)
}

/// Returns `left operator right`, of the shape that both spread over.
///
/// # Errors
///
/// A sentence where the numbers do not allow it.
pub fn binary(operator: &str, left: &Tensor, right: &Tensor) -> Outcome<Tensor> {
    let shape = common_shape(&left.shape, &right.shape)?;
    let spread = [
        Spread::new(&left.shape, &shape)?,
        Spread::new(&right.shape, &shape)?,
    ];
    let count = element_count(&shape)?;
    let at = |element: usize| (spread[0].index(element), spread[1].index(element));
    // An exponent may be whole where its base is not.
    let exponents = match (operator, &left.data) {
        ("Pow", Data::Float(_)) => Some(Data::Float(floats(right)?.into_owned())),
        _ => None,
    };
    let data = match (&left.data, exponents.as_ref().unwrap_or(&right.data)) {
        (Data::Float(left), Data::Float(right)) => {
            let value = |element| {
                let (l, r) = at(element);
                float(operator, left[l], right[r])
            };
            Data::Float((0..count).map(value).collect::<Outcome<_>>()?)
        }
        (Data::Integer { kind, values: left }, Data::Integer { values: right, .. }) => {
            let value = |element| {
                let (l, r) = at(element);
                integer(operator, left[l], right[r])
            };
            let values = (0..count).map(value).collect::<Outcome<_>>()?;
            Data::Integer {
                kind: *kind,
                values,
            }
        }
        _ => return unsupported("constants of different types"),
    };
    Ok(Tensor { shape, data })
}

fn float(operator: &str, left: f32, right: f32) -> Outcome<f32> {
    let value = match operator {
        "Add" => left + right,
        "Sub" => left - right,
        "Mul" => left * right,
        "Div" => left / right,
        _ => left.powf(right),
    };
    finite(value)
}

fn integer(operator: &str, left: i64, right: i64) -> Outcome<i64> {
    let value = match operator {
        "Add" => left.checked_add(right),
        "Sub" => left.checked_sub(right),
        "Mul" => left.checked_mul(right),
        "Div" => left.checked_div(right),
        _ => u32::try_from(right)
            .ok()
            .and_then(|power| left.checked_pow(power)),
    };
    match value {
        Some(value) => Ok(value),
        None => invalid(format!("{operator} of {left} and {right} is out of range")),
    }
}

/// Returns a function of each float.
///
/// # Errors
///
/// A sentence where a result is no finite number.
pub fn unary(operator: &str, tensor: &Tensor) -> Outcome<Tensor> {
    if let ("Neg" | "Abs", Data::Integer { kind, values }) = (operator, &tensor.data) {
        let value = |&value: &i64| match operator {
            "Neg" => integer("Sub", 0, value),
            _ if value < 0 => integer("Sub", 0, value),
            _ => Ok(value),
        };
        return Ok(Tensor {
            shape: tensor.shape.clone(),
            data: Data::Integer {
                kind: *kind,
                values: values.iter().map(value).collect::<Outcome<_>>()?,
            },
        });
    }
    let Data::Float(values) = &tensor.data else {
        return unsupported(format!("{operator} of constants that are no floats"));
    };
    let function = |value: f32| match (operator, elementary(operator)) {
        ("Sqrt", _) => value.sqrt(),
        ("Exp", _) => value.exp(),
        ("Log", _) => value.ln(),
        (_, Some(elementary)) => elementary.value(value.into()) as f32,
        _ => -value,
    };
    let values = values.iter().map(|&value| finite(function(value)));
    Ok(Tensor::floats(
        tensor.shape.clone(),
        values.collect::<Outcome<_>>()?,
    ))
}

fn finite(value: f32) -> Outcome<f32> {
    if value.is_finite() {
        return Ok(value);
    }
    unsupported(format!("a constant becomes {value}"))
}

/// Returns the numbers of a constant as floats: a file may write whole ones as integers.
///
/// # Errors
///
/// A sentence where it has none.
pub fn floats(tensor: &Tensor) -> Outcome<Cow<'_, [f32]>> {
    match &tensor.data {
        Data::Float(values) => Ok(values.into()),
        Data::Integer { values, .. } => Ok(values.iter().map(|&value| value as f32).collect()),
        Data::Text => invalid("a constant that should hold numbers holds text"),
    }
}

/// Returns the numbers of a constant as floats, all of them finite.
///
/// # Errors
///
/// A sentence where it has none or one is not.
pub fn finite_floats(tensor: &Tensor) -> Outcome<Cow<'_, [f32]>> {
    let values = floats(tensor)?;
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => unsupported(format!("a constant is {value}")),
        None => Ok(values),
    }
}

/// Returns the integers of a constant.
///
/// # Errors
///
/// A sentence where it has none.
pub fn integers(tensor: &Tensor) -> Outcome<&[i64]> {
    match &tensor.data {
        Data::Integer { values, .. } => Ok(values),
        _ => invalid("a constant that should hold integers holds something else"),
    }
}

/// Returns the one number that all elements are, if they are one.
///
/// # Errors
///
/// A sentence where the constant holds no numbers or none at all.
pub fn uniform(constant: &Constant) -> Outcome<Option<f32>> {
    let values = floats(&constant.tensor)?;
    match values.split_first() {
        None => invalid("a constant of no elements"),
        Some((first, rest)) => Ok(rest.iter().all(|value| value == first).then_some(*first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_spread_from_the_right() {
        let left = Tensor::floats(vec![2, 1], vec![1.0, 2.0]);
        let right = Tensor::floats(vec![3], vec![10.0, 20.0, 30.0]);
        let sum = binary("Add", &left, &right).unwrap();
        let expected = vec![11.0, 21.0, 31.0, 12.0, 22.0, 32.0];
        assert_eq!(sum, Tensor::floats(vec![2, 3], expected));
        let other = Tensor::floats(vec![2], vec![1.0, 2.0]);
        assert!(binary("Add", &right, &other).is_err());
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let zero = Tensor::floats(vec![], vec![0.0]);
        let one = Tensor::floats(vec![], vec![1.0]);
        assert!(binary("Div", &one, &zero).is_err());
        assert!(unary("Log", &zero).is_err());
        let least = Tensor::integers(vec![1], vec![i64::MIN]);
        let minus = Tensor::integers(vec![1], vec![-1]);
        assert!(binary("Div", &least, &minus).is_err());
        assert!(binary("Pow", &least, &least).is_err());
        assert!(unary("Neg", &least).is_err() && unary("Sqrt", &minus).is_err());
    }

    #[test]
    fn whole_numbers_stand_for_floats() {
        let base = Tensor::floats(vec![2], vec![3.0, 0.5]);
        let two = Tensor::integers(vec![], vec![2]);
        let square = Tensor::floats(vec![2], vec![9.0, 0.25]);
        assert_eq!(binary("Pow", &base, &two).unwrap(), square);
        assert!(binary("Mul", &base, &two).is_err());
        assert_eq!(uniform(&Constant::new(two)).unwrap(), Some(2.0));
        let minus = Tensor::integers(vec![2], vec![-3, 4]);
        assert_eq!(
            unary("Abs", &minus).unwrap(),
            Tensor::integers(vec![2], vec![3, 4])
        );
    }

    #[test]
    fn uniform_constants_are_one_number() {
        let constant = |values: Vec<f32>| Constant::new(Tensor::floats(vec![values.len()], values));
        assert_eq!(uniform(&constant(vec![2.0, 2.0])).unwrap(), Some(2.0));
        assert_eq!(uniform(&constant(vec![2.0, 3.0])).unwrap(), None);
        assert!(uniform(&constant(vec![])).is_err());
    }

    #[test]
    fn two_shapes_spread_over_one() {
        for (left, right, expected) in [
            (&[2, 1][..], &[3][..], Some(vec![2, 3])),
            (&[], &[4], Some(vec![4])),
            (&[1, 5], &[4, 1], Some(vec![4, 5])),
            (&[2], &[3], None),
            (&[2, 3], &[2, 1, 2], None),
        ] {
            assert_eq!(
                common_shape(left, right).ok(),
                expected,
                "{left:?} {right:?}"
            );
        }
    }

    #[test]
    fn an_axis_of_one_number_repeats_it() {
        for (small, expected) in [
            (&[2, 1][..], [0, 0, 0, 1, 1, 1]),
            (&[3], [0, 1, 2, 0, 1, 2]),
            (&[2, 3], [0, 1, 2, 3, 4, 5]),
            (&[], [0; 6]),
        ] {
            let spread = Spread::new(small, &[2, 3]).unwrap();
            let found: Vec<usize> = (0..6).map(|element| spread.index(element)).collect();
            assert_eq!(found, expected, "{small:?}");
        }
        assert!(Spread::new(&[2, 3], &[3]).is_err() && Spread::new(&[2], &[3]).is_err());
    }

    #[test]
    fn numbers_are_of_the_kind_that_is_asked_for() {
        let infinite = Tensor::floats(vec![2], vec![1.0, f32::INFINITY]);
        assert!(floats(&infinite).is_ok() && finite_floats(&infinite).is_err());
        assert!(integers(&infinite).is_err());
        assert_eq!(integers(&Tensor::integers(vec![1], vec![7])).unwrap(), [7]);
    }
}
