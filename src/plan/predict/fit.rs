//! Fits unit costs to measured times: non-negative, nearest in relative error, and close to prior
//! figures where the measurements leave them open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How much of something is done, and what a unit of it costs before anything is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Amount {
    pub count: f64,
    pub prior: f64,
}

/// What makes up one measured figure, by the name of each kind of work.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work(pub BTreeMap<String, Amount>);

/// A measured figure and the work behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    pub work: Work,
    pub measured: f64,
    /// The error that counts as much as any other of its own scale: the figure itself, or a fraction
    /// of the whole that it is a small part of.
    pub scale: f64,
}

/// Unit costs by the name of the work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    pub units: BTreeMap<String, f64>,
    /// Per family, the first word of a name: measured ÷ prior, the median over what was measured.
    pub families: BTreeMap<String, f64>,
}

/// Weight of staying at the prior, beside observations of weight one.
const PRIOR_WEIGHT: f64 = 1e-4;
/// Relative error up to which an observation counts by its square.
const QUADRATIC: f64 = 0.03;
/// Times that observations are weighted anew.
const REWEIGHTINGS: usize = 30;
/// Rounds of coordinate descent for each, and the change below which they end.
const ROUNDS: usize = 2000;
const SETTLED: f64 = 1e-9;

impl Work {
    /// Adds work of a kind.
    pub fn add(&mut self, name: impl Into<String>, count: f64, prior: f64) {
        if count > 0.0 {
            let amount = self
                .0
                .entry(name.into())
                .or_insert(Amount { count: 0.0, prior });
            amount.count += count;
        }
    }
}

impl Fit {
    /// Returns the unit costs u·prior that minimise Σ huber((Σ count·u·prior − measured) ÷ scale) +
    /// weight·Σ (u − 1)² over u ≥ 0.
    ///
    /// Errors beyond a few percent count linearly (P. J. Huber, *Robust Estimation of a Location
    /// Parameter*, Annals of Mathematical Statistics 35, 1964), so that one disturbed measurement
    /// does not move the others. Reweighted least squares, each by cyclic coordinate descent, never
    /// raise the sum.
    pub fn of(observations: &[Observation]) -> Self {
        let mut problem = Problem::of(observations);
        for _ in 0..REWEIGHTINGS {
            problem.descend();
        }
        let mut fit = Self::default();
        let mut families: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (name, (index, prior)) in problem.names {
            let factor = problem.factors[index];
            fit.units.insert(name.to_owned(), factor * prior);
            families
                .entry(family(name).to_owned())
                .or_default()
                .push(factor);
        }
        fit.families = families
            .into_iter()
            .filter_map(|(name, factors)| {
                let median = crate::core::statistics::median(factors)?;
                Some((name, median))
            })
            .collect();
        fit
    }

    /// Returns the predicted figure of work. A kind that was never measured costs its prior, times
    /// what its family's measured kinds cost of theirs.
    pub fn predict(&self, work: &Work) -> f64 {
        work.0
            .iter()
            .map(|(name, amount)| {
                let unit = self.units.get(name).copied().unwrap_or_else(|| {
                    let factor = self.families.get(family(name)).copied().unwrap_or(1.0);
                    factor * amount.prior
                });
                amount.count * unit
            })
            .sum()
    }
}

/// A fit on its way: measured figures as sums of parts, each times the factor of its unknown.
struct Problem<'a> {
    /// Index and prior of each unknown.
    names: BTreeMap<&'a str, (usize, f64)>,
    /// Per unknown: the observations that it is part of, with its part of each at its prior.
    columns: Vec<Vec<(usize, f64)>>,
    factors: Vec<f64>,
    /// Per observation: relative error.
    residuals: Vec<f64>,
}

impl<'a> Problem<'a> {
    fn of(observations: &'a [Observation]) -> Self {
        let mut names: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
        for observation in observations {
            for (name, amount) in &observation.work.0 {
                let next = names.len();
                names.entry(name).or_insert((next, amount.prior));
            }
        }
        let mut columns: Vec<Vec<(usize, f64)>> = vec![Vec::new(); names.len()];
        let mut residuals: Vec<f64> = observations.iter().map(|o| -o.measured / o.scale).collect();
        for (row, observation) in observations.iter().enumerate() {
            for (name, amount) in &observation.work.0 {
                let (index, prior) = names[name.as_str()];
                let fraction = amount.count * prior / observation.scale;
                columns[index].push((row, fraction));
                residuals[row] += fraction;
            }
        }
        Self {
            factors: vec![1.0; names.len()],
            names,
            columns,
            residuals,
        }
    }

