//! Lines of a log: numbered, each with a checksum of all that stands up to its end.
//!
//! A line is `<number> <checksum> <json>` and a newline. Numbers count from 1. The checksum is the
//! first 16 hexadecimal digits of the SHA-256 of `<checksum of the line before> <number> <json>`;
//! before the first line stands an empty one. So no line can be left out, repeated, moved or
//! changed without the next one telling, but for lines cut off at the end.
//!
//! Logs of an older form are read, and never written: `<checksum> <json>`, where the checksum is the
//! CRC-32 of the JSON in eight hexadecimal digits. Their lines know nothing of each other.

use crate::core::digest::hex_digest;

/// Digits of a checksum that depends on the lines before.
const DIGITS: usize = 16;
/// Digits of an older log's checksum.
const OLDER_DIGITS: usize = 8;

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Numbered, each checksum depends on the lines before.
    #[default]
    Chained,
    /// Without numbers, each checksum for itself.
    Older,
}

/// The lines of a log so far, as much of them as the next line depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    form: Form,
    lines: usize,
    checksum: String,
}

impl Chain {
    /// Returns the chain of no lines yet, in the form that a log's text begins with.
    pub fn before(text: &[u8]) -> Self {
        let form = match text.get(OLDER_DIGITS..OLDER_DIGITS + 2) {
            Some(b" {") => Form::Older,
            _ => Form::Chained,
        };
        Self {
            form,
            ..Self::default()
        }
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns how many lines there are.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Returns the next line, which holds this JSON.
    pub fn seal(&mut self, json: &str) -> String {
        self.lines += 1;
        match self.form {
            Form::Chained => {
                self.checksum = self.checksum_of(json);
                format!("{} {} {json}\n", self.lines, self.checksum)
            }
            Form::Older => format!("{} {json}\n", older_checksum(json)),
        }
    }

    /// Returns the JSON of a line that is the next, or what is wrong with it.
    pub fn open<'a>(&mut self, line: &'a [u8]) -> Result<&'a str, String> {
        let (number, json) = split(line, self.form).ok_or("damaged: it is no line of a log")?;
        let expected = self.lines + 1;
        if let Some(number) = number.filter(|&number| number != expected) {
            return Err(format!(
                "numbered {number} where {expected} comes next: lines are missing, repeated or out \
                 of order"
            ));
        }
        let mut next = self.clone();
        if next.seal(json).as_bytes() == line {
            *self = next;
            return Ok(json);
        }
        Err(match self.form {
            Form::Chained => {
                "damaged: its checksum is not that of this line behind those before it"
            }
            Form::Older => "damaged: its checksum differs",
        }
        .into())
    }

    fn checksum_of(&self, json: &str) -> String {
        let content = format!("{} {} {json}", self.checksum, self.lines);
        hex_digest(content.as_bytes())[..DIGITS].to_owned()
    }
}

/// Returns a line's number, where its form has one, and its JSON.
fn split(line: &[u8], form: Form) -> Option<(Option<usize>, &str)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (head, rest) = line.split_once(' ')?;
    match form {
        Form::Chained => Some((Some(head.parse().ok()?), rest.split_once(' ')?.1)),
        Form::Older => Some((None, rest)),
    }
}

fn older_checksum(json: &str) -> String {
    format!("{:08x}", crc32fast::hash(json.as_bytes()))
}

/// Returns the JSON of what may once have been a line of either form.
pub fn remains(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    Some(&line[line.find('{')?..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_document_says() {
        let mut chain = Chain::default();
        let first = hex_digest(b" 1 {}")[..16].to_owned();
        assert_eq!(chain.seal("{}"), format!("1 {first} {{}}\n"));
        let second = hex_digest(format!("{first} 2 [1]").as_bytes())[..16].to_owned();
        assert_eq!(chain.seal("[1]"), format!("2 {second} [1]\n"));
        let mut older = Chain::before(b"a3a6bf43 {}\n");
        assert_eq!(older.form(), Form::Older);
        assert_eq!(older.open(b"a3a6bf43 {}\n"), Ok("{}"));
        // Written otherwise it is not what was written.
        assert!(older.open(b"A3A6BF43 {}\n").is_err());
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let lines: Vec<String> = {
            let mut chain = Chain::default();
            ["{}", "{}", "{ }"].map(|json| chain.seal(json)).into()
        };
        let mut chain = Chain::before(lines[0].as_bytes());
        assert_eq!(chain.open(lines[0].as_bytes()), Ok("{}"));
        for (line, word) in [
            (&lines[0], "numbered 1 where 2 comes next"),
            (&lines[2], "numbered 3 where 2 comes next"),
            (&lines[1].replace("{}", "{ }"), "checksum"),
            (&lines[1].to_uppercase(), "checksum"),
            (&lines[1].replace(' ', ""), "damaged"),
        ] {
            let reason = chain.open(line.as_bytes()).expect_err("refused");
            assert!(reason.contains(word), "{line}: {reason}");
        }
        assert_eq!(chain.open(lines[1].as_bytes()), Ok("{}"));
        assert_eq!(chain.lines(), 2);
    }
}
