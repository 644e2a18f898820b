//! The machine, the build and the command behind a results folder: `environment.json`.

use std::env;

use serde::Serialize;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::cpu::COMPILED_FEATURES;
use crate::fhe::parameters::SECURITY_BITS;
use crate::model::Model;
use crate::model::outline::LayerOutline;
use crate::settings::Settings;

/// Everything that a reader needs to repeat a sweep or to distrust it.
#[derive(Debug, Serialize)]
pub struct Environment {
    pub splitbench_version: &'static str,
    pub commit: &'static str,
    /// Whether tracked files differed from the commit when the binary was built.
    pub dirty: bool,
    pub command: String,
    pub machine: Machine,
    pub build: Build,
    pub security_bits: u32,
    pub settings: Settings,
    pub layers: Vec<LayerOutline>,
}

#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: Option<String>,
    pub cores: Option<usize>,
    pub threads_used: usize,
    pub memory_bytes: Option<u64>,
    pub os: Option<String>,
    pub kernel: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Build {
    pub rustc: &'static str,
    pub target: &'static str,
    pub profile: &'static str,
    pub rustflags: &'static str,
    pub target_features: &'static str,
    pub tfhe: &'static str,
    pub tfhe_fft: &'static str,
    pub rayon: &'static str,
}

impl Environment {
    /// Returns the environment of this process, which measures this model.
    pub fn of(settings: &Settings, model: &Model) -> Self {
        Self {
            splitbench_version: env!("CARGO_PKG_VERSION"),
            commit: env!("SPLITBENCH_COMMIT"),
            dirty: env!("SPLITBENCH_DIRTY") == "true",
            command: command(),
            machine: Machine::probe(),
            build: Build {
                rustc: env!("SPLITBENCH_RUSTC"),
                target: env!("SPLITBENCH_TARGET"),
                profile: env!("SPLITBENCH_PROFILE"),
                rustflags: env!("SPLITBENCH_RUSTFLAGS"),
                target_features: COMPILED_FEATURES,
                tfhe: env!("SPLITBENCH_VERSION_TFHE"),
                tfhe_fft: env!("SPLITBENCH_VERSION_TFHE_FFT"),
                rayon: env!("SPLITBENCH_VERSION_RAYON"),
            },
            security_bits: SECURITY_BITS,
            settings: settings.clone(),
            layers: model.outline(),
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
            memory_bytes: system.as_ref().map(System::total_memory),
            os: System::long_os_version().ok(),
            kernel: System::kernel_version().ok(),
        }
    }
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
