//! A log's text as far as it is sound: its lines hang together and tell the course of a sweep.

use super::course::Course;
use super::line::{Chain, Form};
use super::record::Record;

/// What to do about a line that is not sound.
pub const ADVICE: &str = "restore the file, use another folder, or let `splitbench sweep --recover` \
                          keep the lines before this one and run the rest again";

/// The longest sound beginning of a log.
#[derive(Debug)]
pub struct Reading<'a> {
    pub records: Vec<Record>,
    /// The JSON of each record, as it was written.
    json: Vec<&'a str>,
    pub form: Form,
    pub course: Course,
    /// The whole line that is not sound; none where all are. A torn last line, which lacks its newline,
    /// is no fault: it is what a crash leaves.
    pub fault: Option<Fault>,
    /// What stands behind the sound lines, the torn line among it.
    pub rest: &'a [u8],
}

/// A line that is not sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    pub reason: String,
}

impl<'a> Reading<'a> {
    /// Reads a log's text.
    pub fn of(text: &'a [u8]) -> Self {
        let mut chain = Chain::before(text);
        let mut reading = Self {
            records: Vec::new(),
            json: Vec::new(),
            form: chain.form(),
            course: Course::default(),
            fault: None,
            rest: text,
        };
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            if let Err(reason) = reading.take(line, &mut chain) {
                let line = reading.records.len() + 1;
                reading.fault = Some(Fault { line, reason });
                break;
            }
            reading.rest = &reading.rest[line.len()..];
        }
        reading
    }

    fn take(&mut self, line: &'a [u8], chain: &mut Chain) -> Result<(), String> {
        let json = chain.open(line)?;
        let record: Record = serde_json::from_str(json)
            .map_err(|error| format!("written by another version: {error}"))?;
        self.course.take(&record)?;
        self.records.push(record);
        self.json.push(json);
        Ok(())
    }

    /// Returns the sound lines as they are written today, and the chain that they are.
    pub fn sound_lines(&self) -> (Vec<u8>, Chain) {
        let mut chain = Chain::default();
        let lines: String = self.json.iter().map(|json| chain.seal(json)).collect();
        (lines.into_bytes(), chain)
    }
}
