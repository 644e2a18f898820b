//! Watching a worker: its process is started, listened to, limited and told apart by its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::core::error::{Error, Result};
use crate::core::units;
use crate::machine::memory::Probe;
use crate::machine::process::{out_of_memory, signal_of, start};
use crate::machine::threads;
use crate::record::finished::{Finished, Sample};
use crate::record::row::Status;
use crate::record::stage::Begin;
use crate::sweep::advance::Advance;
use crate::sweep::worker::{Event, Job, measure};

/// How often the parent looks up from waiting.
const POLL: Duration = Duration::from_millis(50);
/// How long a signal that ended the worker may take to reach the parent, where it was sent to both.
const SIGNAL_DELAY: Duration = Duration::from_secs(2);

/// What a worker may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub time: Option<Duration>,
    /// Resident, as sampled twenty times a second.
    pub memory_bytes: Option<u64>,
}

/// How a watched worker ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    Finished(Option<Box<Finished>>),
    /// The status is neither `ok` nor `mismatch`.
    Broken {
        status: Status,
        reason: String,
    },
    /// `stop` said so.
    Stopped,
}

/// Hears what a worker tells.
pub trait Listener {
    /// A sample was measured.
    ///
    /// # Errors
    ///
    /// Whatever keeping it meets; the worker is then stopped.
    fn sample(&mut self, sample: Sample) -> Result<()>;
    /// A stage begins.
    fn begin(&mut self, begin: Begin);
    /// An inference has come so far; told of long ones only.
    fn advance(&mut self, advance: &Advance);
    /// Whether to stop.
    fn stop(&self) -> bool;
}

