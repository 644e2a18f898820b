//! Progress of a sweep on standard error: a bar with the remaining time on a terminal, plain lines
//! in a log file.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::advance::Advance;
use crate::foreign;
use crate::log::VisitEnd;
use crate::sweep::Observer;
use crate::units;
use crate::visit::Visit;

/// Set by Ctrl-C and termination signals.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Writes one line to standard error, which shows its letters and has a readable length.
pub fn tell(line: &str) {
    let line = foreign::line(line);
    // Nobody may be reading; that is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Tells on standard error how a sweep comes along.
pub struct Progress {
    total: usize,
    done: AtomicUsize,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Returns the progress of a sweep of `total` visits.
    pub fn new(total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64);
            let style =
                ProgressStyle::with_template("{bar:32} {pos}/{len} visits, {eta} left  {msg}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        Self {
            total,
            done: AtomicUsize::new(0),
            bar,
        }
    }
}

impl Observer for Progress {
    fn begin(&self, done: usize, visit: &Visit) {
        self.done.store(done, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(visit.placement.to_string());
        }
    }

    fn advance(&self, visit: &Visit, advance: &Advance) {
        let (placement, layer) = (&visit.placement, &advance.layer);
        let percent = 100.0 * advance.share;
        let left = units::seconds(advance.left_s);
        match &self.bar {
            Some(bar) => {
                let (done, all) = (advance.channels_done, advance.channels);
                bar.set_message(foreign::line(&format!(
                    "{placement}  {layer}, channel {done} of {all}; {percent:.0} %, {left} left of it"
                )));
                bar.tick();
            }
            // In a log file a line a layer is enough.
            None if advance.ends_layer() => {
                let took = units::seconds(advance.layer_s);
                tell(&format!(
                    "{placement}  {layer} looked up in {took}; {percent:.0} %, {left} left of it"
                ));
            }
            None => {}
        }
    }

    fn end(&self, end: &VisitEnd, online_s: Option<f64>) {
        let outcome = match (&end.reason, online_s) {
            (Some(reason), _) => format!("{}: {reason}", end.status.word()),
            (None, Some(seconds)) => units::seconds(seconds),
            (None, None) => end.status.word().into(),
        };
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                if end.reason.is_some() {
                    bar.println(foreign::line(&format!(
                        "{}  {outcome}",
                        end.visit.placement
                    )));
                }
            }
            None => {
                let (done, total) = (self.done.load(Ordering::Relaxed) + 1, self.total);
                tell(&format!(
                    "{}  {outcome}  ({done} of {total})",
                    end.visit.placement
                ));
            }
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
