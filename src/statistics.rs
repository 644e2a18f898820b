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

/// Returns the median of `values`, or `None` where there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    summarise(values).map(|summary| summary.median)
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
}
