//! Numbers as text: the only place where seconds, bytes and fractions become words.
//!
//! Figures for people carry three significant digits; figures for machines are written raw
//! elsewhere and never pass through here.

/// Units of time, each with the seconds that it holds.
const TIME_UNITS: [(f64, &str); 4] = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")];

/// Binary units of memory, each with the bytes that it holds.
const BYTE_UNITS: [(f64, &str); 5] = [
    (1_099_511_627_776.0, "TiB"),
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1024.0, "KiB"),
    (1.0, "B"),
];

/// Beyond these, two percentages that a person compares are the same.
const MOST_DECIMALS_OF_PERCENT: usize = 12;

/// Returns a time with three significant digits in the unit that suits it: `3.20 ms`, `1.24 s`.
///
/// # Example
///
/// ```
/// assert_eq!(splitbench::core::units::seconds(1.0), "1.00 s");
/// ```
pub fn seconds(seconds: f64) -> String {
    if seconds == 0.0 {
        return "0 s".to_owned();
    }
    let (unit_s, name) = time_unit(seconds);
    format!("{} {name}", three_digits(seconds / unit_s))
}

/// Returns a time as nobody needs it more precisely who waits for it: `40 s`, `12 min`, `3 h 20 min`,
/// `2 d 5 h`.
///
/// # Example
///
/// ```
/// assert_eq!(splitbench::core::units::rough_seconds(12_000.0), "3 h 20 min");
/// ```
pub fn rough_seconds(seconds: f64) -> String {
    let whole = |unit_s: f64| (seconds / unit_s).round() as u64;
    let two = |count: u64, size: u64, names: [&str; 2]| {
        format!(
            "{} {} {} {}",
            count / size,
            names[0],
            count % size,
            names[1]
        )
    };
    match seconds {
        ..100.0 => format!("{} s", whole(1.0)),
        ..6000.0 => format!("{} min", whole(60.0)),
        ..172_800.0 => two(whole(60.0), 60, ["h", "min"]),
        _ => two(whole(3600.0), 24, ["d", "h"]),
    }
}

/// Returns a time without trailing zeros, as ticks of an axis carry it: `200 µs`, `1 s`.
pub fn seconds_tick(value_s: f64) -> String {
    without_trailing_zeros(&seconds(value_s))
}

/// Returns bytes with three significant digits in binary units: `1000 B`, `1.50 KiB`.
///
/// # Example
///
/// ```
/// assert_eq!(splitbench::core::units::bytes(3 << 29), "1.50 GiB");
/// ```
pub fn bytes(bytes: u64) -> String {
    let (unit_bytes, name) = byte_unit(bytes as f64);
    if unit_bytes == 1.0 {
        return format!("{bytes} B");
    }
    format!("{} {name}", three_digits(bytes as f64 / unit_bytes))
}

/// Returns bytes without trailing zeros, as ticks of an axis carry them: `32 KiB`, `1 MiB`.
pub fn bytes_tick(value_bytes: u64) -> String {
    without_trailing_zeros(&bytes(value_bytes))
}

/// Returns a fraction of one as a percentage with one decimal: `percent(0.973)` is `97.3 %`.
pub fn percent(fraction: f64) -> String {
    format!("{} %", decimal(fraction * 100.0, 1))
}

/// Returns two fractions as percentages, with as many decimals more as tell them apart.
pub fn percents_apart(left: f64, right: f64) -> (String, String) {
    let words = |decimals| {
        let word = |fraction: f64| format!("{} %", decimal(fraction * 100.0, decimals));
        (word(left), word(right))
    };
    (1..=MOST_DECIMALS_OF_PERCENT)
        .map(words)
        .find(|(left, right)| left != right)
        .unwrap_or_else(|| words(1))
}

