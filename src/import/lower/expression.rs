//! Functions of one number, put together from the operators of a file: polynomials stay
//! polynomials, the rest becomes chains, sums and products.

use crate::import::fault::{Fault, Outcome};
use crate::model::layer::Function;
use crate::model::layer::function::{Elementary, HardSigmoid, Polynomial};

/// The highest power of one polynomial, and the highest exponent of `Pow`; a product beyond it stays
/// a product.
pub const HIGHEST_POWER: usize = 16;

/// Returns `scale · x + offset`.
pub fn line(scale: f64, offset: f64) -> Function {
    polynomial(vec![offset, scale])
}

/// Returns the number itself.
pub fn constant(value: f64) -> Function {
    polynomial(vec![value])
}

/// Returns a number of the file as a person would write it: 0.1 rather than the double next to
/// the float next to 0.1.
pub fn short(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}

/// Returns the scale and offset of a function that is a line.
pub fn as_line(function: &Function) -> Option<(f64, f64)> {
    match coefficients(function)?[..] {
        [] => Some((0.0, 0.0)),
        [offset] => Some((0.0, offset)),
        [offset, scale] => Some((scale, offset)),
        _ => None,
    }
}

/// Returns the elementary function that an operator is.
pub fn elementary(operator: &str) -> Option<Elementary> {
    Some(match operator {
        "Abs" => Elementary::Abs,
        "Ceil" => Elementary::Ceil,
        "Cos" => Elementary::Cos,
        "Erf" => Elementary::Erf,
        "Exp" => Elementary::Exp,
        "Floor" => Elementary::Floor,
        "Log" => Elementary::Log,
        "Reciprocal" => Elementary::Reciprocal,
        "Round" => Elementary::Round,
        "Sign" => Elementary::Sign,
        "Sin" => Elementary::Sin,
        "Softplus" => Elementary::Softplus,
        "Sqrt" => Elementary::Sqrt,
        "Tan" => Elementary::Tan,
        _ => return None,
    })
}

