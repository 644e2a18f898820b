//! A table as text, not yet in any markup: units in the header, figures of three digits.

use serde_json::Value;

use crate::core::statistics::median;
use crate::core::units;
use crate::record::columns::{self, Column, Kind};
use crate::record::exposure;
use crate::record::row::SplitRow;

/// A table as text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub caption: String,
    pub header: Vec<String>,
    /// Whether a column's figures stand flush right.
    pub is_figures: Vec<bool>,
    /// Empty cells are unknown.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns the table of rows, without a caption.
    pub fn of(rows: &[&SplitRow], columns: &[Column]) -> Self {
        let cells: Vec<Vec<Value>> = rows
            .iter()
            .map(|row| columns::cells(row, columns))
            .collect();
        let units: Vec<Unit> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Unit::of(column.kind, cells.iter().map(|row| &row[at])))
            .collect();
        let text = |(row, cells): (&&SplitRow, &Vec<Value>)| {
            let figures = cells.iter().zip(&units).zip(columns);
            figures
                .map(|((cell, unit), column)| match least_exposure(row, column) {
                    Some(least) => format!("≥ {}, unknown", unit.text(&least.into())),
                    None => unit.text(cell),
                })
                .collect()
        };
        Self {
            caption: String::new(),
            header: columns
                .iter()
                .zip(&units)
                .map(|(column, unit)| unit.title(&column.title))
                .collect(),
            is_figures: columns
                .iter()
                .map(|column| column.kind != Kind::Text)
                .collect(),
            rows: rows.iter().zip(&cells).map(text).collect(),
        }
    }

    /// Returns all that the table says.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        self.header
            .iter()
            .chain(self.rows.iter().flatten())
            .chain([&self.caption])
    }
}

/// What the figures of a column are told in.
struct Unit {
    kind: Kind,
    /// Seconds or bytes in one.
    size: f64,
    name: &'static str,
}

impl Unit {
    /// Returns the unit that suits the figure in the middle of a column.
    fn of<'a>(kind: Kind, cells: impl Iterator<Item = &'a Value>) -> Self {
        let figures = cells
            .filter_map(Value::as_f64)
            .filter(|figure| *figure != 0.0);
        let middle = median(figures).unwrap_or(0.0);
        let (size, name) = match kind {
            Kind::Time => units::time_unit(middle),
            Kind::Bytes => units::byte_unit(middle),
            Kind::Fraction => (0.01, "%"),
            Kind::Log2 => (1.0, "log2"),
            Kind::Number | Kind::Text => (1.0, ""),
        };
        Self { kind, size, name }
    }

    fn title(&self, title: &str) -> String {
        match self.name {
            "" => title.to_owned(),
            name => format!("{title} ({name})"),
        }
    }

    /// Returns a cell's text; empty where it is unknown.
    fn text(&self, cell: &Value) -> String {
        match (cell, cell.as_f64(), self.kind) {
            (Value::Null, ..) => String::new(),
            (_, Some(figure), Kind::Fraction) => units::decimal(figure / self.size, 1),
            (_, Some(figure), Kind::Log2) => units::decimal(figure, 1),
            (_, Some(figure), Kind::Time | Kind::Bytes) => units::significant(figure / self.size),
            (_, Some(figure), _) if figure.fract() != 0.0 => units::significant(figure),
            (Value::String(text), ..) => text.clone(),
            (other, ..) => other.to_string(),
        }
    }
}

/// Returns what an exposure that is not known is at least; none in other columns.
pub(super) fn least_exposure(row: &SplitRow, column: &Column) -> Option<f64> {
    let is_unknown = column.name == columns::EXPOSURE && exposure::fraction(row).is_none();
    exposure::least_fraction(row).filter(|_| is_unknown)
}