    /// Weighs the observations by their errors and settles the factors for these weights.
    fn descend(&mut self) {
        let weights: Vec<f64> = self
            .residuals
            .iter()
            .map(|residual| (QUADRATIC / residual.abs()).min(1.0))
            .collect();
        for _ in 0..ROUNDS {
            let mut largest: f64 = 0.0;
            for (factor, column) in self.factors.iter_mut().zip(&self.columns) {
                let mut slope = PRIOR_WEIGHT * (*factor - 1.0);
                let mut curvature = PRIOR_WEIGHT;
                for &(row, fraction) in column {
                    slope += weights[row] * fraction * self.residuals[row];
                    curvature += weights[row] * fraction * fraction;
                }
                let moved = (*factor - slope / curvature).max(0.0);
                let change = moved - *factor;
                for &(row, fraction) in column {
                    self.residuals[row] += fraction * change;
                }
                largest = largest.max(change.abs() / moved.max(1.0));
                *factor = moved;
            }
            if largest < SETTLED {
                return;
            }
        }
    }
}

/// Returns the first word of a name.
fn family(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(amounts: &[(&str, f64)]) -> Work {
        let mut work = Work::default();
        for &(name, count) in amounts {
            work.add(name, count, 1.0);
        }
        work
    }

    fn observation(amounts: &[(&str, f64)], measured: f64) -> Observation {
        Observation {
            work: work(amounts),
            measured,
            scale: measured,
        }
    }

    #[test]
    fn units_that_measurements_tell_apart_are_found() {
        let fit = Fit::of(&[
            observation(&[("a", 1.0), ("b", 2.0)], 8.0),
            observation(&[("a", 3.0), ("b", 1.0)], 9.0),
        ]);
        assert!((fit.units["a"] - 2.0).abs() < 1e-2, "{fit:?}");
        assert!((fit.units["b"] - 3.0).abs() < 1e-2, "{fit:?}");
    }

    #[test]
    fn one_disturbed_measurement_does_not_move_the_fit() {
        let measured = [5.0, 5.0, 9.0, 5.0, 5.0];
        let fit = Fit::of(&measured.map(|seconds| observation(&[("a", 1.0)], seconds)));
        assert!((fit.units["a"] - 5.0).abs() < 0.1, "{fit:?}");
    }

    #[test]
    fn what_was_never_measured_follows_its_family() {
        let fit = Fit::of(&[observation(&[("layer one", 1.0)], 4.0)]);
        let predicted = fit.predict(&work(&[("layer two", 2.0)]));
        assert!((predicted - 8.0).abs() < 1e-2, "{predicted}");
        assert_eq!(fit.predict(&work(&[("other", 2.0)])), 2.0);
        assert_eq!(fit.predict(&Work::default()), 0.0);
    }

    proptest! {
        #[test]
        fn no_unit_is_negative_and_no_fit_is_worse_than_the_prior(
            counts in prop::collection::vec((0..4u32, 0..4u32, 0..4u32, 1..100u32), 1..8),
        ) {
            let observations: Vec<Observation> = counts
                .iter()
                .map(|&(a, b, c, measured)| {
                    let counts =
                        [("a", a), ("b", b), ("c", c)].map(|(name, count)| (name, f64::from(count)));
                    observation(&counts, f64::from(measured))
                })
                .collect();
            let fit = Fit::of(&observations);
            prop_assert!(fit.units.values().all(|unit| *unit >= 0.0));
            let loss = |predict: &dyn Fn(&Work) -> f64| -> f64 {
                let errors = observations.iter().map(|o| (predict(&o.work) - o.measured) / o.scale);
                let losses = errors.map(|error| match error.abs() {
                    small if small <= QUADRATIC => small * small,
                    large => QUADRATIC * (2.0 * large - QUADRATIC),
                });
                losses.sum()
            };
            let at_prior = loss(&|work| Fit::default().predict(work));
            prop_assert!(loss(&|work| fit.predict(work)) <= at_prior + 1e-9);
        }
    }
}