/// Returns how many numbers and parts a function holds.
pub fn size(function: &Function) -> usize {
    match function {
        Function::Polynomial(polynomial) => 1 + polynomial.coefficients.len(),
        Function::Chain(parts)
        | Function::Sum(parts)
        | Function::Product(parts)
        | Function::Select(parts) => 1 + parts.iter().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// Returns `second(first(x))`.
///
/// # Errors
///
/// A sentence where it is too long or has numbers that are not finite.
pub fn chain(first: &Function, second: Function) -> Outcome<Function> {
    if let (Some(inner), Some((scale, offset))) = (coefficients(first), as_line(&second)) {
        let mut terms: Vec<f64> = inner.iter().map(|term| term * scale).collect();
        match terms.first_mut() {
            Some(term) => *term += offset,
            None => terms.push(offset),
        }
        return checked(polynomial(terms));
    }
    let mut parts = Vec::new();
    for function in [first.clone(), second] {
        match function {
            Function::Identity => {}
            Function::Chain(inner) => parts.extend(inner),
            other => parts.push(other),
        }
    }
    checked(match parts.len() {
        0 => Function::Identity,
        1 => parts.remove(0),
        _ => Function::Chain(parts),
    })
}

/// Returns `left(x) + right(x)`.
///
/// # Errors
///
/// As [`chain`].
pub fn sum(left: &Function, right: &Function) -> Outcome<Function> {
    if let (Some(left), Some(right)) = (coefficients(left), coefficients(right)) {
        let mut terms = vec![0.0; left.len().max(right.len())];
        for side in [left, right] {
            terms
                .iter_mut()
                .zip(side)
                .for_each(|(term, other)| *term += other);
        }
        return checked(polynomial(terms));
    }
    let mut parts = Vec::new();
    for side in [left, right] {
        match side {
            Function::Sum(inner) => parts.extend(inner.iter().cloned()),
            other => parts.push(other.clone()),
        }
    }
    checked(Function::Sum(parts))
}

/// Returns `left(x) · right(x)`.
///
/// # Errors
///
/// As [`chain`].
pub fn product(left: &Function, right: &Function) -> Outcome<Function> {
    if let (Some(left), Some(right)) = (coefficients(left), coefficients(right))
        && left.len() + right.len() <= HIGHEST_POWER + 2
    {
        let mut terms = vec![0.0; (left.len() + right.len()).saturating_sub(1)];
        for (power, factor) in left.iter().enumerate() {
            for (other_power, other) in right.iter().enumerate() {
                terms[power + other_power] += factor * other;
            }
        }
        return checked(polynomial(terms));
    }
    for (one, other) in [(left, right), (right, left)] {
        if *one == Function::Identity && is_hard_swish_gate(other) {
            return Ok(Function::HardSwish);
        }
    }
    let mut parts = Vec::new();
    for side in [left, right] {
        match side {
            Function::Product(inner) => parts.extend(inner.iter().cloned()),
            other => parts.push(other.clone()),
        }
    }
    checked(Function::Product(parts))
}

/// Returns whether this is the factor that makes `x` a hard swish.
fn is_hard_swish_gate(function: &Function) -> bool {
    let near = |value: f64, target: f64| (value - target).abs() < 1e-6;
    matches!(function, Function::HardSigmoid(HardSigmoid { alpha, beta })
        if near(*alpha, 1.0 / 6.0) && near(*beta, 0.5))
}

/// Returns the polynomial without leading zeros, as the identity where it is that.
fn polynomial(mut coefficients: Vec<f64>) -> Function {
    while coefficients.len() > 1 && coefficients.last() == Some(&0.0) {
        coefficients.pop();
    }
    if coefficients == [0.0, 1.0] {
        Function::Identity
    } else {
        Function::Polynomial(Polynomial { coefficients })
    }
}

fn coefficients(function: &Function) -> Option<Vec<f64>> {
    match function {
        Function::Identity => Some(vec![0.0, 1.0]),
        Function::Polynomial(polynomial) => Some(polynomial.coefficients.clone()),
        _ => None,
    }
}

/// Returns a function that is not too long and whose numbers are finite.
///
/// # Errors
///
/// A sentence where it is not so.
pub fn checked(function: Function) -> Outcome<Function> {
    match function.check() {
        Ok(()) => Ok(function),
        Err(reason) => Err(Fault::Unsupported(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_out_of_single_operators_is_one_polynomial() {
        let square = product(&Function::Identity, &Function::Identity).unwrap();
        let scaled = chain(&square, line(0.5, 0.0)).unwrap();
        let linear = chain(&Function::Identity, line(0.25, 0.0)).unwrap();
        let sum = chain(&sum(&scaled, &linear).unwrap(), line(1.0, 0.125)).unwrap();
        let coefficients = vec![0.125, 0.25, 0.5];
        assert_eq!(sum, Function::Polynomial(Polynomial { coefficients }));
        assert_eq!(as_line(&sum), None);
    }

    #[test]
    fn gates_become_products_and_hard_swish_is_known() {
        let swish = product(&Function::Identity, &Function::Sigmoid).unwrap();
        assert_eq!(
            swish,
            Function::Product(vec![Function::Identity, Function::Sigmoid])
        );
        let gate = Function::HardSigmoid(HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5,
        });
        assert_eq!(
            product(&gate, &Function::Identity).unwrap(),
            Function::HardSwish
        );
    }

    #[test]
    fn functions_that_double_forever_are_refused() {
        let mut function = Function::Sigmoid;
        let grown = (0..20).try_for_each(|_| {
            function = sum(&product(&function, &function)?, &function)?;
            Ok::<(), Fault>(())
        });
        assert!(grown.is_err());
    }

    #[test]
    fn lines_compose_to_lines() {
        let there = line(2.0, -1.0);
        let back = chain(&there, line(0.5, 0.5)).unwrap();
        assert_eq!(back, Function::Identity);
        assert_eq!(as_line(&constant(3.0)), Some((0.0, 3.0)));
    }

    #[test]
    fn a_power_beyond_the_highest_stays_a_product() {
        let power = |exponent: usize| {
            (0..exponent).try_fold(constant(1.0), |result, _| {
                product(&result, &Function::Identity)
            })
        };
        let highest = power(HIGHEST_POWER).unwrap();
        assert_eq!(coefficients(&highest).map(|of| of.len()), Some(17));
        let beyond = power(HIGHEST_POWER + 1).unwrap();
        assert_eq!(beyond, Function::Product(vec![highest, Function::Identity]));
    }

    #[test]
    fn chains_are_flat_and_leave_out_what_does_nothing() {
        let both = Function::Chain(vec![Function::Sigmoid, Function::Tanh]);
        let found = chain(&Function::Sigmoid, Function::Tanh).unwrap();
        assert_eq!(found, both);
        assert_eq!(chain(&both, Function::Identity).unwrap(), both);
        assert_eq!(
            chain(&Function::Identity, Function::Sigmoid).unwrap(),
            Function::Sigmoid
        );
        assert_eq!(size(&both), 3);
        // A polynomial of three numbers, in a chain of two parts.
        let square = polynomial(vec![0.0, 0.0, 1.0]);
        assert_eq!(size(&Function::Chain(vec![Function::Tanh, square])), 6);
    }

    #[test]
    fn sums_lose_powers_that_cancel() {
        let found = sum(&line(2.0, 1.0), &line(-2.0, 3.0)).unwrap();
        assert_eq!(found, constant(4.0));
        assert_eq!(short(0.1), 0.1);
    }
}
