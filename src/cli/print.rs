//! Standard output.

use std::io::{self, Write};

use crate::core::error::{Error, Result};
use crate::core::foreign::shown;

/// Prints lines to standard output, one for each, whatever names they hold; a reader that has heard
/// enough, `head` say, is no error.
pub fn print(lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let written = lines
        .into_iter()
        .try_for_each(|line| writeln!(stdout, "{}", shown(&line)))
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Write {
            path: "standard output".into(),
            source: error,
        }),
        _ => Ok(()),
    }
}
