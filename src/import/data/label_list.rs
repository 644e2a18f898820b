//! Labels as text: one number per line, with or without a header, or the column `label` of
//! a CSV file.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::shape::check_label_count;
use super::source::Source;
use crate::core::error::{Error, Result};
use crate::core::foreign::quoted;
use crate::core::text::check_columns;

/// The largest text file: room for ten million labels.
pub(super) const MAX_TEXT_BYTES: u64 = 1 << 26;

/// Returns whether the first bytes of a file are text.
pub(super) fn looks_like(head: &[u8]) -> bool {
    let printable = |&byte: &u8| byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r');
    let complete = match std::str::from_utf8(head) {
        Ok(_) => true,
        // A character may be cut where the head ends.
        Err(error) => error.error_len().is_none(),
    };
    complete && head.iter().all(printable)
}

/// Reads the labels of a text file, at most `most`.
///
/// # Errors
///
/// [`Error::Invalid`] with the line and what to change.
pub(super) fn read(source: Source, most: usize) -> Result<Vec<f64>> {
    let place = source.place.clone();
    let bytes = text_bytes(source)?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .trim(Trim::All)
        .from_reader(bytes.as_slice());
    let mut labels = Vec::new();
    let mut column = 0;
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|error| broken(&place, &error))?;
        if i == 0 {
            column = label_column(&place, &record)?;
            if is_heading(&record[column]) {
                continue;
            }
        }
        labels.push(label(&place, &record, column)?);
        check_label_count(&place, labels.len(), most)?;
    }
    if labels.is_empty() {
        return Err(Error::invalid(
            place,
            "holds no labels: write one whole number per line",
        ));
    }
    Ok(labels)
}

/// Reads a text file of at most 64 MiB, with no more columns than a parser has room for.
///
/// # Errors
///
/// [`Error::Invalid`] where it is larger or damaged.
pub(super) fn text_bytes(source: Source) -> Result<Vec<u8>> {
    if source.length > MAX_TEXT_BYTES {
        return Err(Error::invalid(
            source.place,
            "is text of more than 64 MiB: give fewer lines",
        ));
    }
    let place = source.place.clone();
    let bytes = source.into_bytes(0)?;
    check_columns(&bytes).map_err(|reason| Error::invalid(place, reason))?;
    Ok(bytes)
}

/// Returns a label of a line.
///
/// # Errors
///
/// [`Error::Invalid`] with the line.
pub(super) fn label(place: &str, record: &StringRecord, column: usize) -> Result<f64> {
    let cell = &record[column];
    let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| {
        let line = record.position().map_or(0, csv::Position::line);
        Error::invalid(
            place,
            format!(
                "line {line}: label {} is no number: write the number of each image's class",
                quoted(cell)
            ),
        )
    })
}

/// Returns the error of a line that is no CSV.
pub(super) fn broken(place: &str, error: &csv::Error) -> Error {
    Error::invalid(place, format!("{error}: write one record per line"))
}

/// Returns whether a cell names a column; a number that is no label does not.
fn is_heading(cell: &str) -> bool {
    cell.starts_with(|first: char| first.is_alphabetic() || matches!(first, '#' | '_'))
}

/// Returns which column holds the labels, from the first line.
fn label_column(place: &str, first: &StringRecord) -> Result<usize> {
    match first.iter().position(|cell| cell == "label") {
        Some(column) => Ok(column),
        None if first.len() == 1 => Ok(0),
        None => Err(Error::invalid(
            place,
            format!(
                "line 1: has {} columns, none of them headed label: \
                 write one whole number per line",
                first.len()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::import::data::Part;
    use crate::import::data::tests::{gzip, read_images, read_labels, write};

    #[test]
    fn lists_are_read_with_and_without_header() {
        let table = [
            ("3\n0\n299\n", vec![3.0, 0.0, 299.0]),
            (" 3\r\n0 \r\n\r\n7", vec![3.0, 0.0, 7.0]),
            ("# class\n1\n2\n", vec![1.0, 2.0]),
            ("label\n-1\n", vec![-1.0]),
            ("\u{feff}label\n1\n", vec![1.0]),
            // As numpy.savetxt writes it.
            ("3.000000000000000000e+00\n1.0\n", vec![3.0, 1.0]),
            ("file,label\na.png,4\n\"b,c.png\",5\n", vec![4.0, 5.0]),
        ];
        for (text, expected) in table {
            for bytes in [gzip(text.as_bytes()), text.into()] {
                let labels = read_labels(write(&bytes).path(), Part::Test).unwrap();
                assert_eq!(labels, expected, "{text:?}");
            }
        }
    }

    #[test]
    fn lists_of_other_things_are_refused() {
        let long = format!(
            "1\n{}\n",
            "x\u{1b}".repeat(9).replace('\u{1b}', "é").repeat(9999)
        );
        let table = [
            ("1\n1e999\n", "line 2: label \"1e999\""),
            ("1\nnan\n", "is no number"),
            ("1\ncat\n", "\"cat\""),
            ("label\n", "holds no labels"),
            ("1;2\n1\n", "\"1;2\""),
            ("1,2\n3,4\n", "2 columns"),
            ("file,label\na.png\n", "record"),
            (long.as_str(), "…"),
        ];
        for (text, expected) in table {
            let message = read_labels(write(text.as_bytes()).path(), Part::Test)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{text:.20}: {message}");
            assert!(!message.contains('\n') && message.len() < 400, "{message}");
        }
        let message = read_images(write(b"1\n2\n").path(), Part::Test)
            .unwrap_err()
            .to_string();
        assert!(message.contains("labels only"), "{message}");
    }
}
