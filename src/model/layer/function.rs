//! Functions of one real number: everything that a look-up can evaluate.

pub mod clip;
pub mod elementary;
pub mod hard_sigmoid;
pub mod hard_swish;
pub mod leaky_relu;
pub mod polynomial;
pub mod quantise;
pub mod relu;
pub mod sigmoid;
pub mod softplus;
pub mod tanh;

use serde::{Deserialize, Serialize};

use crate::model::quantise::QuantParams;

pub use clip::Clip;
pub use elementary::Elementary;
pub use hard_sigmoid::HardSigmoid;
pub use leaky_relu::LeakyRelu;
pub use polynomial::Polynomial;
pub use quantise::Quantise;

/// A function of one real number, as `model.json` writes it: `"relu"`, `{"clip": {"low": 0,
/// "high": 6}}`, `{"chain": ["relu", …]}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    Identity,
    Relu,
    Clip(Clip),
    LeakyRelu(LeakyRelu),
    Sigmoid,
    Tanh,
    HardSigmoid(HardSigmoid),
    HardSwish,
    Polynomial(Polynomial),
    Quantise(Quantise),
    /// One after the other, the first first.
    Chain(Vec<Function>),
    /// The sum of functions of the same number.
    Sum(Vec<Function>),
    /// The product of functions of the same number.
    Product(Vec<Function>),
    Elementary(Elementary),
    /// Three functions of the same number: where the first is not zero the second, else the third.
    Select(Vec<Function>),
}

/// The most functions within one, nested ones included.
const MOST_PARTS: usize = 64;

