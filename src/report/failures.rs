//! What failure probability was asked for, and which splits stay below the one asked for elsewhere.

use serde_json::Value;

use crate::row::SplitRow;

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
    format!("{asked}2<sup>−128</sup> {of}.")
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
    }
}