/// Returns a count with its digits in threes: `grouped(1000)` is `1,000`.
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut words = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// Returns `a`, `a and b`, or `a, b and c`.
pub fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Returns two counts of bytes in words that tell them apart, whole bytes where three digits do not.
pub fn bytes_apart(left: u64, right: u64) -> (String, String) {
    match (bytes(left), bytes(right)) {
        (same, other) if same == other && left != right => {
            (format!("{left} B"), format!("{right} B"))
        }
        apart => apart,
    }
}

/// Returns a fraction that a person typed as a percentage, with all its digits: `4.15 %`, `50.0 %`.
pub fn percent_as_typed(fraction: f64) -> String {
    let decimals = (1..MOST_DECIMALS_OF_PERCENT).find(|&decimals| {
        let scale = 10_f64.powi(decimals as i32);
        let scaled = fraction * 100.0 * scale;
        (scaled - scaled.round()).abs() < 1e-6
    });
    format!("{} %", decimal(fraction * 100.0, decimals.unwrap_or(1)))
}

/// Returns a probability by its base-2 logarithm: `power_of_two(-61.25)` is `2^−61.2`.
pub fn power_of_two(log2: f64) -> String {
    format!("2^{}", decimal(log2, 1))
}

/// Returns a number with a fixed count of decimals and a true minus sign, never a negative zero.
pub fn decimal(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    if value < 0.0 && !is_zero {
        format!("−{digits}")
    } else {
        digits
    }
}

/// Returns a number without unit with three significant digits, whole from a hundred on.
pub fn significant(value: f64) -> String {
    // Decimals that a table has room for: below a thousandth of its unit a figure loses digits.
    const MOST_DECIMALS: i32 = 6;
    if value == 0.0 || !value.is_finite() {
        return decimal(value, 0);
    }
    let digits_before_point = round_to_three_digits(value.abs()).log10().floor() as i32 + 1;
    let decimals = (3 - digits_before_point).clamp(0, MOST_DECIMALS);
    decimal(value, decimals as usize)
}

/// Returns the unit of time for a figure or for a whole axis, and the seconds that it holds.
pub fn time_unit(seconds: f64) -> (f64, &'static str) {
    let found = TIME_UNITS
        .iter()
        .find(|(unit_s, _)| round_to_three_digits(seconds.abs() / unit_s) >= 1.0);
    found.copied().unwrap_or(
        TIME_UNITS[if seconds == 0.0 {
            0
        } else {
            TIME_UNITS.len() - 1
        }],
    )
}

/// Returns the unit of memory for a figure or for a whole axis, and the bytes that it holds.
pub fn byte_unit(bytes: f64) -> (f64, &'static str) {
    // A figure that rounds to 1024 of a unit is one of the next: 1023.7 KiB reads 1.00 MiB.
    let found = BYTE_UNITS
        .iter()
        .find(|(unit_bytes, _)| (bytes / unit_bytes * 1024.0).round() >= 1024.0);
    found.copied().unwrap_or(BYTE_UNITS[BYTE_UNITS.len() - 1])
}

/// Returns a bandwidth without trailing zeros: `12 Mbit/s`, `1.5 Gbit/s`.
pub fn bits_per_second(bits_per_s: f64) -> String {
    let units = [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")];
    let found = units.iter().find(|(unit, _)| bits_per_s >= *unit);
    let (unit, name) = found.copied().unwrap_or((1.0, "bit/s"));
    without_trailing_zeros(&format!("{} {name}", three_digits(bits_per_s / unit)))
}

/// Returns the bandwidth that `12mbit`, `1.5 Gbit` or `300kbit` says; positive.
pub fn parse_bits_per_second(text: &str) -> Option<f64> {
    let units = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)];
    parse_figure(text, &units).filter(|&bits| bits > 0.0)
}

/// Returns the seconds that `60ms`, `90s`, `30m` or `2h` says; not negative.
pub fn parse_seconds(text: &str) -> Option<f64> {
    let units = [
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("min", 60.0),
        ("h", 3600.0),
    ];
    parse_figure(text, &units)
}

