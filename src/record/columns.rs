//! The columns of `splits.csv` for people: titles, kinds, and what each counts, as
//! `results/COLUMNS.md` says. Beside them stands the exposure, which follows from a row.

use serde::Serialize;
use serde_json::Value;

use crate::core::error::{Error, Result};
use crate::core::units;
use crate::record::exposure;
use crate::record::row::SplitRow;

/// The text that documents every column.
const DOCUMENTED: &str = include_str!("../../results/COLUMNS.md");

/// The name of the column that is in no table: [`exposure::fraction`] of the row.
pub const EXPOSURE: &str = "exposure";

/// The names of the columns of copies.
const COPY_AGREEMENT: &str = "copy_agreement";
const OWN_AGREEMENT: &str = "own_agreement";

/// Titles where words in the order of the column's name read badly.
const TITLES: [(&str, &str); 22] = [
    ("placement", "split"),
    ("online_s_median", "online time"),
    ("online_s_min", "online time, least"),
    ("online_s_max", "online time, most"),
    ("online_s_n", "samples"),
    ("upload_bytes", "up"),
    ("download_bytes", "down"),
    ("evaluation_key_bytes", "keys"),
    ("bootstrap_count", "bootstraps"),
    ("peak_rss_bytes", "memory, both"),
    ("client_peak_rss_bytes", "client memory"),
    ("server_peak_rss_bytes", "server memory"),
    ("client_fits_gb", "client fits (GB)"),
    ("server_fits_gb", "server fits (GB)"),
    ("client_weight_share", "weights at client"),
    ("simulated_accuracy", "accuracy"),
    ("simulated_reads", "simulated look-ups"),
    ("out_of_range_count", "out of range"),
    ("log2_out_of_range_high", "out of range, at most"),
    ("misread_count", "misread"),
    ("log2_misread_high", "misread per inference, at most"),
    ("log2_p_fail", "failure per inference"),
];

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Text,
    /// Seconds.
    Time,
    Bytes,
    /// Of one.
    Fraction,
    /// A base-2 logarithm.
    Log2,
    Number,
}

/// A column of the split table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// As in the header of `splits.csv`.
    pub name: String,
    pub title: String,
    pub kind: Kind,
    /// What it counts, and what it does not.
    pub note: String,
}

/// Returns the columns of `splits.csv` in their order, then the exposure.
pub fn columns() -> Vec<Column> {
    let section = DOCUMENTED
        .split("\n## splits.csv\n")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .unwrap_or_default();
    let mut columns: Vec<Column> = section.lines().filter_map(documented).collect();
    columns.push(Column {
        name: EXPOSURE.into(),
        title: EXPOSURE.into(),
        kind: Kind::Fraction,
        note:
            "Fraction of all of the model's weights that the client ends up with: its own layers', \
               and what attacks recovered of the server's."
                .into(),
    });
    columns
}

/// Returns the columns of how far copies agree after so many queries, which `copies.csv` has.
pub fn copy_columns(queries: usize) -> [Column; 2] {
    let queries = units::grouped(queries);
    let column = |name: &str, title: &str, note: String| Column {
        name: name.into(),
        title: title.into(),
        kind: Kind::Fraction,
        note,
    };
    [
        column(
            COPY_AGREEMENT,
            "copies agree",
            format!(
                "Of the judged images, those that a copy labels as the server does: the client's true layers, and \
                 in the place of the server's what it learnt from the answers to {queries} queries."
            ),
        ),
        column(
            OWN_AGREEMENT,
            "agree without server",
            format!(
                "The same of what the images among {queries} queries teach with their true labels, without the \
                 server."
            ),
        ),
    ]
}

/// Returns the columns of these names.
///
/// # Errors
///
/// [`Error::Usage`] that names the one that is no column.
pub fn named(names: &[String]) -> Result<Vec<Column>> {
    let all = columns();
    let find = |name: &String| {
        let found = all.iter().find(|column| column.name == *name).cloned();
        found.ok_or_else(|| {
            Error::Usage(format!(
                "--columns: {name:?} is no column of splits.csv, nor {EXPOSURE:?}: \
                 results/COLUMNS.md lists them"
            ))
        })
    };
    names.iter().map(find).collect()
}

