//! The functions of single elements that have one node of their own: each as it is composed of the
//! functions that a model knows.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::arithmetic::uniform;
use super::expression::{HIGHEST_POWER, chain, constant, elementary, line, product, short, sum};
use super::lowering::Lowering;
use super::range::clip_range;
use crate::import::fault::{Outcome, unsupported};
use crate::import::onnx::Node;
use crate::model::layer::Function;
use crate::model::layer::function::{Clip, Elementary, HardSigmoid, LeakyRelu, Polynomial};

/// Returns whether the operator is such a function.
pub fn is_function(operator: &str) -> bool {
    const FUNCTIONS: [&str; 18] = [
        "Relu",
        "Clip",
        "LeakyRelu",
        "PRelu",
        "Sigmoid",
        "Tanh",
        "HardSigmoid",
        "HardSwish",
        "Swish",
        "Pow",
        "Neg",
        "Elu",
        "Selu",
        "Celu",
        "Gelu",
        "Softsign",
        "Mish",
        "Shrink",
    ];
    FUNCTIONS.contains(&operator)
        || matches!(operator, "ThresholdedRelu" | "Not")
        || elementary(operator).is_some()
}

/// Returns the function of an operator whose settings are single numbers.
///
/// # Errors
///
/// A sentence where a setting is none.
pub fn own_function(lowering: &mut Lowering<'_>, node: &Node) -> Outcome<Function> {
    if let Some(elementary) = elementary(&node.operator) {
        return Ok(Function::Elementary(elementary));
    }
    let number = |name: &str, default: f32| node.float(name, default).map(short);
    Ok(match node.operator.as_str() {
        "Relu" => Function::Relu,
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "HardSwish" => Function::HardSwish,
        "HardSigmoid" => Function::HardSigmoid(HardSigmoid {
            alpha: number("alpha", 0.2)?,
            beta: number("beta", 0.5)?,
        }),
        "LeakyRelu" => leaky(node.float("alpha", 0.01)?),
        "Swish" => {
            let alpha = node.float("alpha", 1.0)?;
            let gate = chain(&line(alpha.into(), 0.0), Function::Sigmoid)?;
            product(&Function::Identity, &gate)?
        }
        "Gelu" => gelu(node.text("approximate", "none")?)?,
        "Elu" => exponential(1.0, number("alpha", 1.0)?, 1.0)?,
        // The two numbers of the operator's definition.
        "Selu" => {
            let alpha = f64::from(node.float("alpha", 1.673_263_2)?);
            exponential(f64::from(node.float("gamma", 1.050_701)?), alpha, 1.0)?
        }
        "Celu" => {
            let alpha = number("alpha", 1.0)?;
            exponential(1.0, alpha, alpha)?
        }
        "Softsign" => {
            let size = chain(&of(Elementary::Abs), line(1.0, 1.0))?;
            product(
                &Function::Identity,
                &chain(&size, of(Elementary::Reciprocal))?,
            )?
        }
        "Mish" => {
            let gate = chain(&of(Elementary::Softplus), Function::Tanh)?;
            product(&Function::Identity, &gate)?
        }
        "ThresholdedRelu" => {
            let alpha = node.float("alpha", 1.0)?;
            select(above(alpha.into())?, Function::Identity, constant(0.0))?
        }
        "Shrink" => shrink(node.float("lambd", 0.5)?.into(), number("bias", 0.0)?)?,
        "Not" => line(-1.0, 1.0),
        "Clip" => {
            let low = lowering.optional_constant(node, 1)?;
            let high = lowering.optional_constant(node, 2)?;
            let (low, high) = clip_range(node, low.as_deref(), high.as_deref())?;
            clip(low, high)
        }
        _ => power(uniform(&*lowering.constant(node, 1)?)?)?,
    })
}

/// Returns an elementary function.
pub fn of(elementary: Elementary) -> Function {
    Function::Elementary(elementary)
}

/// Returns the leaky ReLU with a slope of the file.
pub fn leaky(slope: f32) -> Function {
    Function::LeakyRelu(LeakyRelu {
        slope: short(slope),
    })
}

/// Returns `x · Φ(x)`, or its approximation by a tanh (Hendrycks and Gimpel, *Gaussian Error Linear
/// Units*, section 2).
fn gelu(approximation: &str) -> Outcome<Function> {
    let distribution = match approximation {
        "none" => chain(&line(FRAC_1_SQRT_2, 0.0), of(Elementary::Erf))?,
        "tanh" => {
            let slope = (2.0 / PI).sqrt();
            let inner = Function::Polynomial(Polynomial {
                coefficients: vec![0.0, slope, 0.0, slope * 0.044_715],
            });
            chain(&inner, Function::Tanh)?
        }
        _ => return unsupported("an approximation other than none and tanh"),
    };
    product(&Function::Identity, &chain(&distribution, line(0.5, 0.5))?)
}

/// Returns `gamma · x` above zero, `gamma · alpha · (e^(x / width) - 1)` below.
fn exponential(gamma: f64, alpha: f64, width: f64) -> Outcome<Function> {
    let below = Function::Clip(Clip {
        low: f64::from(f32::MIN),
        high: 0.0,
    });
    let power = chain(&chain(&below, line(1.0 / width, 0.0))?, of(Elementary::Exp))?;
    let scale = gamma * alpha;
    sum(
        &chain(&Function::Relu, line(gamma, 0.0))?,
        &chain(&power, line(scale, -scale))?,
    )
}

