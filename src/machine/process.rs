//! The processes of this program, of which one may end another: who goes first where memory ends, and
//! what ended one.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use crate::core::error::{Error, Result};
use crate::core::units;
use crate::machine::allowance::{self, Allowance, Bound};

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
        use crate::machine::file::{self, MOST_TEXT_BYTES};
        const SCORE: &str = "/proc/self/oom_score_adj";
        const MOST: i32 = 1000;
        let text = file::read_text(Path::new(SCORE), MOST_TEXT_BYTES);
        let score = text.ok().and_then(|text| text.trim().parse::<i32>().ok());
        if let Some(score) = score {
            let _ = std::fs::write(SCORE, (score + SOONER).min(MOST).to_string());
        }
    }
}

/// Starts a process.
///
/// # Errors
///
/// [`Error::Threads`] where the system gives no more processes; [`Error::Worker`] where it cannot be
/// started for another reason.
pub fn start(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Error::Threads(error.to_string()),
        _ => {
            let program = Path::new(command.get_program()).display();
            Error::Worker(format!("cannot run {program}: {error}"))
        }
    })
}

/// Returns words on a process that ended for want of memory, as far as its end and its last words tell;
/// `None` for any other end. The system kills without a word, and an allocation that fails says so.
pub fn out_of_memory(status: ExitStatus, stderr: &str) -> Option<String> {
    const KILLED: i32 = 9;
    let refusals = ["memory allocation of", "not enough memory for"];
    let is_refusal = |line: &&str| refusals.iter().any(|words| line.contains(words));
    let refusal = stderr.lines().rev().find(is_refusal);
    let (words, allowance) = match refusal {
        Some(line) => {
            let line = line.trim_start_matches("splitbench: ");
            (line.to_owned(), allowance::each())
        }
        None if signal_of(status) == Some(KILLED) => {
            let words = "killed by the system, most likely for want of memory";
            (words.to_owned(), allowance::together())
        }
        None => return None,
    };
    Some(match allowance {
        Some(Allowance { bytes, bound }) if bound != Bound::Machine => {
            format!("{words}; {bound} {}", units::bytes(bytes))
        }
        _ => words,
    })
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn ends_for_want_of_memory_are_told_from_others() {
        let words = |raw, stderr: &str| out_of_memory(ExitStatus::from_raw(raw), stderr);
        assert_eq!(words(15, ""), None);
        assert_eq!(words(0x100, "splitbench: no"), None);
        let killed = words(9, "").expect("memory");
        assert!(killed.starts_with("killed by the system, most likely for want of memory"));
        let refused = "memory allocation of 9 bytes failed";
        let aborted = words(6, &format!("{refused}\nstack backtrace:\n")).expect("memory");
        assert!(aborted.starts_with(refused), "{aborted}");
        let told = words(0x600, "splitbench: not enough memory for x").expect("memory");
        assert!(told.starts_with("not enough memory for x"), "{told}");
    }

    #[test]
    fn a_program_that_there_is_not_is_named() {
        let error = start(&mut Command::new("/no/such")).expect_err("nothing");
        assert!(error.to_string().contains("cannot run /no/such"), "{error}");
    }
}
