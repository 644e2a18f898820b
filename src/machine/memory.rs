//! Resident memory of this process while it works, sampled by a thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::machine::file::{self, MOST_TEXT_BYTES};
use crate::machine::threads;

/// Time between samples. One sample costs about 30 µs, so that sampling takes 0.3 % of a core; a
/// spike shorter than this can be missed.
pub const SAMPLING_PERIOD: Duration = Duration::from_millis(10);

/// Samples the resident set until it is stopped.
pub struct PeakMemory {
    start_bytes: u64,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Resident bytes of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUse {
    /// When sampling began.
    pub start_bytes: u64,
    /// The largest sample.
    pub peak_bytes: u64,
}

impl PeakMemory {
    /// Starts to sample; `None` where this system does not tell a process its memory, or gives it no
    /// thread.
    pub fn start() -> Option<Self> {
        let mut probe = Probe::of(std::process::id())?;
        let start_bytes = probe.resident_bytes()?;
        let peak = Arc::new(AtomicU64::new(start_bytes));
        let stop = Arc::new(AtomicBool::new(false));
        let (thread_peak, thread_stop) = (Arc::clone(&peak), Arc::clone(&stop));
        let sampling = threads::spawn(move || {
            while !thread_stop.load(Ordering::Relaxed) {
                thread_peak.fetch_max(probe.resident_bytes().unwrap_or(0), Ordering::Relaxed);
                sleep(SAMPLING_PERIOD);
            }
            thread_peak.fetch_max(probe.resident_bytes().unwrap_or(0), Ordering::Relaxed);
        });
        let thread = sampling.ok()?;
        Some(Self {
            start_bytes,
            peak,
            stop,
            thread,
        })
    }

    /// Stops and returns what was seen.
    pub fn stop(self) -> MemoryUse {
        self.stop.store(true, Ordering::Relaxed);
        // The thread cannot panic; were it to, the samples so far still stand.
        let _ = self.thread.join();
        MemoryUse {
            start_bytes: self.start_bytes,
            peak_bytes: self.peak.load(Ordering::Relaxed),
        }
    }
}

/// The high-water mark of this process's resident set, which Linux keeps exactly.
pub struct HighWater;

impl HighWater {
    /// Lowers the mark to what is resident, and returns that; `None` where there is no such mark.
    pub fn reset() -> Option<u64> {
        std::fs::write("/proc/self/clear_refs", "5").ok()?;
        Self::read()
    }

    /// Returns the mark in bytes; `None` where there is none.
    pub fn read() -> Option<u64> {
        let status = file::read_text(Path::new("/proc/self/status"), MOST_TEXT_BYTES).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes << 10)
    }
}

/// A process as sysinfo sees it.
pub struct Probe {
    system: System,
    pid: Pid,
}

impl Probe {
    /// Returns a probe of the process with this number; `None` where the system tells nothing.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            system: System::new().ok()?,
            pid: Pid::from_u32(pid),
        })
    }

    /// Returns what is resident at the moment; `None` once the process has gone.
    pub fn resident_bytes(&mut self) -> Option<u64> {
        self.system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[self.pid]),
            false,
            ProcessRefreshKind::nothing().with_memory(),
        );
        self.system.process(self.pid).map(sysinfo::Process::memory)
    }
}