/// Returns the bytes that `2GB`, `512MiB` or `100kB` says, decimal and binary units apart.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let units = [
        ("b", 1.0),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
        ("tb", 1e12),
        ("kib", 1024.0),
        ("mib", 1_048_576.0),
        ("gib", 1_073_741_824.0),
        ("tib", 1_099_511_627_776.0),
    ];
    let bytes = parse_figure(text, &units)?;
    (bytes < 2f64.powi(63)).then_some(bytes.round() as u64)
}

/// Returns the fraction that `20%` or `0.2` says; from 0 to 1.
pub fn parse_fraction(text: &str) -> Option<f64> {
    let fraction = match text.trim().strip_suffix('%') {
        // Exactly the number that is written: 97.4 ÷ 100 is another one than 0.974.
        Some(percent) => number(&format!("{}e-2", number(percent)?))?,
        None => number(text)?,
    };
    (fraction <= 1.0).then_some(fraction)
}

/// Returns a number with one of the units, whose names are in lower case; the case of the text
/// does not count.
fn parse_figure(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (figure, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number(figure).map(|value| value * factor)
}

/// Returns a finite number that is not negative.
fn number(text: &str) -> Option<f64> {
    let value: f64 = text.trim().parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// Three significant digits below a thousand, whole numbers from there on.
fn three_digits(value: f64) -> String {
    let size = round_to_three_digits(value.abs());
    let decimals = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    decimal(value, decimals)
}

/// Rounds to the digits that are printed, so that 999.9 ms counts as one second.
fn round_to_three_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits_before_point = value.log10().floor() as i32 + 1;
    let decimals = (3 - digits_before_point).max(0);
    let factor = 10_f64.powi(decimals);
    (value * factor).round() / factor
}

/// `1.50 s` becomes `1.5 s`; `100 s` stays.
fn without_trailing_zeros(figure: &str) -> String {
    match figure.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!(
                "{} {unit}",
                number.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => figure.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_table_keep_three_digits() {
        let table = [
            (0.0, "0"),
            (0.000_207, "0.000207"),
            (0.0312, "0.0312"),
            (0.9996, "1.00"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (99.96, "100"),
            (1157.4, "1157"),
            (-2.5, "−2.50"),
        ];
        check(significant, &table);
    }

    /// Reports every wrong case of a table, not only the first.
    fn check<T: Copy + std::fmt::Debug>(write: impl Fn(T) -> String, table: &[(T, &str)]) {
        let wrong: Vec<String> = table
            .iter()
            .filter(|&&(value, expected)| write(value) != expected)
            .map(|&(value, expected)| format!("{value:?}: {:?}, not {expected:?}", write(value)))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn seconds_keep_three_digits() {
        check(
            seconds,
            &[
                (0.0, "0 s"),
                (3e-10, "0.30 ns"),
                (1e-9, "1.00 ns"),
                (0.000_12, "120 µs"),
                (0.0032, "3.20 ms"),
                (0.999, "999 ms"),
                (0.9994, "999 ms"),
                (0.9996, "1.00 s"),
                (1.0, "1.00 s"),
                (1.005, "1.00 s"),
                (1.006, "1.01 s"),
                (1.24, "1.24 s"),
                (9.996, "10.0 s"),
                (99.96, "100 s"),
                (999.9, "1000 s"),
                (1000.0, "1000 s"),
                (12_345.6, "12346 s"),
                (-1.5, "−1.50 s"),
            ],
        );
    }

    #[test]
    fn counts_have_their_digits_in_threes() {
        for (count, words) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (98_765, "98,765"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(count), words);
        }
    }

    #[test]
    fn bytes_are_binary() {
        check(
            bytes,
            &[
                (0, "0 B"),
                (1, "1 B"),
                (1000, "1000 B"),
                (1023, "1023 B"),
                (1024, "1.00 KiB"),
                (1029, "1.00 KiB"),
                (1536, "1.50 KiB"),
                (102_349, "100 KiB"),
                (1_047_552, "1023 KiB"),
                (1_048_575, "1.00 MiB"),
                (1_048_576, "1.00 MiB"),
                (1_288_490_189, "1.20 GiB"),
                (u64::MAX, "16777216 TiB"),
            ],
        );
    }

    #[test]
    fn percentages_keep_one_decimal() {
        check(
            percent,
            &[
                (0.0, "0.0 %"),
                (0.973, "97.3 %"),
                (0.999, "99.9 %"),
                (0.9996, "100.0 %"),
                (1.0, "100.0 %"),
                (1.005, "100.5 %"),
                (-0.0001, "0.0 %"),
                (-0.012, "−1.2 %"),
                (1000.0, "100000.0 %"),
            ],
        );
    }

    #[test]
    fn probabilities_are_powers_of_two() {
        check(
            power_of_two,
            &[
                (0.0, "2^0.0"),
                (-0.04, "2^0.0"),
                (0.999, "2^1.0"),
                (-1.005, "2^−1.0"),
                (-61.25, "2^−61.2"),
                (-1000.0, "2^−1000.0"),
                (f64::NEG_INFINITY, "2^−inf"),
            ],
        );
    }

    #[test]
    fn ticks_drop_trailing_zeros_only() {
        check(
            seconds_tick,
            &[
                (0.0, "0 s"),
                (1e-4, "100 µs"),
                (0.5, "500 ms"),
                (2.5, "2.5 s"),
                (100.0, "100 s"),
            ],
        );
        check(
            bytes_tick,
            &[
                (0, "0 B"),
                (512, "512 B"),
                (32_768, "32 KiB"),
                (1_048_576, "1 MiB"),
                (104_857_600, "100 MiB"),
            ],
        );
    }

    #[test]
    fn fractions_that_differ_read_so() {
        let apart = |left, right| percents_apart(left, right);
        assert_eq!(apart(0.3, 0.25), ("30.0 %".into(), "25.0 %".into()));
        assert_eq!(apart(0.04249, 0.042), ("4.25 %".into(), "4.20 %".into()));
        assert_eq!(apart(0.5, 0.5), ("50.0 %".into(), "50.0 %".into()));
        assert_eq!(percent_as_typed(0.0415), "4.15 %");
        assert_eq!(percent_as_typed(0.5), "50.0 %");
        assert_eq!(
            bytes_apart(1 << 20, 2 << 20),
            ("1.00 MiB".into(), "2.00 MiB".into())
        );
        let close = bytes_apart(2_000_000_001, 2_000_000_000);
        assert_eq!(close, ("2000000001 B".into(), "2000000000 B".into()));
    }

    #[test]
    fn figures_of_people_are_read_with_their_units() {
        assert_eq!(parse_bytes("2GB"), Some(2_000_000_000));
        assert_eq!(parse_bytes(" 1.5 MiB "), Some(1_572_864));
        assert_eq!(parse_seconds("30m"), Some(1800.0));
        assert_eq!(parse_seconds("0.3 ms"), Some(0.3e-3));
        assert_eq!(parse_bits_per_second("1.5Gbit"), Some(1.5e9));
        assert_eq!(parse_fraction("20%"), Some(0.2));
        assert_eq!(parse_fraction("0.95"), Some(0.95));
        for thousandth in 0..=1000 {
            let percent = format!("{}.{}%", thousandth / 10, thousandth % 10);
            assert_eq!(
                parse_fraction(&percent),
                Some(f64::from(thousandth) / 1000.0),
                "{percent}"
            );
        }
        for text in ["", "2", "GB", "-1GB", "2XB", "1e999GB", "nan GB", "1 2GB"] {
            assert_eq!(parse_bytes(text), None, "{text:?}");
        }
        for text in ["", "101%", "-1%", "1.5", "nan", "inf%"] {
            assert_eq!(parse_fraction(text), None, "{text:?}");
        }
        assert_eq!(parse_bits_per_second("0kbit"), None);
    }

    #[test]
    fn figures_that_are_no_numbers_do_not_panic() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!seconds(value).is_empty());
            assert!(!percent(value).is_empty());
        }
    }
}
