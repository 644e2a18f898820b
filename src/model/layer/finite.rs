//! Whether a function is finite all over a range, by interval arithmetic on small pieces of it.

use super::function::Function;

/// Pieces of a range. What depends on itself, as x · tanh(x) does, reaches too far by interval
/// arithmetic, but hardly so on a small piece.
const PIECES: usize = 1024;

/// Returns whether a function has a finite value everywhere from `low` to `high`, both finite.
pub fn is_finite_over(function: &Function, low: f64, high: f64) -> bool {
    let at = |index: usize| low + (high - low) * index as f64 / PIECES as f64;
    (0..PIECES).all(|index| reach(function, at(index), at(index + 1)).is_some())
}

/// Returns bounds of the values from `low` to `high`, `None` where one may not be finite.
fn reach(function: &Function, low: f64, high: f64) -> Option<(f64, f64)> {
    let whole = (low, high);
    let (least, most) = match function {
        Function::Elementary(elementary) => elementary.reach(low, high)?,
        Function::Chain(parts) => parts
            .iter()
            .try_fold(whole, |(low, high), part| reach(part, low, high))?,
        Function::Sum(parts) => combined(parts, whole, (0.0, 0.0), |a, b| a + b)?,
        Function::Product(parts) => combined(parts, whole, (1.0, 1.0), |a, b| a * b)?,
        Function::Select(parts) => selected(parts, whole)?,
        // Made of lines and powers: its ends and middle bound it, of a small piece.
        _ => [low, (low + high) / 2.0, high]
            .map(|x| function.value(x))
            .into_iter()
            .fold(
                (f64::INFINITY, f64::NEG_INFINITY),
                |(least, most), value| (least.min(value), most.max(value)),
            ),
    };
    (least.is_finite() && most.is_finite()).then_some((least, most))
}

/// Returns bounds of parts that are combined two by two.
fn combined(
    parts: &[Function],
    (low, high): (f64, f64),
    start: (f64, f64),
    combine: fn(f64, f64) -> f64,
) -> Option<(f64, f64)> {
    parts.iter().try_fold(start, |so_far, part| {
        let part = reach(part, low, high)?;
        let ends = [
            combine(so_far.0, part.0),
            combine(so_far.0, part.1),
            combine(so_far.1, part.0),
            combine(so_far.1, part.1),
        ];
        let least = ends.iter().copied().fold(f64::INFINITY, f64::min);
        Some((
            least,
            ends.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ))
    })
}

/// Returns bounds of what is selected: only that counts which the condition, at either end, takes.
fn selected(parts: &[Function], (low, high): (f64, f64)) -> Option<(f64, f64)> {
    let [condition, yes, no] = parts else {
        return None;
    };
    let taken = |x: f64| condition.value(x) != 0.0;
    // A condition turns within a piece at most where its ends differ: each end decides for its half.
    let of = |x: f64| if taken(x) { yes } else { no };
    if taken(low) == taken(high) {
        return reach(of(low), low, high);
    }
    let at_low = reach(of(low), low, low)?;
    let at_high = reach(of(high), high, high)?;
    Some((at_low.0.min(at_high.0), at_low.1.max(at_high.1)))
}

#[cfg(test)]
mod tests {
    use super::super::function::{Elementary, Polynomial};
    use super::*;

    fn chain(parts: &[Function]) -> Function {
        Function::Chain(parts.to_vec())
    }

    fn line(scale: f64, offset: f64) -> Function {
        Function::Polynomial(Polynomial {
            coefficients: vec![offset, scale],
        })
    }

    #[test]
    fn poles_are_found_between_samples_and_nowhere_else() {
        let of = |elementary| Function::Elementary(elementary);
        let reciprocal = || of(Elementary::Reciprocal);
        let near_zero = chain(&[of(Elementary::Abs), reciprocal()]);
        let softsign = Function::Product(vec![
            Function::Identity,
            chain(&[of(Elementary::Abs), line(1.0, 1.0), reciprocal()]),
        ]);
        // 1 + x · tanh(x) is at least one.
        let gate = Function::Product(vec![Function::Identity, Function::Tanh]);
        let log = chain(&[gate, line(1.0, 1.0), of(Elementary::Log)]);
        let shifted = chain(&[line(1.0, -2.0), reciprocal()]);
        for (function, low, high, expected) in [
            (&near_zero, -1.0, 2.0, false),
            (&near_zero, 0.5, 2.0, true),
            (&softsign, -9.0, 9.0, true),
            (&log, -3.0, 3.0, true),
            (&shifted, -1.0, 1.9, true),
            (&shifted, -1.0, 2.1, false),
            (&Function::HardSwish, -9.0, 9.0, true),
            (&of(Elementary::Sqrt), 0.0, 1.0, true),
            (&of(Elementary::Sqrt), -0.1, 1.0, false),
        ] {
            let found = is_finite_over(function, low, high);
            assert_eq!(found, expected, "{function:?} from {low} to {high}");
        }
    }

    #[test]
    fn what_is_not_selected_may_be_infinite() {
        // log(x) above 1, else 0.
        let above = chain(&[
            line(1.0, -1.0),
            Function::Elementary(Elementary::Sign),
            Function::Relu,
        ]);
        let log = Function::Elementary(Elementary::Log);
        let select = Function::Select(vec![above, log, line(0.0, 0.0)]);
        assert!(is_finite_over(&select, -5.0, 5.0));
        assert_eq!((select.value(-1.0), select.value(0.5)), (0.0, 0.0));
        assert!((select.value(2.0) - std::f64::consts::LN_2).abs() < 1e-15);
    }
}
