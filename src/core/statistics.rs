//! Summaries of a handful of measurements. Unknown is `None`, never zero.

use serde::{Deserialize, Serialize};

/// Median and spread over the samples of one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub n: usize,
}

/// Returns the summary of `values`, or `None` where there are none.
pub fn summarise(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
    Some(Summary {
        median,
        min,
        max,
        n,
    })
}

/// Fraction of the median within which measurements lie that agree.
const STEADY: f64 = 0.05;
/// Measurements after which none more is taken, whether they agree or not.
const MOST_MEASUREMENTS: usize = 5;

/// Measures until two in a row agree, or five times at most; the first may agree with what was
/// measured `before`, which is not counted.
///
/// # Errors
///
/// What `measure` gives.
pub fn measure_until_steady<E>(
    before: Option<f64>,
    mut measure: impl FnMut() -> Result<f64, E>,
) -> Result<Summary, E> {
    let mut last = before;
    let mut values = Vec::new();
    loop {
        let next = measure()?;
        values.push(next);
        let agree = last.is_some_and(|last| (next - last).abs() <= STEADY * last.min(next));
        last = Some(next);
        if agree || values.len() >= MOST_MEASUREMENTS {
            let Some(summary) = summarise(values) else {
                unreachable!("there are values");
            };
            return Ok(summary);
        }
    }
}

/// Returns the median of `values`, or `None` where there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    summarise(values).map(|summary| summary.median)
}

/// What a figure may be, at some confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// The mean of the logarithms of values, times say, whose scatter is a fraction of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogMean {
    pub mean: f64,
    /// Sample variance of a single logarithm; zero of a single value.
    pub variance: f64,
    pub n: usize,
}

/// Returns the mean of the logarithms of `values`; `None` where there are none, or one is not positive.
pub fn log_mean(values: impl IntoIterator<Item = f64>) -> Option<LogMean> {
    let logs: Vec<f64> = values
        .into_iter()
        .map(|value| (value > 0.0).then(|| value.ln()))
        .collect::<Option<_>>()?;
    let n = logs.len();
    let mean = logs.iter().sum::<f64>() / n as f64;
    let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    let variance = squares / (n.max(2) - 1) as f64;
    (n > 0).then_some(LogMean { mean, variance, n })
}

/// Returns the log mean of groups, visits say, each of which counts once: as its geometric mean. `None`
/// where one is empty, or holds a value that is not positive.
pub fn log_mean_of_groups(groups: impl IntoIterator<Item = Vec<f64>>) -> Option<LogMean> {
    let means = groups
        .into_iter()
        .map(|group| Some(log_mean(group)?.mean.exp()));
    log_mean(means.collect::<Option<Vec<f64>>>()?)
}

impl LogMean {
    /// Returns the interval of the geometric mean at a confidence (Student 1908, of logarithms); `None`
    /// of fewer values than three, whose scatter two could say next to nothing of.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        if self.n < 3 {
            return None;
        }
        let freedom = (self.n - 1) as f64;
        let reach = t_quantile(level, freedom) * (self.variance / self.n as f64).sqrt();
        Some(Interval {
            low: (self.mean - reach).exp(),
            high: (self.mean + reach).exp(),
        })
    }
}

/// How far apart two log means lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogDifference {
    /// Second less first.
    pub difference: f64,
    /// Variance of that, and the degrees of freedom of the variance.
    pub variance: f64,
    pub freedom: f64,
}

impl LogDifference {
    /// Compares two log means: by a common scatter where both are of as many values (Student), which
    /// their own scatters, should they differ, hardly mislead; by those where not (Welch 1947). `None`
    /// where one is of a single value.
    pub fn of(first: &LogMean, second: &LogMean) -> Option<Self> {
        if first.n.min(second.n) < 2 {
            return None;
        }
        let fractions = [first, second].map(|mean| mean.variance / mean.n as f64);
        let variance = fractions[0] + fractions[1];
        let both = (first.n + second.n - 2) as f64;
        let welch = || {
            let pairs = fractions.iter().zip([first, second]);
            let parts = pairs.map(|(fraction, mean)| fraction.powi(2) / (mean.n - 1) as f64);
            variance.powi(2) / parts.sum::<f64>()
        };
        let freedom = if first.n == second.n || variance == 0.0 {
            both
        } else {
            welch()
        };
        Some(Self {
            difference: second.mean - first.mean,
            variance,
            freedom,
        })
    }

