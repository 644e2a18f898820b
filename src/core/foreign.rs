//! Words that come from outside, such as the names of models, layers, files and hosts, as a person
//! may see them.
//!
//! Whatever prints, draws or writes markup passes its text through [`shown`], so that no name steers a
//! terminal, or hides, reorders or breaks the line around it. Data stay as they are.

use std::borrow::Cow;

/// The most characters of a line on standard error, and of a reason that quotes a file.
pub const LONGEST_LINE: usize = 400;

/// The most characters of a name within an error.
const LONGEST_NAME: usize = 80;

/// Returns the text with escapes such as `\n` and `\u{1b}` for its hidden letters.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(2 * text.len());
    for letter in text.chars() {
        if is_hidden(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// Returns whether a letter acts on what surrounds it, or leaves no ink: controls, line and paragraph
/// separators, directions, and what Unicode 17 lists as `Default_Ignorable_Code_Point` or
/// `Noncharacter_Code_Point`. Selectors of an emoji's form, U+FE00 to U+FE0F, are none.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || u32::from(letter) & 0xfffe == 0xfffe
        || matches!(
            letter,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Returns text as one line of an error or a note, of at most [`LONGEST_LINE`] characters.
pub fn line(text: &str) -> String {
    shortened(&shown(text), LONGEST_LINE)
}

/// Returns text of at most so many characters, cut in the middle: an error has its file at the start,
/// and at the end what to change.
pub fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end = most * 3 / 8;
    let begin = most.saturating_sub(end + 1);
    let letters = || text.chars();
    letters()
        .take(begin)
        .chain(['…'])
        .chain(letters().skip(count - end))
        .collect()
}

/// Returns a name out of a file as an error may tell it: in quotes, short and on one line.
pub fn quoted(name: &str) -> String {
    let quoted = format!("{:?}", shortened(name, LONGEST_NAME));
    shown(&quoted).into_owned()
}

/// Names that do harm where they are not shown as text, for the tests of everything that writes.
#[cfg(test)]
pub(crate) const EVIL: [&str; 22] = [
    "\u{1b}]0;owned\u{7}\u{1b}[31mred\u{1b}[2J",
    "\u{9b}31mred\u{7f}",
    "over\rwritten\nline\ttab\0nul",
    "\u{202e}gpj.exe\u{202c}",
    "\u{2066}a\u{2067}b\u{2068}c\u{2069}\u{200e}\u{200f}\u{61c}",
    "\u{feff}a\u{200b}b\u{200c}c\u{200d}d\u{2060}e\u{ad}f\u{3164}g",
    "line\u{2028}paragraph\u{2029}end",
    "tag\u{e0001}\u{e0041}\u{e007f}\u{fffe}\u{10ffff}\u{fff9}",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-3.5",
    "@SUM(A1)",
    "\t=1",
    " ＝1;=2",
    "'quoted \\u{41} \\",
    "</script><img src=x onerror=alert(1)><!--",
    "\"'&<>]]>",
    "# a |b| `c` *d* _e_ [f](g) ~h~ $i$",
    "see http://evil.example www.evil.example a@evil.example",
    "    1. \\input{/etc/passwd} % $x^2$ #1 & {y} ~",
    "*[1cm] -- ,, '' ?` log2",
    "{{script}} {0} %s",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hidden_letters_are_seen() {
        for (text, expected) in [
            ("", ""),
            ("\u{1b}[31m\u{7}", "\\u{1b}[31m\\u{7}"),
            ("a\tb\r\nc\0", "a\\tb\\r\\nc\\u{0}"),
            ("\u{85}\u{9b}\u{7f}", "\\u{85}\\u{9b}\\u{7f}"),
            ("\u{202e}x\u{2066}", "\\u{202e}x\\u{2066}"),
            ("\u{200b}\u{feff}\u{61c}", "\\u{200b}\\u{feff}\\u{61c}"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
            ("\u{e0041}\u{1fffe}", "\\u{e0041}\\u{1fffe}"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert!(EVIL.iter().all(|name| !shown(name).contains(is_hidden)));
    }

    #[test]
    fn letters_of_every_script_stay_as_they_are() {
        for text in [
            "conv1/bn+relu",
            "Größe, garçon, e\u{301}, ø",
            "层一 畳み込み 합성곱",
            "Δσ λοξός, свёртка",
            "שלום مرحبا हिन्दी ไทย",
            "🚀 ❤\u{fe0f} 👍🏽 🇩🇪",
            "C:\\models\\x",
        ] {
            assert!(
                matches!(shown(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn long_lines_keep_their_file_and_their_advice() {
        let name = "x\u{1b}".repeat(5000);
        let line = line(&format!(
            "model.json: layer {name:?} has no weights: name them"
        ));
        assert_eq!(line.chars().count(), LONGEST_LINE);
        assert!(line.starts_with("model.json: layer \"x"), "{line}");
        assert!(line.ends_with("\" has no weights: name them"), "{line}");
        assert!(line.contains('…') && !line.contains(is_hidden), "{line}");
        assert_eq!(super::line("short"), "short");
        for most in 0..9 {
            let cut = shortened("é".repeat(9).as_str(), most);
            assert!(cut.chars().count() <= most.max(1), "{cut} of {most}");
        }
    }

    #[test]
    fn names_are_quoted_short_and_on_one_line() {
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        assert_eq!(quoted("Größe"), "\"Größe\"");
        assert!(quoted(&"x".repeat(5000)).chars().count() < 90);
        assert!(EVIL.iter().all(|name| !quoted(name).contains(is_hidden)));
    }

    proptest! {
        #[test]
        fn no_text_shows_a_hidden_letter(text in any::<String>(), most in 1_usize..40) {
            prop_assert!(!shown(&text).contains(is_hidden));
            prop_assert!(!line(&text).contains(is_hidden));
            prop_assert!(!quoted(&text).contains(is_hidden));
            prop_assert!(shortened(&text, most).chars().count() <= most);
            // What is shown once is shown so for ever.
            let once = shown(&text);
            prop_assert_eq!(shown(&once), &*once);
        }
    }
}