/// Starts `program worker` on a job, hands on what it tells, and waits for its end.
///
/// # Errors
///
/// [`Error::Worker`] where the process cannot be started; what the listener returns.
pub fn watch(
    program: &Path,
    job: &Job,
    limits: Limits,
    listener: &mut dyn Listener,
) -> Result<Ended> {
    let mut worker = Worker::start(program, job)?;
    let mut memory = limits
        .memory_bytes
        .and_then(|_| Probe::of(worker.child.id()));
    // A limit beyond the clock's end is none.
    let deadline = limits
        .time
        .and_then(|limit| Instant::now().checked_add(limit));
    let mut finished = None;
    loop {
        match worker.events.recv_timeout(POLL) {
            Ok(Event::Sample(sample)) => listener.sample(*sample)?,
            Ok(Event::Begin(begin)) => listener.begin(begin),
            Ok(Event::Advance(advance)) => listener.advance(&advance),
            Ok(Event::Finished(result)) => finished = Some(Ended::Finished(result)),
            Ok(Event::Failed(reason)) => {
                let status = Status::Failed;
                finished = Some(Ended::Broken { status, reason });
            }
            Ok(Event::OutOfMemory(reason)) => {
                let status = Status::Oom;
                finished = Some(Ended::Broken { status, reason });
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if listener.stop() {
            return Ok(Ended::Stopped);
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            let limit = limits.time.unwrap_or_default().as_secs_f64();
            return Ok(Ended::Broken {
                status: Status::Timeout,
                reason: format!("stopped after {limit} s"),
            });
        }
        let resident = memory.as_mut().and_then(Probe::resident_bytes);
        if let (Some(resident), Some(limit)) = (resident, limits.memory_bytes)
            && resident > limit
        {
            let (resident, limit) = (units::bytes(resident), units::bytes(limit));
            return Ok(Ended::Broken {
                status: Status::Oom,
                reason: format!("stopped at {resident}, more than --memory-limit {limit}"),
            });
        }
    }
    let (status, stderr) = worker.wait()?;
    match finished {
        Some(Ended::Finished(result)) => Ok(Ended::Finished(result)),
        // One of its own processes may have been stopped just before it.
        _ if is_stopped(status, listener) => Ok(Ended::Stopped),
        broken => Ok(broken.unwrap_or_else(|| diagnose(status, &stderr))),
    }
}

/// Returns whether a worker ended because the sweep is to stop: a signal that asks for an end and
/// goes to all processes may end the worker before the parent hears of it. Sent to the worker alone it
/// ends that visit, not the sweep.
fn is_stopped(status: ExitStatus, listener: &dyn Listener) -> bool {
    const HANGUP: i32 = 1;
    const INTERRUPT: i32 = 2;
    const TERMINATE: i32 = 15;
    let asks = matches!(signal_of(status), Some(HANGUP | INTERRUPT | TERMINATE));
    let start = Instant::now();
    while asks && !listener.stop() && start.elapsed() < SIGNAL_DELAY {
        thread::sleep(POLL);
    }
    listener.stop()
}

/// Makes a visit in this very process, without limits.
///
/// # Errors
///
/// What the listener returns.
pub fn stay(job: &Job, listener: &mut (dyn Listener + Send)) -> Result<Ended> {
    let mut unheard = None;
    let listener = Mutex::new(listener);
    let heard = || listener.lock().unwrap_or_else(PoisonError::into_inner);
    let mut listen = |event| {
        if let Event::Sample(sample) = event {
            heard().sample(*sample).map_err(|error| {
                let reason = error.to_string();
                unheard = Some(error);
                Error::Worker(reason)
            })?;
        }
        if heard().stop() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    };
    let measured = measure(job, &mut listen, &|event| match event {
        Event::Begin(begin) => heard().begin(begin),
        Event::Advance(advance) => heard().advance(&advance),
        Event::Sample(_) | Event::Finished(_) | Event::Failed(_) | Event::OutOfMemory(_) => {}
    });
    match (unheard, measured) {
        (Some(error), _) => Err(error),
        (None, Ok(finished)) => Ok(Ended::Finished(finished)),
        (None, Err(Error::Interrupted)) => Ok(Ended::Stopped),
        (None, Err(error)) => Ok(Ended::Broken {
            status: if error.is_memory() {
                Status::Oom
            } else {
                Status::Failed
            },
            reason: error.to_string(),
        }),
    }
}

/// A running worker; killed when dropped.
struct Worker {
    child: Child,
    events: mpsc::Receiver<Event>,
    stderr: Option<thread::JoinHandle<String>>,
}

impl Worker {
    fn start(program: &Path, job: &Job) -> Result<Self> {
        let mut command = Command::new(program);
        let command = command.arg("worker").stdin(Stdio::piped());
        let mut child = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let mut line = serde_json::to_string(job)
            .map_err(|error| Error::Worker(format!("unwritable job: {error}")))?;
        line.push('\n');
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        if let Some(stdin) = child.stdin.as_mut() {
            // A worker that is already dead is diagnosed by its exit.
            let _ = stdin.write_all(line.as_bytes());
        }
        let (sender, events) = mpsc::channel();
        let mut worker = Self {
            child,
            events,
            stderr: None,
        };
        threads::spawn(move || {
            let lines = stdout
                .into_iter()
                .flat_map(|stdout| BufReader::new(stdout).lines());
            for line in lines.map_while(std::result::Result::ok) {
                // Anything that is no event, a stray print say, is not for us.
                if let Ok(event) = serde_json::from_str(&line)
                    && sender.send(event).is_err()
                {
                    break;
                }
            }
        })?;
        worker.stderr = Some(threads::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                // What was read before an error still helps.
                let _ = stderr.read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        })?);
        Ok(worker)
    }

    fn wait(&mut self) -> Result<(ExitStatus, String)> {
        let status = self
            .child
            .wait()
            .map_err(|error| Error::Worker(error.to_string()))?;
        let stderr = self.stderr.take().and_then(|stderr| stderr.join().ok());
        Ok((status, stderr.unwrap_or_default()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only where it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells how a worker ended that reported nothing.
fn diagnose(status: ExitStatus, stderr: &str) -> Ended {
    let last_line = stderr.lines().rfind(|line| !line.trim().is_empty());
    let (status_word, reason) = match (out_of_memory(status, stderr), last_line) {
        (Some(words), _) => (Status::Oom, words),
        (None, Some(line)) => (Status::Failed, format!("{status}: {line}")),
        (None, None) => (Status::Failed, status.to_string()),
    };
    Ended::Broken {
        status: status_word,
        reason,
    }
}
