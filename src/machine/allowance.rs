//! How much memory the processes of a sweep may take, and who says so.

use std::fmt;

use sysinfo::{
    MemoryRefreshKind, Pid, Process, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System,
};

/// Address space that a worker's own threads set apart for allocations, beyond those that every process
/// of this program has: glibc takes 64 MiB for each, and there are three.
const THREADS_BYTES: u64 = 3 * (64 << 20);

/// Memory that may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub bytes: u64,
    pub bound: Bound,
}

/// What bounds memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The machine, of all processes.
    Machine,
    /// The control group, version 1 or 2, that this process is in, or one around it, of all processes.
    ControlGroup,
    /// `ulimit -v`, the address space of each process, of which so many bytes go for what is mapped
    /// and hardly touched.
    AddressSpace { untouched: u64 },
    /// `--memory-limit`, what is resident of a worker.
    MemoryLimit,
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Machine => "this machine has",
            Self::ControlGroup => "the control group (cgroup) allows",
            Self::AddressSpace { .. } => "ulimit -v leaves each process",
            Self::MemoryLimit => "--memory-limit allows",
        })
    }
}

/// Returns what all processes of a sweep may take together; `None` where the system does not tell.
pub fn together() -> Option<Allowance> {
    let wanted = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let machine = System::new_with_specifics(wanted).ok()?.total_memory();
    let group = of_this_process(ProcessRefreshKind::nothing(), Process::cgroup_limits).flatten();
    Some(lesser(machine, group.map(|group| group.total_memory)))
}

/// Returns what bounds all processes of a machine with so much memory, in a control group or none.
fn lesser(machine: u64, group: Option<u64>) -> Allowance {
    match group {
        Some(bytes) if bytes < machine => Allowance {
            bytes,
            bound: Bound::ControlGroup,
        },
        _ => Allowance {
            bytes: machine,
            bound: Bound::Machine,
        },
    }
}

/// Returns what may be resident of each process; `None` where nothing bounds it but the machine.
///
/// An address space also holds what is mapped and never touched: code, stacks, room for allocations.
/// Other processes of this program are taken to map as much of that as this one, and a worker some more.
pub fn each() -> Option<Allowance> {
    let space = address_space()?;
    let kind = ProcessRefreshKind::nothing().with_memory();
    let untouched = of_this_process(kind, |process| {
        process.virtual_memory().saturating_sub(process.memory())
    });
    let untouched = untouched? + THREADS_BYTES;
    Some(Allowance {
        bytes: space.saturating_sub(untouched),
        bound: Bound::AddressSpace { untouched },
    })
}

/// Returns the address space that this process may still map; `None` where nothing bounds it.
pub fn free_address_space() -> Option<u64> {
    let space = address_space()?;
    let kind = ProcessRefreshKind::nothing().with_memory();
    let mapped = of_this_process(kind, Process::virtual_memory)?;
    Some(space.saturating_sub(mapped))
}

/// Returns what `read` finds of this process; `None` where the system does not tell.
fn of_this_process<T>(kind: ProcessRefreshKind, read: impl FnOnce(&Process) -> T) -> Option<T> {
    let pid = Pid::from_u32(std::process::id());
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
    system.process(pid).map(read)
}

/// Returns the bytes of address space that a process may have; `None` where that is no matter.
#[cfg(unix)]
fn address_space() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::As).current
}

#[cfg(not(unix))]
fn address_space() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_allowed_than_the_machine_has() {
        let system = System::new_all().expect("a system");
        let allowance = together().expect("an allowance");
        assert!(allowance.bytes > 0 && allowance.bytes <= system.total_memory());
    }

    #[test]
    fn a_control_group_counts_where_it_allows_less() {
        let bound = |group| lesser(100, group).bound;
        assert_eq!(lesser(100, Some(99)).bytes, 99);
        assert_eq!(bound(Some(99)), Bound::ControlGroup);
        // Without a limit it tells the machine's memory, or more than there can be.
        for group in [None, Some(100), Some(u64::MAX)] {
            assert_eq!(bound(group), Bound::Machine);
        }
        let words = format!("99 B that {}", bound(Some(99)));
        assert_eq!(words, "99 B that the control group (cgroup) allows");
    }
}