impl Function {
    /// Returns the value at `x`.
    pub fn value(&self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Relu => relu::value(x),
            Self::Clip(clip) => clip.value(x),
            Self::LeakyRelu(leaky) => leaky.value(x),
            Self::Sigmoid => sigmoid::value(x),
            Self::Tanh => tanh::value(x),
            Self::HardSigmoid(hard) => hard.value(x),
            Self::HardSwish => hard_swish::value(x),
            Self::Polynomial(polynomial) => polynomial.value(x),
            Self::Quantise(quantise) => quantise.value(x),
            Self::Chain(parts) => parts.iter().fold(x, |x, part| part.value(x)),
            Self::Sum(parts) => parts.iter().map(|part| part.value(x)).sum(),
            Self::Product(parts) => parts.iter().map(|part| part.value(x)).product(),
            Self::Elementary(elementary) => elementary.value(x),
            Self::Select(parts) => {
                let taken = if parts[0].value(x) == 0.0 { 2 } else { 1 };
                parts[taken].value(x)
            }
        }
    }

    /// Returns the function's name in lists and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Clip(_) => "clip",
            Self::LeakyRelu(_) => "leaky_relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::HardSigmoid(_) => "hard_sigmoid",
            Self::HardSwish => "hard_swish",
            Self::Polynomial(polynomial) => polynomial.name(),
            Self::Quantise(_) => "quantise",
            Self::Chain(parts) => parts.first().map_or("identity", Self::name),
            Self::Elementary(elementary) => elementary.name(),
            Self::Sum(_) | Self::Product(_) | Self::Select(_) => "function",
        }
    }

    /// Returns whether a larger number never gets a smaller value, as far as the kind tells.
    pub fn is_monotone(&self) -> bool {
        match self {
            Self::Identity
            | Self::Relu
            | Self::Clip(_)
            | Self::Sigmoid
            | Self::Tanh
            | Self::Quantise(_) => true,
            Self::LeakyRelu(leaky) => leaky.slope >= 0.0,
            Self::HardSigmoid(hard) => hard.alpha >= 0.0,
            Self::Elementary(elementary) => elementary.is_monotone(),
            Self::HardSwish | Self::Product(_) | Self::Select(_) => false,
            Self::Polynomial(polynomial) => polynomial.is_monotone(),
            Self::Chain(parts) | Self::Sum(parts) => parts.iter().all(Self::is_monotone),
        }
    }

    /// Returns the integers that the function rounds its values to, if it does and they are few.
    pub fn quantisation(&self) -> Option<QuantParams> {
        match self {
            Self::Chain(parts) => parts.last()?.quantisation(),
            Self::Quantise(Quantise {
                scale,
                bipolar: true,
                ..
            }) => Some(QuantParams {
                scale: *scale,
                low: -1,
                high: 1,
            }),
            Self::Quantise(quantise) => {
                let Quantise {
                    scale, low, high, ..
                } = *quantise;
                (high - low < 256).then_some(QuantParams { scale, low, high })
            }
            _ => None,
        }
    }

    /// Returns the least and greatest value over `low..=high`, by sampling.
    pub fn range(&self, low: f64, high: f64) -> (f64, f64) {
        const SAMPLES: usize = 1024;
        let at = |index: usize| low + (high - low) * index as f64 / SAMPLES as f64;
        (0..=SAMPLES).map(|index| self.value(at(index))).fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(least, most), value| (least.min(value), most.max(value)),
        )
    }

    /// Checks that its numbers are finite and its parts few.
    ///
    /// # Errors
    ///
    /// A sentence on what to change.
    pub fn check(&self) -> Result<(), String> {
        if self.part_count() > MOST_PARTS {
            return Err(format!("the function has more than {MOST_PARTS} parts"));
        }
        let finite = |numbers: &[f64], name: &str| {
            if numbers.iter().all(|number| number.is_finite()) {
                Ok(())
            } else {
                Err(format!("the numbers of {name} must be finite"))
            }
        };
        match self {
            Self::Clip(clip) if clip.low > clip.high => Err(format!(
                "clip from {} to {}: low must not be above high",
                clip.low, clip.high
            )),
            Self::Clip(clip) => finite(&[clip.low, clip.high], "clip"),
            Self::LeakyRelu(leaky) => finite(&[leaky.slope], "leaky_relu"),
            Self::HardSigmoid(hard) => finite(&[hard.alpha, hard.beta], "hard_sigmoid"),
            Self::Polynomial(polynomial) => finite(&polynomial.coefficients, "polynomial"),
            Self::Quantise(quantise) => quantise.check(),
            Self::Select(parts) if parts.len() != 3 => {
                Err("select takes three functions: a condition, and one for either case".into())
            }
            Self::Chain(parts) | Self::Sum(parts) | Self::Product(parts) | Self::Select(parts) => {
                if parts.is_empty() {
                    return Err("a chain, sum or product of no functions".into());
                }
                parts.iter().try_for_each(Self::check)
            }
            _ => Ok(()),
        }
    }

    fn part_count(&self) -> usize {
        match self {
            Self::Chain(parts) | Self::Sum(parts) | Self::Product(parts) | Self::Select(parts) => {
                1 + parts.iter().map(Self::part_count).sum::<usize>()
            }
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_compose() {
        // x · sigmoid(x), then doubled.
        let swish = Function::Product(vec![Function::Identity, Function::Sigmoid]);
        let double = Function::Polynomial(Polynomial {
            coefficients: vec![0.0, 2.0],
        });
        let chain = Function::Chain(vec![swish, double]);
        let expected = 2.0 * 1.5 / (1.0 + (-1.5f64).exp());
        assert!((chain.value(1.5) - expected).abs() < 1e-12);
        assert!(chain.check().is_ok());
        assert!(!chain.is_monotone());
    }

    #[test]
    fn functions_are_written_as_short_json() {
        let text = r#"{"chain":["relu",{"clip":{"low":0.0,"high":6.0}}]}"#;
        let chain: Function = serde_json::from_str(text).expect("a function");
        assert_eq!(serde_json::to_string(&chain).expect("json"), text);
        assert_eq!(chain.value(9.0), 6.0);
        assert_eq!(chain.name(), "relu");
    }

    #[test]
    fn elementary_functions_are_written_by_name() {
        let text = r#"{"chain":[{"elementary":"abs"},{"elementary":"exp"}]}"#;
        let chain: Function = serde_json::from_str(text).expect("a function");
        assert_eq!(serde_json::to_string(&chain).expect("json"), text);
        assert!((chain.value(-1.0) - std::f64::consts::E).abs() < 1e-15);
        assert!(serde_json::from_str::<Function>(r#"{"elementary":"gamma"}"#).is_err());
    }

    #[test]
    fn quantisers_keep_the_levels_that_they_round_to() {
        let quantise = Quantise {
            scale: 0.5,
            low: -3,
            high: 4,
            bipolar: false,
        };
        let sign = Quantise {
            bipolar: true,
            ..quantise
        };
        for (quantise, low, high) in [(quantise, -3, 4), (sign, -1, 1)] {
            let chain = Function::Chain(vec![Function::Tanh, Function::Quantise(quantise)]);
            let scale = 0.5;
            assert_eq!(chain.quantisation(), Some(QuantParams { scale, low, high }));
        }
        assert_eq!(Function::Tanh.quantisation(), None);
    }

    #[test]
    fn ranges_cover_the_values() {
        assert_eq!(Function::Relu.range(-3.0, 2.0), (0.0, 2.0));
        let (low, high) = Function::HardSwish.range(-4.0, 4.0);
        assert!((low + 0.375).abs() < 1e-4 && high == 4.0, "{low} {high}");
    }

    #[test]
    fn odd_numbers_are_refused() {
        let clip = Function::Clip(Clip {
            low: 2.0,
            high: 1.0,
        });
        assert!(clip.check().is_err());
        assert!(Function::Sum(vec![]).check().is_err());
        assert!(Function::Select(vec![Function::Relu; 2]).check().is_err());
        let many = Function::Chain(vec![Function::Relu; 65]);
        assert!(many.check().is_err());
    }
}