/// Returns `x + bias` below `-width`, else `x - bias` above `width`, else zero.
fn shrink(width: f64, bias: f64) -> Outcome<Function> {
    let below = chain(&line(-1.0, 0.0), above(width)?)?;
    let other = select(above(width)?, line(1.0, -bias), constant(0.0))?;
    select(below, line(1.0, bias), other)
}

/// Returns one above `threshold`, else zero.
fn above(threshold: f64) -> Outcome<Function> {
    chain(
        &chain(&line(1.0, -threshold), of(Elementary::Sign))?,
        Function::Relu,
    )
}

/// Returns `yes` where the condition is not zero, else `no`.
///
/// # Errors
///
/// A sentence where they are too long together.
pub fn select(condition: Function, yes: Function, no: Function) -> Outcome<Function> {
    super::expression::checked(Function::Select(vec![condition, yes, no]))
}

/// Returns the function that cuts to a range, whose ends may be infinite.
pub fn clip(low: f64, high: f64) -> Function {
    let (least, most) = (f64::from(f32::MIN), f64::from(f32::MAX));
    match (low, high) {
        (0.0, high) if high >= most => Function::Relu,
        (low, high) if low <= least && high >= most => Function::Identity,
        _ => Function::Clip(Clip {
            low: low.max(least),
            high: high.min(most),
        }),
    }
}

/// Returns `x` to a power: a polynomial where it is whole and not too high, times a square root
/// where a half is left.
fn power(exponent: Option<f32>) -> Outcome<Function> {
    let Some(exponent) = exponent.filter(|exponent| exponent.is_finite()) else {
        return unsupported("exponents that differ between elements, or that are not finite");
    };
    if exponent < 0.0 {
        return chain(&power(Some(-exponent))?, of(Elementary::Reciprocal));
    }
    let twice = (0..=2 * HIGHEST_POWER).find(|&twice| twice as f32 == 2.0 * exponent);
    let Some(twice) = twice else {
        let scaled = chain(&of(Elementary::Log), line(exponent.into(), 0.0))?;
        return chain(&scaled, of(Elementary::Exp));
    };
    let whole = (0..twice / 2).try_fold(constant(1.0), |result, _| {
        product(&result, &Function::Identity)
    })?;
    match twice % 2 {
        0 => Ok(whole),
        _ if twice == 1 => Ok(of(Elementary::Sqrt)),
        _ => product(&whole, &of(Elementary::Sqrt)),
    }
}

/// Returns a positive number to the power of `x`.
///
/// # Errors
///
/// A sentence where the number is not positive.
pub fn power_of(base: f32) -> Outcome<Function> {
    if !(base > 0.0 && base.is_finite()) {
        return unsupported(format!(
            "a power of {base}; those of positive numbers are read"
        ));
    }
    chain(&line(f64::from(base).ln(), 0.0), of(Elementary::Exp))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks values of a function that were worked out with NumPy.
    fn check(function: &Function, values: &[(f64, f64)]) {
        for &(x, expected) in values {
            let found = function.value(x);
            assert!(
                (found - expected).abs() < 1e-6,
                "{function:?} at {x}: {found}"
            );
        }
    }

    #[test]
    fn a_gelu_has_two_spellings() {
        let exact = [(-3.0, -0.004_049_694), (1.0, 0.841_344_746), (0.0, 0.0)];
        check(&gelu("none").unwrap(), &exact);
        let tanh = [(-3.0, -0.003_637_392), (1.0, 0.841_191_991)];
        check(&gelu("tanh").unwrap(), &tanh);
        assert!(gelu("fast").is_err());
    }

    #[test]
    fn exponential_units_bend_at_zero() {
        let elu = exponential(1.0, 2.0, 1.0).unwrap();
        check(&elu, &[(-1.0, -1.264_241_118), (3.0, 3.0), (-1e30, -2.0)]);
        assert!(elu.is_monotone());
        let celu = exponential(1.0, 2.0, 2.0).unwrap();
        check(&celu, &[(-1.0, -0.786_938_681), (0.5, 0.5)]);
    }

    #[test]
    fn shrinking_leaves_nothing_near_zero() {
        let soft = shrink(0.5, 0.5).unwrap();
        check(&soft, &[(-2.0, -1.5), (-0.5, 0.0), (0.5, 0.0), (1.0, 0.5)]);
    }

    #[test]
    fn powers_are_whole_or_halves_or_of_positive_numbers() {
        let of = |exponent| power(Some(exponent)).unwrap();
        check(&of(1.5), &[(4.0, 8.0), (0.0, 0.0)]);
        check(&of(-2.0), &[(2.0, 0.25), (-2.0, 0.25)]);
        check(&of(0.3), &[(2.0, 1.231_144_413)]);
        assert_eq!(of(0.5), Function::Elementary(Elementary::Sqrt));
        assert_eq!(of(2.0).name(), "square");
        assert!(power(None).is_err());
        check(&power_of(2.0).unwrap(), &[(3.0, 8.0)]);
        assert!(power_of(-2.0).is_err());
    }

    #[test]
    fn only_what_lies_above_a_threshold_is_above() {
        let function = above(1.0).unwrap();
        check(&function, &[(1.0, 0.0), (1.000_001, 1.0), (-5.0, 0.0)]);
    }
}
