//! A table in the markup of each format.

use super::Table;
use crate::error::{Error, Result};

/// Returns a LaTeX table; it needs the package booktabs.
pub(super) fn latex(table: &Table) -> String {
    let cells = |row: &Vec<String>| {
        let cells = row.iter().map(|cell| match cell.as_str() {
            "" => "--".to_owned(),
            cell => escape_latex(cell),
        });
        format!("{} \\\\\n", cells.collect::<Vec<_>>().join(" & "))
    };
    let alignment = table.is_figures.iter();
    let alignment: String = alignment
        .map(|figures| if *figures { 'r' } else { 'l' })
        .collect();
    let rows: String = table.rows.iter().map(cells).collect();
    format!(
        "% \\usepackage{{booktabs}}\n\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\
         \\begin{{tabular}}{{{alignment}}}\n\\toprule\n{}\\midrule\n{rows}\\bottomrule\n\
         \\end{{tabular}}\n\\end{{table}}\n",
        escape_latex(&table.caption),
        cells(&table.header)
    )
}

/// Returns a Markdown table with the caption above it.
pub(super) fn markdown(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let cells = |row: &Vec<String>| {
        let cells = row.iter().map(|cell| match cell.as_str() {
            "" => "–".to_owned(),
            cell => escape_markdown(cell),
        });
        line(cells.collect())
    };
    let alignment = table.is_figures.iter();
    let alignment = alignment.map(|figures| if *figures { "---:" } else { ":---" }.to_owned());
    let rows: String = table.rows.iter().map(cells).collect();
    format!(
        "{}\n\n{}{}{rows}",
        escape_markdown(&table.caption),
        cells(&table.header),
        line(alignment.collect())
    )
}

/// Returns CSV with the minus of machines; a caption has no place in it.
pub(super) fn csv(table: &Table) -> Result<String> {
    let refused = |reason: String| Error::invalid("table", reason);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let figures = |row: &Vec<String>| -> Vec<String> {
        let pairs = row.iter().zip(&table.is_figures);
        let plain = |(cell, is_figure): (&String, &bool)| match is_figure {
            true => cell.replace('−', "-"),
            false => cell.clone(),
        };
        pairs.map(plain).collect()
    };
    for row in std::iter::once(&table.header).chain(&table.rows) {
        let written = writer.write_record(figures(row));
        written.map_err(|error| refused(error.to_string()))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| refused(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| refused(error.to_string()))
}

fn escape_latex(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '≥' => escaped.push_str("$\\geq$"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', letter]),
            '<' | '>' | '|' => escaped.extend(['$', letter, '$']),
            // Behind the end of a row it would begin an option.
            '[' => escaped.push_str("{[}"),
            '−' => escaped.push_str("$-$"),
            'µ' => escaped.push_str("$\\mu$"),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped.replace("log2", "$\\log_2$")
}

fn escape_markdown(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '&' | '~' => {
                escaped.extend(['\\', letter]);
            }
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Table {
        Table {
            caption: "a_b & 50 % of $x$ #1 {y} ~^\\".into(),
            header: vec!["split".into(), "time (µs)".into()],
            is_figures: vec![false, true],
            rows: vec![
                vec!["[C|S]\n<img>".into(), "−1.50".into()],
                vec!["\"a, b\"".into(), String::new()],
            ],
        }
    }

    #[test]
    fn latex_is_escaped() {
        let text = latex(&hostile());
        assert!(text.contains(
            "\\caption{a\\_b \\& 50 \\% of \\$x\\$ \\#1 \\{y\\} \\textasciitilde{}\\textasciicircum{}\\textbackslash{}}"
        ), "{text}");
        assert!(
            text.contains("{[}C$|$S] $<$img$>$ & $-$1.50 \\\\\n"),
            "{text}"
        );
        assert!(text.contains("split & time ($\\mu$s) \\\\\n"), "{text}");
        assert!(text.contains("& -- \\\\\n"), "{text}");
    }

    #[test]
    fn markdown_is_escaped() {
        let text = markdown(&hostile());
        assert!(
            text.contains("| \\[C\\|S\\] \\<img\\> | −1.50 |\n"),
            "{text}"
        );
        assert!(text.contains("| :--- | ---: |\n"), "{text}");
    }

    #[test]
    fn csv_reads_back() {
        let text = csv(&hostile()).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<Vec<String>> = reader.deserialize().map(|row| row.unwrap()).collect();
        assert_eq!(rows, [["[C|S]\n<img>", "-1.50"], ["\"a, b\"", ""]]);
    }
}
