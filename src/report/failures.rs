//! What failure probability was asked for, and which splits stay below the one asked for elsewhere.

use serde_json::Value;

use crate::record::row::SplitRow;

/// Returns a sentence for the limits.
pub(crate) fn failures(rows: &[SplitRow], environment: &Value) -> String {
    let asked = match environment["settings"]["log2_p_fail_lookup"].as_f64() {
        Some(log2) => format!(
            "Here 2<sup>−{}</sup> per look-up was asked for; ",
            log2.abs()
        ),
        None => String::new(),
    };
    let met: Vec<bool> = (rows.iter())
        .filter_map(|row| row.meets_log2_p_fail_128)
        .collect();
    let count = met.iter().filter(|met| **met).count();
    let of = match (count, met.len()) {
        (_, 0) => return format!("{asked}no split has look-ups."),
        (0, _) => "is not met by any split with look-ups".to_owned(),
        (count, all) if count == all => "is met by every split with look-ups".to_owned(),
        (count, all) => format!("is met by {count} of {all} splits with look-ups"),
    };
    format!("{asked}2<sup>−128</sup> {of}.{}", seen(rows))
}

/// Says what simulated inferences with noise read, over all splits; empty where none was counted.
fn seen(rows: &[SplitRow]) -> String {
    let sum = |of: fn(&SplitRow) -> Option<u64>| rows.iter().filter_map(of).sum::<u64>();
    let reads = sum(|row| row.simulated_reads);
    if reads == 0 {
        return String::new();
    }
    let observed_count = rows
        .iter()
        .filter(|row| row.log2_p_fail_is == "observed")
        .count();
    let observed = match observed_count {
        0 => String::new(),
        count => format!(
            " For {}, that is more than was computed: the observed rate stands in the table.",
            super::summary::count(count, "split")
        ),
    };
    format!(
        " Simulated with noise, {} of {reads} values lay outside the range that they were calibrated \
         for, and {} were misread.{observed}",
        sum(|row| row.out_of_range_count),
        sum(|row| row.misread_count),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::contents;
    use serde_json::json;

    #[test]
    fn the_sentence_counts_splits_with_look_ups() {
        let mut rows = contents(2).splits;
        let environment = json!({ "settings": { "log2_p_fail_lookup": -64.0 } });
        let none = "Here 2<sup>−64</sup> per look-up was asked for; no split has look-ups.";
        assert_eq!(failures(&rows, &environment), none);
        rows[1].meets_log2_p_fail_128 = Some(false);
        assert!(failures(&rows, &environment).ends_with("is not met by any split with look-ups."));
        rows[2].meets_log2_p_fail_128 = Some(true);
        let some = "2<sup>−128</sup> is met by 1 of 2 splits with look-ups.";
        assert_eq!(failures(&rows, &Value::Null), some);
        rows[1].simulated_reads = Some(1000);
        rows[2].simulated_reads = Some(500);
        rows[2].out_of_range_count = Some(7);
        rows[2].misread_count = Some(2);
        let seen = " Simulated with noise, 7 of 1500 values lay outside the range that they were \
                    calibrated for, and 2 were misread.";
        assert_eq!(failures(&rows, &Value::Null), format!("{some}{seen}"));
        rows[2].log2_p_fail_is = "observed".into();
        let told = failures(&rows, &Value::Null);
        assert!(
            told.contains(" For 1 split, that is more than was computed"),
            "{told}"
        );
    }
}
