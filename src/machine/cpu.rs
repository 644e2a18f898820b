//! Whether this CPU has the features that the binary was compiled for.
//!
//! The standard detection macro answers "yes" for every feature that the compiler was told to
//! use, so it cannot find out that a binary runs on the wrong machine; `cpuid` is asked directly.

use crate::core::error::{Error, Result};

/// Target features that this binary was compiled for, as rustc names them, comma-separated.
pub const COMPILED_FEATURES: &str = env!("SPLITBENCH_TARGET_FEATURES");

/// Checks that this CPU has every feature that this binary uses and that `cpuid` tells of.
///
/// # Errors
///
/// [`Error::WrongCpu`] that lists the missing ones.
pub fn check() -> Result<()> {
    // tfhe's generator of random bytes has no other block cipher on x86-64.
    let aes = if cfg!(feature = "engine") { ",aes" } else { "" };
    let features = format!("{COMPILED_FEATURES}{aes}");
    let missing = missing(&features, has);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::WrongCpu {
        missing: missing.join(", "),
    })
}

/// Returns the compiled features that the CPU is known to lack.
fn missing(compiled: &str, has: impl Fn(&str) -> Option<bool>) -> Vec<&str> {
    compiled
        .split(',')
        .filter(|feature| has(feature) == Some(false))
        .collect()
}

/// Returns whether the CPU has a feature; `None` for names that are not looked up.
#[cfg(target_arch = "x86_64")]
fn has(feature: &str) -> Option<bool> {
    let cpuid = raw_cpuid::CpuId::new();
    let basic = cpuid.get_feature_info()?;
    // A CPU without the extended leaf has none of its features.
    let extended = cpuid.get_extended_feature_info();
    let extended =
        |test: fn(&raw_cpuid::ExtendedFeatures) -> bool| extended.as_ref().is_some_and(test);
    Some(match feature {
        "sse3" => basic.has_sse3(),
        "ssse3" => basic.has_ssse3(),
        "sse4.1" => basic.has_sse41(),
        "sse4.2" => basic.has_sse42(),
        "popcnt" => basic.has_popcnt(),
        "aes" => basic.has_aesni(),
        "avx" => basic.has_avx(),
        "fma" => basic.has_fma(),
        "f16c" => basic.has_f16c(),
        "avx2" => extended(raw_cpuid::ExtendedFeatures::has_avx2),
        "bmi1" => extended(raw_cpuid::ExtendedFeatures::has_bmi1),
        "bmi2" => extended(raw_cpuid::ExtendedFeatures::has_bmi2),
        "avx512f" => extended(raw_cpuid::ExtendedFeatures::has_avx512f),
        "avx512bw" => extended(raw_cpuid::ExtendedFeatures::has_avx512bw),
        "avx512cd" => extended(raw_cpuid::ExtendedFeatures::has_avx512cd),
        "avx512dq" => extended(raw_cpuid::ExtendedFeatures::has_avx512dq),
        "avx512vl" => extended(raw_cpuid::ExtendedFeatures::has_avx512vl),
        "avx512ifma" => extended(raw_cpuid::ExtendedFeatures::has_avx512_ifma),
        "avx512vnni" => extended(raw_cpuid::ExtendedFeatures::has_avx512vnni),
        "vaes" => extended(raw_cpuid::ExtendedFeatures::has_vaes),
        _ => return None,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn has(_feature: &str) -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_that_compiled_the_tests_can_run_them() {
        check().expect("same machine");
    }

    #[test]
    fn features_that_the_cpu_lacks_are_named() {
        let old_cpu = |feature: &str| match feature {
            "sse3" => Some(true),
            "avx2" | "avx512f" => Some(false),
            _ => None,
        };
        assert_eq!(
            missing("sse3,avx2,fxsr,avx512f", old_cpu),
            ["avx2", "avx512f"]
        );
        let text = Error::WrongCpu {
            missing: "avx512f".into(),
        }
        .to_string();
        assert!(
            text.contains("needs avx512f, which this CPU lacks"),
            "{text}"
        );
    }
}