    /// Returns the interval of the quotient of the geometric means at a confidence.
    pub fn interval(&self, level: f64) -> Interval {
        let reach = self.reach(level);
        Interval {
            low: (self.difference - reach).exp(),
            high: (self.difference + reach).exp(),
        }
    }

    /// Returns by how much the difference may be off at a confidence.
    pub fn reach(&self, level: f64) -> f64 {
        t_quantile(level, self.freedom) * self.variance.sqrt()
    }

    /// Returns the chance of a difference that exceeds `most` by so much, or more, where the true one is
    /// at most that.
    pub fn chance_beyond(&self, most: f64) -> f64 {
        let excess = self.difference.abs() - most;
        if excess > 0.0 && self.variance > 0.0 {
            t_tails(excess / self.variance.sqrt(), self.freedom)
        } else if excess > 0.0 {
            0.0
        } else {
            1.0
        }
    }
}

/// Returns which of several chances are so small that in `rate` of cases at most any of them is, though
/// all are chance (Holm 1979).
pub fn unlikely(chances: &[f64], rate: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|&a, &b| chances[a].total_cmp(&chances[b]));
    let mut unlikely = vec![false; chances.len()];
    for (rank, &index) in order.iter().enumerate() {
        if chances[index] > rate / (chances.len() - rank) as f64 {
            break;
        }
        unlikely[index] = true;
    }
    unlikely
}

/// Returns the chance that Student's t lies further from zero than `t`.
fn t_tails(t: f64, freedom: f64) -> f64 {
    incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// Returns the t that Student's lies nearer to zero than with a chance of `level`.
fn t_quantile(level: f64, freedom: f64) -> f64 {
    let x = beta_quantile(1.0 - level, freedom / 2.0, 0.5);
    (freedom * (1.0 - x) / x).sqrt()
}

/// Returns the interval that holds a fraction `level` of `values`, as much being left out at each end;
/// `None` where there are none.
pub fn percentile_interval(mut values: Vec<f64>, level: f64) -> Option<Interval> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let tail = (1.0 - level) / 2.0;
    let skipped = ((tail * values.len() as f64).floor() as usize).min(last / 2);
    Some(Interval {
        low: values[skipped],
        high: values[last - skipped],
    })
}

/// Returns how many values lie more than one and a half interquartile ranges outside the quartiles
/// (Tukey 1977, section 2D); `None` for fewer than four values, which have no quartiles to speak of.
pub fn outlier_count(values: impl IntoIterator<Item = f64>) -> Option<usize> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len().div_ceil(2);
    if sorted.len() < 4 {
        return None;
    }
    let lower = median(sorted[..half].iter().copied())?;
    let upper = median(sorted[sorted.len() - half..].iter().copied())?;
    let reach = 1.5 * (upper - lower);
    let is_outside = |value: &&f64| **value < lower - reach || **value > upper + reach;
    Some(sorted.iter().filter(is_outside).count())
}

/// What a one-sided bound of a rate leaves out.
const RATE_TAIL: f64 = 0.05;
/// Halvings that narrow a rate down, however small it is, to all digits of its own.
const RATE_HALVINGS: usize = 160;
/// Terms of a continued fraction, which takes about the square root of its larger parameter.
const MOST_TERMS: usize = 1_000_000;

/// Returns the one-sided 95 % bounds of a rate of which `count` in `n` were seen, exact for
/// independent events (Clopper and Pearson 1934); `None` where n is zero. Where none was seen the
/// upper one is 3 / n.
pub fn rate_bounds(count: u64, n: u64) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let (seen, others) = (count as f64, (n - count) as f64);
    // P(at least `count`) is an incomplete beta function of the rate, and so is P(more).
    let low = match count {
        0 => 0.0,
        _ => beta_quantile(RATE_TAIL, seen, others + 1.0),
    };
    let high = match n - count {
        0 => 1.0,
        _ => beta_quantile(1.0 - RATE_TAIL, seen + 1.0, others),
    };
    Some(Interval { low, high })
}

/// Returns the x at which the regularised incomplete beta function of a and b has a value.
fn beta_quantile(value: f64, a: f64, b: f64) -> f64 {
    let halve = |(low, high): (f64, f64), _| {
        let middle = low + (high - low) / 2.0;
        if incomplete_beta(middle, a, b) < value {
            (middle, high)
        } else {
            (low, middle)
        }
    };
    (0..RATE_HALVINGS).fold((0.0, 1.0), halve).1
}

/// Returns the regularised incomplete beta function I_x(a, b): its continued fraction (Abramowitz
/// and Stegun 26.5.8), which converges quickly below the mean, and beyond it that of its mirror
/// image.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let log_factor =
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (-x).ln_1p();
    log_factor.exp() / (a * beta_fraction(x, a, b))
}

