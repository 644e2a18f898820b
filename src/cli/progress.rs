//! Progress of a sweep on standard error: a bar with the remaining time on a terminal, plain lines
//! in a log file.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::attack::copy::campaign as copy;
use crate::core::foreign;
use crate::core::units;
use crate::machine::threads;
use crate::plan::projection::Expected;
use crate::plan::remaining::Remaining;
use crate::record::copy::CopyPoint;
use crate::record::log::VisitEnd;
use crate::record::stage::Begin;
use crate::record::visit::Visit;
use crate::sweep::Observer;
use crate::sweep::advance::Advance;

/// Set by Ctrl-C and termination signals.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Writes one line to standard error, which shows its letters and has a readable length.
pub fn tell(line: &str) {
    let line = foreign::line(line);
    // Nobody may be reading; that is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Returns what a person reads of a point of copies.
pub fn copied(point: &CopyPoint, advance: copy::Advance) -> String {
    let agreement = point.mean(|of| Some(of.copy.agreement));
    let found = match (&point.reason, agreement) {
        (Some(reason), _) => reason.clone(),
        (None, Some(agreement)) => format!("copies agree in {}", units::percent(agreement)),
        (None, None) => "copies agree in -".into(),
    };
    format!(
        "{}  {} queries: {found}  ({} of {}, about {} left)",
        point.placement,
        point.queries,
        advance.done,
        advance.total,
        units::rough_seconds(advance.left_s),
    )
}

/// How often the remaining time is told anew on a terminal.
const TICK: Duration = Duration::from_millis(500);

/// Tells on standard error how a sweep comes along.
pub struct Progress {
    total: usize,
    done: AtomicUsize,
    expected: Expected,
    remaining: Arc<Mutex<Running>>,
    bar: Option<ProgressBar>,
}

/// What is left, and since when the visit that is made runs.
struct Running {
    remaining: Remaining,
    since: Instant,
}

impl Running {
    fn left(&self) -> String {
        let left_s = self.remaining.seconds(self.since.elapsed().as_secs_f64());
        units::rough_seconds(left_s)
    }
}

impl Progress {
    /// Returns the progress of a sweep of so many splits, each visited in as many rounds.
    pub fn new(splits: usize, rounds: usize, expected: Expected) -> Self {
        let running = Running {
            remaining: Remaining::default(),
            since: Instant::now(),
        };
        let remaining = Arc::new(Mutex::new(running));
        let total = splits * rounds;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64);
            let unit = if rounds == 1 { "splits" } else { "visits" };
            let template =
                format!("{{bar:24}} {{pos}}/{{len}} {unit}, {{left}} left  {{wide_msg}}");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                let remaining = Arc::clone(&remaining);
                let left = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                    // A bar that cannot be written is no reason to stop.
                    let _ = out.write_str(&locked(&remaining).left());
                };
                bar.set_style(style.with_key("left", left));
            }
            tick(&bar);
            bar
        });
        Self {
            total,
            done: AtomicUsize::new(0),
            expected,
            remaining,
            bar,
        }
    }
}

/// Draws a bar anew, time after time, as long as there is one. Where there is no thread for that, it is
/// drawn when something happens.
fn tick(bar: &ProgressBar) {
    let bar = bar.downgrade();
    let _ = threads::spawn(move || {
        while let Some(bar) = bar.upgrade() {
            bar.tick();
            drop(bar);
            sleep(TICK);
        }
    });
}

fn locked(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observer for Progress {
    fn start(&self, left: &[(usize, Visit)]) {
        let visits = left.iter().map(|(_, visit)| visit);
        locked(&self.remaining).remaining = Remaining::of(self.expected.seconds(visits));
    }

    fn begin(&self, done: usize, visit: &Visit) {
        self.done.store(done, Ordering::Relaxed);
        locked(&self.remaining).since = Instant::now();
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(visit.placement.to_string());
        }
    }

    fn stage(&self, visit: &Visit, begin: Begin) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}  {begin}", visit.placement));
        }
    }

    fn advance(&self, visit: &Visit, advance: &Advance) {
        let (placement, layer) = (&visit.placement, &advance.layer);
        let percent = 100.0 * advance.fraction;
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
        let left = {
            let mut running = locked(&self.remaining);
            let taken_s = running.since.elapsed().as_secs_f64();
            running.remaining.end(taken_s);
            running.since = Instant::now();
            running.left()
        };
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
                    "{}  {outcome}  ({done} of {total}, {left} left)",
                    end.visit.placement
                ));
            }
        }
    }

    fn copied(&self, point: &CopyPoint, advance: copy::Advance) {
        let line = copied(point, advance);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => tell(&line),
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
