//! The processes of this program, of which one may end another: who goes first where memory ends, and
//! what ended one.

use std::process::ExitStatus;

use crate::allowance::{self, Allowance, Bound};
use crate::units;

/// How much sooner than the sweep the system ends a worker where memory runs out, and how much sooner
/// than a worker one of its own processes; a thousand is as if it took all memory.
#[cfg(target_os = "linux")]
const SOONER: i32 = 300;

/// Asks the system to end this process before the one that started it, where memory runs out.
///
/// Where it does not listen, the larger one goes first, which is this one most of the time.
pub fn offer() {
    #[cfg(target_os = "linux")]
    {
        use crate::file::{self, MOST_TEXT_BYTES};
        const SCORE: &str = "/proc/self/oom_score_adj";
        const MOST: i32 = 1000;
        let text = file::read_text(std::path::Path::new(SCORE), MOST_TEXT_BYTES);
        let score = text.ok().and_then(|text| text.trim().parse::<i32>().ok());
        if let Some(score) = score {
            let _ = std::fs::write(SCORE, (score + SOONER).min(MOST).to_string());
        }
    }
}

/// Returns whether a process ended for want of memory, as far as its end and its last words tell: the
/// system kills without a word, and an allocation that fails says so.
pub fn is_out_of_memory(status: ExitStatus, stderr: &str) -> bool {
    const KILLED: i32 = 9;
    signal_of(status) == Some(KILLED) || stderr.contains("memory allocation of")
}

/// Returns what is most likely to have ended a process that [`is_out_of_memory`].
pub fn killed_words() -> String {
    let words = "killed by the system, most likely for want of memory";
    match allowance::together() {
        Some(Allowance { bytes, bound }) if bound != Bound::Machine => {
            format!("{words}: {bound} {} for all processes", units::bytes(bytes))
        }
        _ => words.into(),
    }
}

/// Returns the signal that ended a process.
#[cfg(unix)]
pub fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

/// Returns nothing: this system has no signals.
#[cfg(not(unix))]
pub fn signal_of(_status: ExitStatus) -> Option<i32> {
    None
}
