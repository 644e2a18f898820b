//! Cells of CSV files that hold text.
//!
//! A spreadsheet runs a cell that begins as a formula does, and a terminal obeys control characters. A
//! cell of such text is *guarded*: an apostrophe stands in front, and behind it a backslash, a semicolon
//! and every hidden letter are escapes, as in `'\u{1b}`. A cell without an apostrophe in front is its
//! text. `results/COLUMNS.md` tells readers so.

use std::borrow::Cow;

use crate::core::foreign::is_hidden;

const GUARD: char = '\'';

/// What formulas begin with, in the wide forms of East Asian keyboards too.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Returns the cell of a text, guarded where it has to be.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if !needs_guard(text) {
        return Cow::Borrowed(text);
    }
    let mut cell = String::from(GUARD);
    for letter in text.chars() {
        match letter {
            ';' => cell.push_str("\\u{3b}"),
            '\\' => cell.push_str("\\\\"),
            letter if is_hidden(letter) => cell.extend(letter.escape_default()),
            letter => cell.push(letter),
        }
    }
    Cow::Owned(cell)
}

/// Returns the text of a cell; what is no escape in a guarded one stays as it is.
pub fn unguarded(cell: &str) -> Cow<'_, str> {
    let Some(mut rest) = cell.strip_prefix(GUARD) else {
        return Cow::Borrowed(cell);
    };
    let mut text = String::with_capacity(rest.len());
    while let Some((before, behind)) = rest.split_once('\\') {
        text.push_str(before);
        let (letter, behind) = escaped(behind).unwrap_or(('\\', behind));
        text.push(letter);
        rest = behind;
    }
    Cow::Owned(text + rest)
}

fn needs_guard(text: &str) -> bool {
    // Where a semicolon separates numbers with decimal commas, it also begins a spreadsheet's cell.
    let mut cells = text.split(';').map(str::trim_start);
    text.starts_with(GUARD)
        || text.contains(is_hidden)
        || cells.any(|cell| cell.starts_with(FORMULA))
}

/// Returns the letter of the escape whose backslash stood before the text, and the text behind it.
fn escaped(text: &str) -> Option<(char, &str)> {
    let mut letters = text.chars();
    let letter = match letters.next()? {
        '\\' => '\\',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let (digits, behind) = letters.as_str().strip_prefix('{')?.split_once('}')?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            return Some((char::from_u32(code)?, behind));
        }
        _ => return None,
    };
    Some((letter, letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::foreign::EVIL;
    use proptest::prelude::*;

    #[test]
    fn formulas_and_hidden_letters_are_guarded() {
        for (text, cell) in [
            ("", ""),
            ("conv1", "conv1"),
            ("C:\\x; \"y\", 'z' = 1", "C:\\x; \"y\", 'z' = 1"),
            ("=1+1", "'=1+1"),
            ("-3.5", "'-3.5"),
            ("  @x", "'  @x"),
            ("＋1", "'＋1"),
            ("'x", "''x"),
            ("a; =1", "'a\\u{3b} =1"),
            ("=\\u{41}", "'=\\\\u{41}"),
            ("a\tb\u{1b}", "'a\\tb\\u{1b}"),
        ] {
            assert_eq!(guarded(text), cell);
            assert_eq!(unguarded(cell), text);
        }
    }

    #[test]
    fn escapes_that_are_none_stay_as_they_are() {
        for cell in ["\\x", "\\", "\\u", "\\u{", "\\u{}", "\\u{d800}", "\\u{zz}"] {
            assert_eq!(unguarded(&format!("'{cell}")), cell);
            assert_eq!(unguarded(cell), cell);
        }
    }

    /// Asserts that neither a spreadsheet nor a terminal takes a cell for more than text, and that it
    /// reads back.
    fn check(text: &str) {
        let cell = guarded(text);
        assert!(!cell.contains(is_hidden), "{cell}");
        let mut cells = cell.split(';').map(str::trim_start);
        assert!(!cells.any(|cell| cell.starts_with(FORMULA)), "{cell}");
        assert_eq!(unguarded(&cell), text);
    }

    #[test]
    fn evil_names_are_text_in_a_cell() {
        EVIL.into_iter().for_each(check);
    }

    proptest! {
        #[test]
        fn any_text_is_text_in_a_cell(text in any::<String>()) {
            check(&text);
        }

        #[test]
        fn any_text_of_what_is_special_is_text_in_a_cell(text in "[=+@; '\\\\u{}1bnrt\n\u{1b}\u{202e}-]{0,12}") {
            check(&text);
        }
    }
}
