//! JSON and CSV of other people, counted before a parser takes memory for each of their parts.

use serde::de::DeserializeOwned;

/// The most values of a JSON file. Each takes some hundred bytes, where the file spends two on it.
const MOST_VALUES: usize = 1 << 20;
/// The most columns of a line of CSV.
const MOST_COLUMNS: usize = 1000;

/// Returns what a JSON file holds.
///
/// # Errors
///
/// A sentence on what is wrong, with line and column, or on too many values.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if has_more_values(bytes, MOST_VALUES) {
        return Err(format!("more than {MOST_VALUES} values"));
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Returns whether commas and brackets outside of strings promise more than `most` values.
fn has_more_values(bytes: &[u8], most: usize) -> bool {
    let (mut count, mut is_string, mut is_escaped) = (0, false, false);
    for &byte in bytes {
        match (byte, is_string) {
            _ if is_escaped => is_escaped = false,
            (b'\\', true) => is_escaped = true,
            (b'"', _) => is_string = !is_string,
            (b',' | b'[' | b'{', false) => count += 1,
            _ => {}
        }
    }
    count > most
}

/// Checks that no line of a CSV file has very many columns.
///
/// # Errors
///
/// A sentence with the line.
pub fn check_columns(bytes: &[u8]) -> Result<(), String> {
    let commas = |line: &[u8]| line.iter().filter(|&&byte| byte == b',').count();
    let too_wide = bytes
        .split(|&byte| byte == b'\n')
        .position(|line| commas(line) >= MOST_COLUMNS);
    match too_wide {
        None => Ok(()),
        Some(line) => Err(format!(
            "line {}: has more than {MOST_COLUMNS} columns",
            line + 1
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        let json = br#"{"a,[{": ["\",\"", "\\", 1], "b": {}}"#;
        assert!(has_more_values(json, 5));
        assert!(!has_more_values(json, 6));
        let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
        let message = from_json::<Vec<u8>>(many.as_bytes()).expect_err("too many");
        assert!(message.contains("more than 1048576 values"), "{message}");
        assert_eq!(from_json::<Vec<u8>>(b"[1, 2]"), Ok(vec![1, 2]));
        let message = from_json::<Vec<u8>>(b"[1,\n2").expect_err("cut short");
        assert!(message.contains("line 2"), "{message}");
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(MOST_VALUES);
        let message = from_json::<serde_json::Value>(deep.as_bytes()).expect_err("too deep");
        assert!(message.contains("recursion"), "{message}");
    }

    #[test]
    fn the_line_with_too_many_columns_is_named() {
        let wide = ",".repeat(MOST_COLUMNS - 1);
        assert_eq!(check_columns(format!("a\n{wide}\nb").as_bytes()), Ok(()));
        let message = check_columns(format!("a\n{wide},\nb").as_bytes()).expect_err("too wide");
        assert!(message.starts_with("line 2:"), "{message}");
    }
}
