//! Polynomials; the square is one.

use serde::{Deserialize, Serialize};

/// `Σ_i coefficients[i] · x^i`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polynomial {
    pub coefficients: Vec<f64>,
}

impl Polynomial {
    /// Returns the value at `x`, by Horner's rule.
    pub fn value(&self, x: f64) -> f64 {
        self.coefficients
            .iter()
            .rev()
            .fold(0.0, |sum, coefficient| sum * x + coefficient)
    }

    /// Returns the name in lists: `square` for x².
    pub fn name(&self) -> &'static str {
        if self.coefficients == [0.0, 0.0, 1.0] {
            "square"
        } else {
            "polynomial"
        }
    }

    /// Returns whether it is a line that does not fall.
    pub fn is_monotone(&self) -> bool {
        self.coefficients.iter().skip(2).all(|&c| c == 0.0)
            && self.coefficients.get(1).is_none_or(|&slope| slope >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horner_matches_a_hand_worked_value() {
        let polynomial = Polynomial {
            coefficients: vec![0.5, -1.0, 2.0],
        };
        assert_eq!(polynomial.value(3.0), 0.5 - 3.0 + 18.0);
        assert!(!polynomial.is_monotone());
        let square = Polynomial {
            coefficients: vec![0.0, 0.0, 1.0],
        };
        assert_eq!(square.name(), "square");
    }
}
