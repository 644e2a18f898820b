//! Rows as CSV, written and read: text guarded, figures as they are.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use csv::{IntoInnerError, Reader, StringRecord, Writer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::core::cell::{guarded, unguarded};
use crate::core::error::{Error, Result};
use crate::core::text::check_columns;
use crate::machine::file::{self, MOST_RECORD_BYTES};
use crate::machine::whole_file::write_whole;

/// Bytes that the rows of any table may take, however small the file.
const ROWS_BYTES: usize = 1 << 26;
/// Beyond them, bytes of rows for each byte of the file; tables of sweeps take two or three.
const ROW_MULTIPLE: usize = 4;

/// Writes rows below a header that is there also without rows.
///
/// # Errors
///
/// [`Error::Write`]; the old file then still stands.
pub fn write_csv<T: Serialize + Default>(path: &Path, rows: &[T]) -> Result<()> {
    let csv = match rows {
        [] => header_of::<T>(),
        rows => to_csv(rows),
    };
    match csv {
        Ok(bytes) => write_whole(path, &bytes),
        Err(source) => Err(Error::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads a CSV file of rows.
///
/// # Errors
///
/// [`Error::Invalid`] that names file and line; what [`file::read`] gives.
pub fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let refused = |reason: String| Error::invalid(path.display().to_string(), reason);
    let invalid = |error: csv::Error| refused(error.to_string());
    let bytes = file::read(path, MOST_RECORD_BYTES)?;
    check_columns(&bytes).map_err(refused)?;
    let mut reader = Reader::from_reader(bytes.as_slice());
    let header = reader.headers().map_err(invalid)?.clone();
    if !header.iter().any(|column| column == "placement") {
        let reason = "no column is called placement: this is no table of a sweep";
        return Err(refused(reason.into()));
    }
    let most_rows = (ROWS_BYTES + ROW_MULTIPLE * bytes.len()) / size_of::<T>().max(1);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = as_meant(record.map_err(invalid)?);
        rows.push(record.deserialize(Some(&header)).map_err(invalid)?);
        if rows.len() > most_rows {
            let reason = format!("more than {most_rows} rows that say next to nothing");
            return Err(refused(reason));
        }
    }
    Ok(rows)
}

/// Reads a table of a results folder.
///
/// # Errors
///
/// As [`read_csv`], and where there is no such table.
pub fn read_table<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>> {
    let path = folder.join(name);
    if !path.exists() {
        let reason = "there is no such table: give a folder that a sweep wrote";
        return Err(Error::invalid(path.display().to_string(), reason));
    }
    read_csv(&path)
}

/// Returns a record with the text that guarded cells stand for, at its place in the file.
fn as_meant(record: StringRecord) -> StringRecord {
    let mut meant: StringRecord = record.iter().map(unguarded).collect();
    meant.set_position(record.position().cloned());
    meant
}

fn to_csv(rows: &[impl Serialize]) -> io::Result<Vec<u8>> {
    let plain = to_plain_csv(rows)?;
    let mut plain = Reader::from_reader(plain.as_slice());
    let header = plain.headers()?.clone();
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(&header)?;
    for (row, record) in rows.iter().zip(plain.records()) {
        // A cell does not tell whether it is a figure: its field does.
        let fields = serde_json::to_value(row)?;
        for (column, cell) in header.iter().zip(&record?) {
            let cell = if fields[column].is_string() {
                guarded(cell)
            } else {
                Cow::Borrowed(cell)
            };
            writer.write_field(cell.as_bytes())?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.into_inner().map_err(IntoInnerError::into_error)
}

fn to_plain_csv(rows: &[impl Serialize]) -> io::Result<Vec<u8>> {
    let mut writer = Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| writer.serialize(row))?;
    writer.into_inner().map_err(IntoInnerError::into_error)
}

/// Returns the header line of a table.
fn header_of<T: Serialize + Default>() -> io::Result<Vec<u8>> {
    let mut csv = to_plain_csv(&[T::default()])?;
    let end = csv.iter().position(|&byte| byte == b'\n');
    csv.truncate(end.map_or(0, |end| end + 1));
    Ok(csv)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::foreign::{EVIL, is_hidden};
    use crate::record::row::LayerRow;

    /// A row with a name in every text and a figure that begins as a formula does.
    fn row(name: &str) -> LayerRow {
        LayerRow {
            model: name.into(),
            placement: "CS".into(),
            layer: name.into(),
            op: name.into(),
            composed_layers: format!("{name} {name}"),
            environment: Some(name.into()),
            server_compute_s_median: -3.5,
            predicted_one_step_rate: Some(f64::NEG_INFINITY),
            ..LayerRow::default()
        }
    }

    #[test]
    fn rows_of_evil_names_read_back() {
        let rows = EVIL.map(row);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layers.csv");
        write_csv(&path, &rows).unwrap();
        assert_eq!(read_csv::<LayerRow>(&path).unwrap(), rows);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1 + rows.len());
        assert!(!text.replace('\n', "").contains(is_hidden), "{text}");
        assert_eq!(text.matches(",-3.5,").count(), rows.len(), "{text}");
        assert_eq!(text.matches(",-inf,").count(), rows.len(), "{text}");
    }

    #[test]
    fn a_cell_that_cannot_be_read_is_told_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layers.csv");
        write_csv(&path, &[row("a"), row("=b")]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, _) = text.rsplit_once(",-3.5,").unwrap();
        std::fs::write(&path, format!("{before},x{}", &text[before.len()..])).unwrap();
        let error = read_csv::<LayerRow>(&path).unwrap_err().to_string();
        assert!(error.contains("line: 3"), "{error}");
    }
}
