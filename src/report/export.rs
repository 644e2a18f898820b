//! Tables for papers: splits of a results folder as LaTeX, Markdown or CSV, with units in the
//! header and figures of three digits.

mod markup;
mod table;

use std::path::PathBuf;

use serde_json::Value;
use table::{Table, least_exposure};

use crate::choose::dominance::{self, Dominance, dominances, is_ok};
use crate::core::error::{Error, Result};
use crate::core::units;
use crate::record::columns::{self, Column};
use crate::record::provenance::{Provenance, read_environment};
use crate::record::results::read_splits;
use crate::record::row::SplitRow;

/// The columns that decide between splits.
const DEFAULT_COLUMNS: [&str; 10] = [
    "placement",
    "online_s_median",
    "client_peak_rss_bytes",
    "server_peak_rss_bytes",
    "upload_bytes",
    "download_bytes",
    "evaluation_key_bytes",
    "rounds",
    "exposure",
    "simulated_accuracy",
];

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Latex,
    Markdown,
    Csv,
}

/// What to write.
#[derive(Debug, Clone)]
pub struct TableRequest {
    pub folder: PathBuf,
    pub format: Format,
    /// Names as in `splits.csv`, and `exposure`; none for the columns that decide.
    pub columns: Vec<String>,
    /// Whether only splits that no other beats.
    pub front: bool,
}

/// Returns the table of a results folder.
///
/// # Errors
///
/// [`Error::Usage`] for columns that are none and for a front without splits; what reading gives.
pub fn export(request: &TableRequest) -> Result<String> {
    let rows = read_splits(&request.folder)?;
    let shown = chosen_rows(&rows, request.front)?;
    let columns = chosen_columns(&request.columns, &shown)?;
    let provenance = Provenance::of(&read_environment(&request.folder)?);
    let mut table = Table::of(&shown, &columns);
    table.caption = caption(&rows, &shown, request.front, &provenance);
    match request.format {
        Format::Latex => Ok(markup::latex(&table)),
        Format::Markdown => Ok(markup::markdown(&table)),
        Format::Csv => markup::csv(&table),
    }
}

/// Returns the named columns, or those that decide; then the status comes with them where one is
/// not `ok`, and what is unknown of every split stays out.
fn chosen_columns(names: &[String], rows: &[&SplitRow]) -> Result<Vec<Column>> {
    if !names.is_empty() {
        return columns::named(names);
    }
    let mut names = DEFAULT_COLUMNS.map(str::to_owned).to_vec();
    if rows.iter().any(|row| !is_ok(row)) {
        names.insert(1, "status".into());
    }
    let mut columns = columns::named(&names)?;
    columns.retain(|column| {
        let alone = std::slice::from_ref(column);
        let is_known = |row: &&SplitRow| {
            columns::cells(row, alone) != [Value::Null] || least_exposure(row, column).is_some()
        };
        rows.iter().any(is_known)
    });
    Ok(columns)
}

/// Returns the rows to show, the fastest first and those without a time last.
fn chosen_rows(rows: &[SplitRow], front: bool) -> Result<Vec<&SplitRow>> {
    let dominances = dominances(rows);
    let mut shown: Vec<&SplitRow> = rows
        .iter()
        .zip(&dominances)
        .filter(|(_, dominance)| !front || **dominance == Dominance::Front)
        .map(|(row, _)| row)
        .collect();
    if front && shown.is_empty() {
        let reason = if rows.iter().any(is_ok) {
            "--front: every split that was measured is known to give the whole model away, so that none is on it"
        } else {
            "--front: no split ran to the end with right answers, so that none is on it"
        };
        return Err(Error::Usage(reason.into()));
    }
    let online = |row: &SplitRow| row.online_s_median.unwrap_or(f64::INFINITY);
    shown.sort_by(|left, right| online(left).total_cmp(&online(right)));
    Ok(shown)
}

/// Says what the table holds, how often it was measured, on what and by which build.
fn caption(rows: &[SplitRow], shown: &[&SplitRow], front: bool, provenance: &Provenance) -> String {
    let model = rows.first().map_or("no network", |row| row.model.as_str());
    let what = if front {
        format!(
            "{model}: the {} of {} splits on the front in {}",
            shown.len(),
            rows.len(),
            units::listed(&dominance::criteria(rows))
        )
    } else {
        format!("{model}: {} splits", rows.len())
    };
    let samples = || shown.iter().filter_map(|row| row.online_s_n);
    let n = match (samples().min(), samples().max()) {
        (Some(least), Some(most)) if least == most => format!("; medians, n = {least}"),
        (Some(least), Some(most)) => format!("; medians, n = {least} to {most}"),
        _ => String::new(),
    };
    let sources: String = [&provenance.machines, &provenance.builds]
        .map(|words| words.join("; "))
        .into_iter()
        .filter(|words| !words.is_empty())
        .map(|words| format!("; {words}"))
        .collect();
    format!("{what}{n}{sources}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::whole_file;
    use crate::record::results;
    use crate::report::fixture::{contents, write_tables};

    /// A folder of eight splits, one of which failed.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let contents = contents(3);
        write_tables(&contents, folder.path());
        let path = folder.path().join(results::ENVIRONMENT);
        whole_file::write_json(&path, &contents.environment).unwrap();
        folder
    }

    fn table(format: Format, columns: &[&str], front: bool) -> Result<String> {
        let folder = folder();
        export(&TableRequest {
            folder: folder.path().into(),
            format,
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            front,
        })
    }

    #[test]
    fn a_table_for_latex() {
        insta::assert_snapshot!(table(Format::Latex, &[], false).unwrap());
    }

    #[test]
    fn a_table_in_markdown() {
        insta::assert_snapshot!(table(Format::Markdown, &[], true).unwrap());
    }

    #[test]
    fn a_table_as_csv_of_chosen_columns() {
        let columns = ["placement", "exposure", "log2_p_fail", "host", "reason"];
        insta::assert_snapshot!(table(Format::Csv, &columns, false).unwrap());
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let error = table(Format::Csv, &["speed"], false).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = export(&TableRequest {
            folder: empty.path().into(),
            format: Format::Csv,
            columns: Vec::new(),
            front: false,
        });
        assert!(error.unwrap_err().to_string().contains("splits.csv"));
        assert!(chosen_rows(&[SplitRow::default()], true).is_err());
    }
}
