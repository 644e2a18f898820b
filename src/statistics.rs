//! Summaries of a handful of measurements. Unknown is `None`, never zero.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
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

/// Returns the median of `values`, or `None` where there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    summarise(values).map(|summary| summary.median)
}

/// Bootstrap resamples behind an interval.
const RESAMPLES: usize = 2000;

/// What a figure may be, at some confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Returns medians of resamples of values that come in groups, rounds say: groups are drawn with
/// replacement, then values within each, so that what the values of a group share widens the
/// spread (the two-stage bootstrap of Davison and Hinkley 1997, section 3.8). None where there are
/// fewer than two values.
pub fn resampled_medians(groups: &[Vec<f64>], seed: u64) -> Vec<f64> {
    let groups: Vec<&Vec<f64>> = groups.iter().filter(|group| !group.is_empty()).collect();
    if groups.iter().map(|group| group.len()).sum::<usize>() < 2 {
        return Vec::new();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let resamples = (0..RESAMPLES).filter_map(|_| {
        let mut values = Vec::new();
        for _ in 0..groups.len() {
            let group = groups.choose(&mut random)?;
            values.extend((0..group.len()).map(|_| group[random.random_range(0..group.len())]));
        }
        median(values)
    });
    resamples.collect()
}

/// Returns the interval that holds a share `level` of `values`, as much being left out at each end
/// (the percentile interval of Efron and Tibshirani 1993, section 13.3, where they are resampled);
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

/// Returns the 95 % bootstrap interval of the median of grouped values; `None` where there are fewer
/// than two.
pub fn median_interval(groups: &[Vec<f64>], seed: u64) -> Option<Interval> {
    percentile_interval(resampled_medians(groups, seed), 0.95)
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
        match incomplete_beta(middle, a, b) < value {
            true => (middle, high),
            false => (low, middle),
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
        let nonzero = |value: f64| match value.abs() < f64::MIN_POSITIVE {
            true => f64::MIN_POSITIVE,
            false => value,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_one_to_four_values_match_hand_worked_answers() {
        assert_eq!(summarise([]), None);
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
    fn intervals_of_few_values_match_hand_worked_answers() {
        assert_eq!(median_interval(&[], 0), None);
        assert_eq!(median_interval(&[vec![1.0]], 0), None, "one value");
        let interval = |groups: &[Vec<f64>]| median_interval(groups, 7).map(|i| (i.low, i.high));
        assert_eq!(interval(&[vec![2.0; 5]]), Some((2.0, 2.0)));
        // Medians of two draws from {1, 3} are 1, 2 and 3 with chances 1/4, 1/2 and 1/4.
        assert_eq!(interval(&[vec![1.0, 3.0]]), Some((1.0, 3.0)));
        assert_eq!(interval(&[vec![1.0], vec![3.0]]), Some((1.0, 3.0)));
        // Of 40 values the middle is known to within a few ranks: sd of the rank is √40 / 2.
        let ranks = interval(&[(0..40).map(f64::from).collect()]);
        assert!(ranks.is_some_and(|(low, high)| low > 10.0 && high < 29.0));
    }

    #[test]
    fn what_a_round_shares_widens_the_interval() {
        let rounds: Vec<Vec<f64>> = (0..5).map(|round| vec![f64::from(round); 20]).collect();
        let pooled = vec![rounds.concat()];
        let width = |groups: &[Vec<f64>]| {
            let interval = median_interval(groups, 1).expect("many values");
            interval.high - interval.low
        };
        assert!(width(&rounds) > 2.0 * width(&pooled));
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
