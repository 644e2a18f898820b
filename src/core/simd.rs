//! The instructions that hot loops run on: chosen once, at run time, for the CPU at hand.
//!
//! The crate is compiled for the least CPU of its architecture. What takes the time is compiled
//! again for each *path*, and the best that the CPU has is taken. The environment variable
//! [`VARIABLE`] forces a lesser one.

use std::fmt;
use std::sync::OnceLock;

use super::error::{Error, Result};

/// The environment variable that forces a path.
pub const VARIABLE: &str = "SPLITBENCH_SIMD";

/// Sets of instructions, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// What every CPU of the architecture has.
    Scalar,
    /// 128-bit registers of aarch64.
    Neon,
    /// 256-bit registers: AVX2 and FMA.
    Avx2,
    /// 512-bit registers: AVX-512 F, DQ, BW and VL.
    Avx512,
}

impl Path {
    /// All paths, the least first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512];

    /// Returns the path's name, as [`VARIABLE`] takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Returns whether this CPU has the instructions.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            Self::Neon => false,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }

    /// Returns whether this CPU has the instructions.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Self::Scalar || self == Self::Neon && cfg!(target_arch = "aarch64")
    }

    /// Returns the paths that this CPU has, the least first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|path| path.is_available())
    }

    /// Returns the best path for a CPU of which the compiler was told those features, as rustc names
    /// them, comma-separated; none where it was told of no registers.
    pub fn of_features(features: &str) -> Option<Self> {
        let has = |name: &str| features.split(',').any(|feature| feature == name);
        let has_all = |names: &[&str]| names.iter().all(|name| has(name));
        if !has_all(&["avx2", "fma"]) {
            return None;
        }
        let wide = ["avx512f", "avx512dq", "avx512bw", "avx512vl"];
        Some(if has_all(&wide) {
            Self::Avx512
        } else {
            Self::Avx2
        })
    }

    fn best() -> Self {
        Self::available().last().unwrap_or(Self::Scalar)
    }

    /// Returns the path of that name, or the best where none is given.
    fn of(name: Option<&str>) -> Result<Self> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(Self::best());
        };
        let known = Self::ALL
            .into_iter()
            .find(|path| path.name().eq_ignore_ascii_case(name));
        let has: Vec<&str> = Self::available().map(Self::name).collect();
        match known {
            Some(path) if path.is_available() => Ok(path),
            _ => Err(Error::Usage(format!(
                "{VARIABLE}={name:?}: no instructions of this CPU: set one of {}, or unset it for \
                 the last of them",
                has.join(", ")
            ))),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the path of this process.
///
/// # Errors
///
/// [`Error::Usage`] where [`VARIABLE`] names none, or one that the CPU lacks.
pub fn check() -> Result<Path> {
    let name = std::env::var_os(VARIABLE);
    let name = name.as_ref().map(|name| name.to_string_lossy());
    Path::of(name.as_deref())
}

/// Returns the path of this process.
///
/// # Panics
///
/// Panics where [`check`] fails: figures of another path than the one that was asked for would mislead.
pub fn path() -> Path {
    static PATH: OnceLock<Path> = OnceLock::new();
    *PATH.get_or_init(|| check().unwrap_or_else(|error| panic!("{error}")))
}

/// What is compiled for each path.
pub trait Task {
    /// What it returns.
    type Output;

    /// Does it. Implementations are `#[inline(always)]`, down to the last loop.
    fn run(self) -> Self::Output;
}

/// Runs what is compiled for the path of this process.
pub fn run<T: Task>(task: T) -> T::Output {
    run_on(path(), task)
}

#[cfg(target_arch = "x86_64")]
fn run_on<T: Task>(path: Path, task: T) -> T::Output {
    #[target_feature(enable = "avx2,fma")]
    fn avx2<T: Task>(task: T) -> T::Output {
        task.run()
    }
    #[target_feature(enable = "avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")]
    fn avx512<T: Task>(task: T) -> T::Output {
        task.run()
    }
    assert!(path.is_available(), "the CPU has {path}");
    match path {
        Path::Scalar | Path::Neon => task.run(),
        // SAFETY: the CPU has the instructions.
        Path::Avx2 => unsafe { avx2(task) },
        // SAFETY: the CPU has the instructions.
        Path::Avx512 => unsafe { avx512(task) },
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn run_on<T: Task>(_path: Path, task: T) -> T::Output {
    task.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sum<'a>(&'a [f64]);

    impl Task for Sum<'_> {
        type Output = f64;

        #[inline(always)]
        fn run(self) -> f64 {
            self.0.iter().sum()
        }
    }

    #[test]
    fn a_task_runs_on_every_path_that_there_is() {
        for path in Path::available() {
            assert_eq!(run_on(path, Sum(&[1.0, 2.0, 4.0])), 7.0, "{path}");
        }
    }

    #[test]
    fn features_of_a_build_tell_the_path() {
        let zen_3 = "fxsr,sse,sse2,avx,avx2,fma,bmi2";
        assert_eq!(Path::of_features(zen_3), Some(Path::Avx2));
        let zen_4 = format!("{zen_3},avx512f,avx512dq,avx512bw,avx512vl,avx512vnni");
        assert_eq!(Path::of_features(&zen_4), Some(Path::Avx512));
        assert_eq!(Path::of_features("fxsr,sse,sse2"), None);
    }

    #[test]
    fn a_path_is_the_best_or_the_named_one() {
        assert_eq!(Path::of(None).expect("best"), Path::best());
        assert_eq!(Path::of(Some("")).expect("best"), Path::best());
        assert_eq!(Path::of(Some("Scalar")).expect("any CPU"), Path::Scalar);
        let unknown = Path::of(Some("sse9"))
            .expect_err("no such path")
            .to_string();
        assert!(
            unknown.contains("SPLITBENCH_SIMD") && unknown.contains("scalar"),
            "{unknown}"
        );
        for path in Path::ALL {
            let found = Path::of(Some(path.name()));
            if path.is_available() {
                assert_eq!(found.expect("there"), path);
            } else {
                let error = found.expect_err("not there").to_string();
                assert!(error.contains("no instructions of this CPU"), "{error}");
            }
        }
    }
}