/// Returns the cells of a row in the order of the columns; unknown is null.
pub fn cells(row: &SplitRow, columns: &[Column]) -> Vec<Value> {
    let fields = serde_json::to_value(row).unwrap_or_default();
    let cell = |column: &Column| match column.name.as_str() {
        EXPOSURE => exposure::fraction(row).into(),
        COPY_AGREEMENT => row.copies.map(|copies| copies.copy).into(),
        OWN_AGREEMENT => row.copies.and_then(|copies| copies.own).into(),
        name => fields.get(name).cloned().unwrap_or_default(),
    };
    columns.iter().map(cell).collect()
}

/// Reads a line `| `name` | unit | what it counts |`.
fn documented(line: &str) -> Option<Column> {
    let (name, rest) = line.strip_prefix("| `")?.split_once("` |")?;
    let (unit, note) = rest.split_once(" | ")?;
    let note = note.trim().trim_end_matches('|').trim();
    Some(Column {
        name: name.into(),
        title: title(name),
        kind: kind(unit.trim()),
        note: note.replace('`', ""),
    })
}

fn kind(unit: &str) -> Kind {
    match unit {
        "s" => Kind::Time,
        "B" => Kind::Bytes,
        "fraction" => Kind::Fraction,
        "log2" => Kind::Log2,
        "count" | "bits" | "ratio" | "2, 4, 8" => Kind::Number,
        _ => Kind::Text,
    }
}

/// Returns the words of a column's name without its unit: `decrypt_s_median` is `decrypt, median`.
fn title(name: &str) -> String {
    if let Some((_, title)) = TITLES.iter().find(|(of, _)| *of == name) {
        return (*title).into();
    }
    let mut words: Vec<&str> = name.split('_').collect();
    let statistic = match words.last() {
        Some(&("median" | "min" | "max")) => words.pop(),
        _ => None,
    };
    words.retain(|word| !matches!(*word, "s" | "bytes" | "log2" | "rss"));
    match statistic {
        Some(statistic) => format!("{}, {statistic}", words.join(" ")),
        None => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::copy::Agreement;

    fn column(name: &str) -> Column {
        named(&[name.to_owned()]).unwrap().remove(0)
    }

    #[test]
    fn every_field_of_a_row_is_a_column() {
        let fields = serde_json::to_value(SplitRow::default()).unwrap();
        let mut fields: Vec<&String> = fields.as_object().unwrap().keys().collect();
        let columns = columns();
        let mut names: Vec<&String> = columns.iter().map(|column| &column.name).collect();
        names.pop();
        fields.sort();
        names.sort();
        assert_eq!(names, fields);
        assert!(columns.iter().all(|column| column.note.len() > 5));
    }

    #[test]
    fn kinds_follow_from_the_documented_units() {
        for (name, kind) in [
            ("placement", Kind::Text),
            ("online_s_median", Kind::Time),
            ("upload_bytes", Kind::Bytes),
            ("exposure", Kind::Fraction),
            ("log2_p_fail", Kind::Log2),
            ("rounds", Kind::Number),
            ("client_fits_gb", Kind::Number),
        ] {
            assert_eq!(column(name).kind, kind, "{name}");
        }
        assert_eq!(column("decrypt_s_median").title, "decrypt, median");
        assert_eq!(column("server_ciphertext_bytes").title, "server ciphertext");
    }

    #[test]
    fn cells_are_what_the_row_holds() {
        let row = SplitRow {
            placement: "CS".into(),
            exposed_weight_share: Some(0.25),
            ..SplitRow::default()
        };
        let wanted = ["placement", "exposure", "online_s_median"].map(column);
        let cells = cells(&row, &wanted);
        assert_eq!(cells, [Value::from("CS"), 0.25.into(), Value::Null]);
    }

    #[test]
    fn copies_have_their_columns() {
        let mut row = SplitRow::default();
        let columns = copy_columns(1000);
        assert!(columns.iter().all(|column| column.note.contains("1,000")));
        assert_eq!(cells(&row, &columns), [Value::Null, Value::Null]);
        row.copies = Some(Agreement {
            own: Some(0.5),
            ..Agreement::handed_over(1000)
        });
        assert_eq!(cells(&row, &columns), [Value::from(1.0), 0.5.into()]);
    }

    #[test]
    fn other_names_are_refused() {
        let error = named(&["onlime".into()]).unwrap_err().to_string();
        assert!(error.contains("\"onlime\""), "{error}");
    }
}
