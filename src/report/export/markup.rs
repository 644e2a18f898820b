//! A table in the markup of each format.

use super::table::Table;
use crate::core::cell::guarded;
use crate::core::error::{Error, Result};
use crate::core::foreign::shown;

/// Keeps a renderer from taking text for a link or a person's name; it renders as nothing.
const APART: &str = "<!-- -->";

/// Returns a LaTeX table; it needs the package booktabs, and says where it needs more than pdflatex.
pub(super) fn latex(table: &Table) -> String {
    let cells = |row: &Vec<String>| {
        let cells = row.iter().map(|cell| match cell.as_str() {
            "" => "--".to_owned(),
            cell => escape_latex(cell),
        });
        format!("{} \\\\\n", cells.collect::<Vec<_>>().join(" & "))
    };
    let alignment: String = table
        .is_figures
        .iter()
        .map(|figures| if *figures { 'r' } else { 'l' })
        .collect();
    let rows: String = table.rows.iter().map(cells).collect();
    // What is told as a power of two is told so in the header alone.
    let header = cells(&table.header).replace("log2", "$\\log_2$");
    let engine = if table.texts().any(|text| text.contains(is_beyond_pdflatex)) {
        "% letters beyond Latin: lualatex or xelatex, and a font that has them\n"
    } else {
        ""
    };
    format!(
        "% \\usepackage{{booktabs}}\n{engine}\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\
         \\begin{{tabular}}{{{alignment}}}\n\\toprule\n{}\\midrule\n{rows}\\bottomrule\n\
         \\end{{tabular}}\n\\end{{table}}\n",
        escape_latex(&table.caption),
        header
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
    let alignment = table
        .is_figures
        .iter()
        .map(|figures| if *figures { "---:" } else { ":---" }.to_owned());
    let rows: String = table.rows.iter().map(cells).collect();
    format!(
        "{}\n\n{}{}{rows}",
        paragraph(&table.caption),
        cells(&table.header),
        line(alignment.collect())
    )
}

/// Returns CSV with the minus of machines and guarded text; a caption has no place in it.
pub(super) fn csv(table: &Table) -> Result<String> {
    let refused = |reason: String| Error::invalid("table", reason);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let cells = |row: &Vec<String>| -> Vec<String> {
        let pairs = row.iter().zip(&table.is_figures);
        let cell = |(cell, is_figure): (&String, &bool)| {
            if *is_figure {
                cell.replace('−', "-")
            } else {
                guarded(cell).into_owned()
            }
        };
        pairs.map(cell).collect()
    };
    for row in std::iter::once(table.header.clone()).chain(table.rows.iter().map(cells)) {
        let written = writer.write_record(row);
        written.map_err(|error| refused(error.to_string()))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| refused(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| refused(error.to_string()))
}

fn escape_latex(text: &str) -> String {
    let mut escaped = String::new();
    let mut before = None;
    for letter in shown(text).chars() {
        match letter {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '`' => escaped.push_str("\\textasciigrave{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', letter]),
            '<' | '>' | '|' => escaped.extend(['$', letter, '$']),
            // Behind the end of a row they would begin an option or be one.
            '[' | '*' => escaped.extend(['{', letter, '}']),
            // Two of them would become another sign.
            '-' | '\'' | ',' if before == Some(letter) => escaped.extend(['{', '}', letter]),
            '≥' => escaped.push_str("$\\geq$"),
            '≤' => escaped.push_str("$\\leq$"),
            '−' => escaped.push_str("$-$"),
            'µ' => escaped.push_str("$\\mu$"),
            letter => escaped.push(letter),
        }
        before = Some(letter);
    }
    escaped
}

/// Returns whether pdflatex may have no letter for it: beyond Latin, but for marks that it knows and
/// those that are escaped.
fn is_beyond_pdflatex(letter: char) -> bool {
    letter > '\u{17f}' && !"≥≤−–—‘’“”…".contains(letter)
}

/// Returns text as a paragraph of its own.
fn paragraph(text: &str) -> String {
    let escaped = escape_markdown(text);
    let digits = escaped.len()
        - escaped
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    let (number, rest) = escaped.split_at(digits);
    match rest.chars().next() {
        // Spaces would begin code.
        Some(' ') if digits == 0 => format!("&#32;{}", &rest[1..]),
        Some('.' | ')') => format!("{number}\\{rest}"),
        Some(first) if digits == 0 && first.is_ascii_punctuation() && first != '\\' => {
            format!("\\{rest}")
        }
        _ => escaped,
    }
}

fn escape_markdown(text: &str) -> String {
    let text = shown(text);
    let mut escaped = String::new();
    for (at, letter) in text.char_indices() {
        let (before, rest) = text.split_at(at);
        match letter {
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '&' | '~' | '#' | '$' => {
                escaped.extend(['\\', letter]);
            }
            '.' if ends_with_www(before) => escaped.extend([APART, "."]),
            '.' if is_between_letters(before, rest) => escaped.push_str("\\."),
            '/' if before.ends_with('/') => escaped.extend([APART, "/"]),
            '@' => escaped.extend(["@", APART]),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Returns whether a point may stand in the name of a host: some link it without more ado.
fn is_between_letters(before: &str, rest: &str) -> bool {
    before.ends_with(char::is_alphabetic) && rest[1..].starts_with(char::is_alphabetic)
}

fn ends_with_www(text: &str) -> bool {
    let start = text.len().saturating_sub(3);
    text.as_bytes()[start..].eq_ignore_ascii_case(b"www")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::cell::unguarded;
    use crate::core::foreign::{EVIL, is_hidden};

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
            text.contains("{[}C$|$S]\\textbackslash{}n$<$img$>$ & $-$1.50 \\\\\n"),
            "{text}"
        );
        assert!(text.contains("split & time ($\\mu$s) \\\\\n"), "{text}");
        assert!(text.contains("& -- \\\\\n"), "{text}");
    }

    #[test]
    fn markdown_is_escaped() {
        let text = markdown(&hostile());
        assert!(
            text.contains("| \\[C\\|S\\]\\\\n\\<img\\> | −1.50 |\n"),
            "{text}"
        );
        assert!(text.contains("| :--- | ---: |\n"), "{text}");
    }

    #[test]
    fn csv_reads_back() {
        let text = csv(&hostile()).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<Vec<String>> = reader.deserialize().map(|row| row.unwrap()).collect();
        assert_eq!(
            rows,
            [["'[C|S]\\n<img>", "-1.50"], ["\"a, b\"", ""]],
            "{text}"
        );
        assert_eq!(unguarded(&rows[0][0]), "[C|S]\n<img>");
    }

    #[test]
    fn what_pdflatex_cannot_take_is_told() {
        let mut table = hostile();
        assert_eq!(latex(&table).matches('%').count(), 2);
        table.rows[0][0] = "Größe Δ".into();
        let text = latex(&table);
        assert!(
            text.contains("\n% letters beyond Latin: lualatex or"),
            "{text}"
        );
        assert!(text.contains("Größe Δ"), "{text}");
    }

    #[test]
    fn paragraphs_are_no_headings_lists_code_or_links() {
        for (text, expected) in [
            ("digits-cnn: 8 splits", "digits-cnn: 8 splits"),
            ("# a", "\\# a"),
            ("- a", "\\- a"),
            ("--- a", "\\--- a"),
            ("+ a", "\\+ a"),
            (": a", "\\: a"),
            ("12. a", "12\\. a"),
            ("1) a", "1\\) a"),
            ("1.5", "1\\.5"),
            ("12 a", "12 a"),
            ("    a", "&#32;   a"),
            ("http://a.example", "http:/<!-- -->/a\\.example"),
            ("WWW.a.example", "WWW<!-- -->.a\\.example"),
            ("a@b.example", "a@<!-- -->b\\.example"),
            ("Linux 6.1.0, 23.5 GiB.", "Linux 6.1.0, 23.5 GiB."),
            ("@a", "\\@<!-- -->a"),
            ("$x$ #1", "\\$x\\$ \\#1"),
        ] {
            assert_eq!(paragraph(text), expected);
        }
    }

    /// A table with an evil name in every place, for each of which there is a line.
    fn evil() -> Table {
        Table {
            caption: EVIL.join(" "),
            header: vec!["split".into(), "reason".into()],
            is_figures: vec![false; 2],
            rows: EVIL.map(|name| vec![name.into(), name.into()]).into(),
        }
    }

    #[test]
    fn evil_names_in_latex() {
        insta::assert_snapshot!(latex(&evil()));
    }

    #[test]
    fn evil_names_in_markdown() {
        insta::assert_snapshot!(markdown(&evil()));
    }

    #[test]
    fn evil_names_in_csv() {
        let text = csv(&evil()).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<Vec<String>> = reader.deserialize().map(|row| row.unwrap()).collect();
        for (row, name) in rows.iter().zip(EVIL) {
            assert_eq!([&*unguarded(&row[0]), &*unguarded(&row[1])], [name; 2]);
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn no_markup_has_hidden_letters() {
        let table = evil();
        for text in [latex(&table), markdown(&table), csv(&table).unwrap()] {
            assert!(!text.replace('\n', "").contains(is_hidden), "{text}");
        }
    }
}
