//! What times depend on besides the settings: the CPU, and how much of it a sweep uses.

use std::fmt;

/// A machine as far as times compare: two of the same make are one host, and the same machine with
/// fewer threads, or lesser instructions, is another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The model of the CPU, where the system tells.
    pub cpu: Option<String>,
    pub threads: usize,
    /// The path of hot loops, see [`crate::core::simd`], where it is known.
    pub simd: Option<String>,
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.cpu.as_deref().unwrap_or("unknown CPU");
        let plural = if self.threads == 1 { "" } else { "s" };
        write!(formatter, "{cpu}, {} thread{plural}", self.threads)?;
        match &self.simd {
            Some(simd) => write!(formatter, ", {simd}"),
            None => Ok(()),
        }
    }
}

/// Returns whether two names are of one host, as far as they tell: tables of earlier versions do not
/// say the path.
pub fn is_same(one: &str, other: &str) -> bool {
    let continues = |long: &str, short: &str| {
        let rest = long.strip_prefix(short);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(", "))
    };
    continues(one, other) || continues(other, one)
}

/// Returns a host's name as a part of a folder's name: `AMD EPYC, 2 threads` is
/// `amd-epyc-2-threads`.
pub fn folder_name(host: &str) -> String {
    let words: Vec<&str> = host
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_its_cpu_and_its_threads() {
        let host = |cpu: Option<&str>, threads| Host {
            cpu: cpu.map(str::to_owned),
            threads,
            simd: None,
        };
        let epyc = host(Some("AMD EPYC 9654 (R)"), 2).to_string();
        assert_eq!(epyc, "AMD EPYC 9654 (R), 2 threads");
        assert_eq!(folder_name(&epyc), "amd-epyc-9654-r-2-threads");
        assert_eq!(host(None, 1).to_string(), "unknown CPU, 1 thread");
        let forced = Host {
            simd: Some("avx2".into()),
            ..host(Some("AMD EPYC"), 2)
        };
        assert_eq!(forced.to_string(), "AMD EPYC, 2 threads, avx2");
        assert!(is_same("AMD EPYC, 2 threads, avx2", "AMD EPYC, 2 threads"));
        assert!(!is_same(
            "AMD EPYC, 2 threads, avx2",
            "AMD EPYC, 2 threads, avx512"
        ));
        assert!(!is_same("AMD EPYC, 2 threads", "AMD EPYC, 20 threads"));
    }
}
