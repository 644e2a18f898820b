//! The machine, the build and the command behind the rows of a results folder.

use std::env;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::core::digest::hex_digest;
use crate::core::security::SECURITY_BITS;
use crate::core::simd;
use crate::machine::cpu::COMPILED_FEATURES;
use crate::machine::file::{self, MOST_TEXT_BYTES};
use crate::record::host::Host;

/// Digits of an environment's digest that rows carry.
const DIGEST_DIGITS: usize = 12;

/// Everything besides the settings that a reader needs to repeat a sweep or to distrust it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub splitbench_version: String,
    pub commit: String,
    /// Whether tracked files differed from the commit when the binary was built.
    pub dirty: bool,
    pub command: String,
    pub machine: Machine,
    pub build: Build,
    pub security_bits: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: Option<String>,
    pub cores: Option<usize>,
    pub threads_used: usize,
    /// The path of hot loops, see [`crate::core::simd`]; none where an earlier version was built for
    /// one CPU alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simd: Option<String>,
    /// How the first core's clock is governed, where the system tells.
    pub governor: Option<String>,
    pub memory_bytes: Option<u64>,
    pub os: Option<String>,
    pub kernel: Option<String>,
    /// Processes that ran or wanted to, the mean of the minute before the sweep.
    pub load: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Build {
    pub rustc: String,
    pub target: String,
    pub profile: String,
    pub rustflags: String,
    pub target_features: String,
    pub allocator: String,
    pub tfhe: String,
    pub tfhe_fft: String,
    pub rayon: String,
}

impl Environment {
    /// Returns the environment of this process.
    pub fn probe() -> Self {
        Self {
            splitbench_version: env!("CARGO_PKG_VERSION").into(),
            commit: env!("SPLITBENCH_COMMIT").into(),
            dirty: env!("SPLITBENCH_DIRTY") == "true",
            command: command(),
            machine: Machine::probe(),
            build: Build {
                rustc: env!("SPLITBENCH_RUSTC").into(),
                target: env!("SPLITBENCH_TARGET").into(),
                profile: env!("SPLITBENCH_PROFILE").into(),
                rustflags: env!("SPLITBENCH_RUSTFLAGS").into(),
                target_features: COMPILED_FEATURES.into(),
                // No `#[global_allocator]` replaces the one of the target's C library.
                allocator: "the system's".into(),
                tfhe: env!("SPLITBENCH_VERSION_TFHE").into(),
                tfhe_fft: env!("SPLITBENCH_VERSION_TFHE_FFT").into(),
                rayon: env!("SPLITBENCH_VERSION_RAYON").into(),
            },
            security_bits: SECURITY_BITS,
        }
    }

    /// Returns the name that rows give this environment: the first digits of a SHA-256.
    pub fn digest(&self) -> String {
        // Strings, numbers and options always have a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex_digest(&json)[..DIGEST_DIGITS].to_owned()
    }

    /// Returns the machine as far as times compare.
    pub fn host(&self) -> Host {
        Host {
            cpu: self.machine.cpu.clone(),
            threads: self.machine.threads_used,
            // Earlier versions ran what they were built for.
            simd: (self.machine.simd.clone()).or_else(|| {
                Some(simd::Path::of_features(&self.build.target_features)?.to_string())
            }),
        }
    }
}

impl Machine {
    fn probe() -> Self {
        let wanted = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(wanted).ok();
        let cpu = system.as_ref().and_then(|system| system.cpus().first());
        Self {
            cpu: cpu.map(|cpu| cpu.brand().trim().to_owned()),
            cores: System::physical_core_count().ok(),
            threads_used: rayon::current_num_threads(),
            simd: Some(simd::path().to_string()),
            governor: governor(),
            memory_bytes: system.as_ref().map(memory_bytes),
            os: System::long_os_version().ok(),
            kernel: System::kernel_version().ok(),
            load: System::load_average().ok().map(|load| load.one),
        }
    }
}

/// Returns the memory that this process may use: the machine's, or its control group's part.
fn memory_bytes(system: &System) -> u64 {
    let limits = system.cgroup_limits();
    let group = limits.map_or(u64::MAX, |limits| limits.total_memory);
    system.total_memory().min(group)
}

fn governor() -> Option<String> {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    Some(
        file::read_text(Path::new(path), MOST_TEXT_BYTES)
            .ok()?
            .trim()
            .to_owned(),
    )
}

/// Returns the command line, the program by its name alone: its folder is nobody's business.
fn command() -> String {
    let words = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned());
    std::iter::once("splitbench".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_names_one_environment_also_after_a_trip_through_json() {
        let environment = Environment::probe();
        let json = serde_json::to_string(&environment).expect("json");
        let back: Environment = serde_json::from_str(&json).expect("environment");
        assert_eq!(back, environment);
        assert_eq!(back.digest(), environment.digest());
        let other = Environment {
            dirty: !environment.dirty,
            ..environment.clone()
        };
        assert_ne!(other.digest(), environment.digest());
        assert!(environment.machine.memory_bytes > Some(1 << 20));
    }
}
