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