/// Returns the continued fraction 1 + d1 / (1 + d2 / (1 + …)) of the incomplete beta function, from
/// its first term on (Lentz's method).
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    let (mut fraction, mut upper, mut lower) = (1.0, 1.0, 0.0);
    for index in 1..MOST_TERMS {
        let m = (index / 2) as f64;
        let term = match index % 2 {
            0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        let nonzero = |value: f64| {
            if value.abs() < f64::MIN_POSITIVE {
                f64::MIN_POSITIVE
            } else {
                value
            }
        };
        lower = 1.0 / nonzero(1.0 + term * lower);
        upper = nonzero(1.0 + term / upper);
        fraction *= upper * lower;
        if (upper * lower - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    fraction
}

/// Returns log2 of the most that events of the given log2 probabilities can make together, the sum of
/// them or 1; −∞ for none.
pub fn log2_union(log2_probabilities: impl IntoIterator<Item = f64>) -> f64 {
    let sum = log2_probabilities
        .into_iter()
        .fold(f64::NEG_INFINITY, |sum, term| {
            let (small, large) = if sum < term { (sum, term) } else { (term, sum) };
            if small == f64::NEG_INFINITY {
                large
            } else {
                large + (small - large).exp2().ln_1p() * std::f64::consts::LOG2_E
            }
        });
    sum.min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_in_the_log_domain() {
        assert_eq!(log2_union([]), f64::NEG_INFINITY);
        assert_eq!(log2_union([-64.0]), -64.0);
        assert!((log2_union([-64.0; 8]) + 61.0).abs() < 1e-9);
        assert_eq!(log2_union([-1.0; 8]), 0.0);
    }

    #[test]
    fn summaries_of_one_to_four_values_match_hand_worked_answers() {
        assert_eq!(summarise([]), None);
    }

    #[test]
    fn measuring_ends_when_two_in_a_row_agree() {
        let after = |before, values: &[f64]| {
            let mut values = values.iter().copied();
            measure_until_steady(before, || values.next().ok_or(())).map(|summary| summary.n)
        };
        let measured = |values: &[f64]| after(None, values);
        assert_eq!(after(Some(1.0), &[1.02, 9.0]), Ok(1));
        assert_eq!(after(Some(2.0), &[1.02, 1.0]), Ok(2));
        assert_eq!(measured(&[1.0, 1.02, 9.0]), Ok(2));
        assert_eq!(measured(&[2.0, 1.0, 1.04, 9.0]), Ok(3));
        assert_eq!(measured(&[1.0, 2.0, 3.0, 4.0, 5.0, 5.0]), Ok(5));
        assert_eq!(measured(&[1.0]), Err(()));
        for (values, median, min, max) in [
            (vec![3.0], 3.0, 3.0, 3.0),
            (vec![4.0, 1.0], 2.5, 1.0, 4.0),
            (vec![9.0, 1.0, 2.0], 2.0, 1.0, 9.0),
            (vec![8.0, 1.0, 2.0, 4.0], 3.0, 1.0, 8.0),
        ] {
            let n = values.len();
            let expected = Summary {
                median,
                min,
                max,
                n,
            };
            assert_eq!(summarise(values), Some(expected));
        }
    }

    #[test]
    fn quantiles_of_student_match_his_table() {
        for (level, freedom, t) in [
            (0.95, 1.0, 12.7062),
            (0.95, 2.0, 4.30265),
            (0.95, 4.0, 2.77645),
            (0.99, 8.0, 3.35539),
            (0.999, 30.0, 3.64596),
        ] {
            let found = t_quantile(level, freedom);
            assert!((found / t - 1.0).abs() < 1e-5, "{level} {freedom}: {found}");
            assert!((t_tails(t, freedom) / (1.0 - level) - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn intervals_of_geometric_means_match_hand_worked_answers() {
        let interval = |values: &[f64]| log_mean(values.iter().copied())?.interval(0.95);
        assert_eq!(interval(&[]), None);
        assert_eq!(interval(&[1.0, 2.0]), None, "two");
        assert_eq!(log_mean([1.0, 0.0]), None, "no logarithm");
        let equal = interval(&[2.0; 3]).expect("three");
        assert!((equal.low - 2.0).abs() < 1e-12 && (equal.high - 2.0).abs() < 1e-12);
        // Logarithms -1, 0, 1: their deviation is 1, and 4.30265 / √3 is 2.48414.
        let found = interval(&[-1.0f64, 0.0, 1.0].map(f64::exp)).expect("three");
        assert!(
            (found.high.ln() - 2.48414).abs() < 1e-4 && (found.low.ln() + 2.48414).abs() < 1e-4
        );
    }

    #[test]
    fn chances_are_cut_off_as_by_holm() {
        let found = |chances: &[f64]| unlikely(chances, 0.05);
        assert_eq!(found(&[]), [] as [bool; 0]);
        // 0.01 is below 0.05 / 3, 0.02 below 0.05 / 2, 0.06 above 0.05.
        assert_eq!(found(&[0.02, 0.06, 0.01]), [true, false, true]);
        // The smallest fails, and so do all.
        assert_eq!(found(&[0.02, 0.021, 0.022]), [false; 3]);
    }

    #[test]
    fn differences_have_the_freedom_of_both_or_of_the_noisier() {
        let of = |values: &[f64]| log_mean(values.iter().copied()).expect("positive");
        let (few, many) = (of(&[1.0, 1.5]), of(&[1.0, 1.01, 0.99, 1.0]));
        let freedom = |a, b| LogDifference::of(a, b).map(|difference| difference.freedom);
        let one = of(&[1.0]);
        assert_eq!(freedom(&few, &one), None);
        assert_eq!(freedom(&many, &many), Some(6.0));
        assert!(freedom(&few, &many).is_some_and(|freedom| (1.0..1.01).contains(&freedom)));
        let same = LogDifference::of(&many, &many).expect("four");
        assert_eq!(same.chance_beyond(0.0), 1.0);
    }

    #[test]
    fn percentiles_leave_out_as_much_at_both_ends() {
        let interval = |n: i32, level| {
            let values = (0..n).map(f64::from).collect();
            percentile_interval(values, level).map(|interval| (interval.low, interval.high))
        };
        assert_eq!(interval(0, 0.95), None);
        assert_eq!(interval(1, 0.95), Some((0.0, 0.0)));
        assert_eq!(interval(100, 0.95), Some((2.0, 97.0)));
        assert_eq!(interval(3, 0.0), Some((1.0, 1.0)));
    }

    #[test]
    fn rates_are_bounded_as_by_hand_and_by_tables() {
        assert_eq!(rate_bounds(0, 0), None);
        for (count, n, low, high) in [
            (0, 1, 0.0, 0.95),
            (1, 1, 0.05, 1.0),
            // 1 - √0.95 and √0.95.
            (1, 2, 0.025_320_6, 0.974_679_4),
            // 1 - 0.05^(1/4): nothing in four.
            (0, 4, 0.0, 0.527_129_2),
            // Roots of sums of binomial probabilities.
            (3, 100, 0.008_225_83, 0.075_710_79),
            (500, 1000, 0.473_517_73, 0.526_482_27),
        ] {
            let found = rate_bounds(count, n);
            let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-6;
            let near = |of: Interval| near(of.low, low) && near(of.high, high);
            assert!(found.is_some_and(near), "{count} of {n}: {found:?}");
        }
    }

    #[test]
    fn rare_events_are_bounded_as_poisson_counts() {
        // Garwood's bounds of a count: 2.9957 at 0, 0.05129 and 4.7439 at 1.
        let n = 3_000_000_000;
        let scaled =
            |count| rate_bounds(count, n).map(|of| (of.low * n as f64, of.high * n as f64));
        let near = |found: f64, wanted: f64| (found / wanted - 1.0).abs() < 1e-3;
        assert!(scaled(0).is_some_and(|(low, high)| low == 0.0 && near(high, 2.9957)));
        assert!(scaled(1).is_some_and(|(low, high)| near(low, 0.051_293) && near(high, 4.7439)));
        let many = scaled(1_000_000);
        assert!(many.is_some_and(|(low, high)| near(low, 998_356.0) && near(high, 1_001_646.0)));
    }

    #[test]
    fn outliers_lie_outside_the_fences() {
        assert_eq!(outlier_count([1.0, 2.0, 100.0]), None);
        // Quartiles 2 and 4, fences -1 and 7.
        assert_eq!(outlier_count([1.0, 2.0, 3.0, 4.0, 7.0]), Some(0));
        assert_eq!(outlier_count([1.0, 2.0, 3.0, 4.0, 7.1]), Some(1));
        assert_eq!(outlier_count([-2.0, 2.0, 3.0, 4.0, 8.0]), Some(2));
        // Equal values but one: no spread, so that it is outside.
        assert_eq!(outlier_count([1.0, 1.0, 1.0, 1.0, 2.0]), Some(1));
    }
}
