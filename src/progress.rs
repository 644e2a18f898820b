//! Progress of a sweep on standard error: a bar with the remaining time on a terminal, plain lines
//! in a log file.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::log::SplitEnd;
use crate::placement::Placement;
use crate::sweep::Observer;
use crate::units;

/// Set by Ctrl-C and termination signals.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Writes one line to standard error, with spaces for line breaks and other control characters.
pub fn tell(line: &str) {
    let line = line.replace(char::is_control, " ");
    // Nobody may be reading; that is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Tells on standard error how a sweep comes along.
pub struct Progress {
    total: usize,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Returns the progress of a sweep of `total` splits.
    pub fn new(total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64);
            let style =
                ProgressStyle::with_template("{bar:32} {pos}/{len} splits, {eta} left  {msg}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        Self { total, bar }
    }
}

impl Observer for Progress {
    fn begin(&self, index: usize, placement: &Placement) {
        if let Some(bar) = &self.bar {
            bar.set_position(index as u64);
            bar.set_message(placement.to_string());
        }
    }

    fn end(&self, placement: &Placement, end: &SplitEnd, online_s: Option<f64>) {
        let outcome = match (&end.reason, online_s) {
            (Some(reason), _) => format!("{}: {reason}", end.status.word()),
            (None, Some(seconds)) => units::seconds(seconds),
            (None, None) => end.status.word().into(),
        };
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                if end.reason.is_some() {
                    bar.println(format!("{placement}  {outcome}"));
                }
            }
            None => tell(&format!(
                "{placement}  {outcome}  (of {} splits)",
                self.total
            )),
        }
    }

    fn stop(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
