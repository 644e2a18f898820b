//! Random tables and wishes, whose figures are few so that ties and limits that are just met are common.

use proptest::prelude::*;
use splitbench::choose::Limits;
use splitbench::choose::scenario::Scenario;
use splitbench::core::link::Link;
use splitbench::record::copy::{Agreement, USUAL_QUERIES};
use splitbench::record::row::{SplitRow, queries_of_copies};

use super::verdict::Conditions;

const LAYERS: u32 = 4;
const STATUSES: [&str; 4] = ["ok", "ok", "ok", "timeout"];
const SECONDS: [f64; 5] = [0.01, 0.011, 0.1, 0.12, 3.0];
const BYTES: [u64; 4] = [1000, 1024, 50_000, 2_000_000];
const MEMORY: [u64; 4] = [8 << 20, (8 << 20) + 1, 2_000_000_000, 2 << 30];
const AGREEMENTS: [f64; 6] = [0.42, 0.979, 0.989_999, 0.99, 0.992, 1.0];
const FRACTIONS: [f64; 7] = [0.0, 0.042, 0.0421, 0.3, 0.5, 0.999_999, 1.0];

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

/// A value that a table lacks one time in so many.
fn mostly<T: std::fmt::Debug>(
    value: impl Strategy<Value = T>,
    absent_of: u32,
) -> impl Strategy<Value = Option<T>> {
    (value, 0..absent_of).prop_map(|(value, draw)| (draw > 0).then_some(value))
}

fn any_row(index: u32) -> impl Strategy<Value = SplitRow> {
    let placement: String = (0..LAYERS)
        .map(|layer| if index >> layer & 1 == 1 { 'S' } else { 'C' })
        .collect();
    let figures = (
        one_of(&STATUSES),
        mostly(one_of(&SECONDS), 12),
        mostly(one_of(&MEMORY), 5),
        one_of(&BYTES),
        one_of(&BYTES),
        mostly(one_of(&BYTES), 3),
    );
    let verdicts = (
        mostly(one_of(&FRACTIONS), 2),
        mostly(one_of(&FRACTIONS), 4),
        mostly(one_of(&FRACTIONS), 6),
        mostly(any::<bool>(), 2),
        1..4_usize,
        0..4_usize,
        mostly(one_of(&AGREEMENTS), 4),
    );
    (figures, verdicts).prop_map(move |(figures, verdicts)| {
        let (status, online_s, memory, up, down, keys) = figures;
        let (exposure, least, accuracy, noisy, samples, rounds, copy) = verdicts;
        let rounds = if placement.contains('S') {
            rounds.max(1)
        } else {
            0
        };
        let part = |fraction: f64| online_s.map(|online_s| fraction * online_s);
        SplitRow {
            model: "toy".into(),
            placement: placement.clone(),
            status: status.into(),
            host: Some("one CPU".into()),
            online_s_median: online_s,
            online_s_n: online_s.map(|_| samples),
            client_compute_s_median: part(0.1),
            encrypt_s_median: part(0.05),
            decrypt_s_median: part(0.02),
            serialise_s_median: part(0.01),
            deserialise_s_median: part(0.03),
            key_generation_s: keys.map(|_| 0.7),
            key_transfer_s: keys.map(|_| 0.2),
            upload_bytes: Some(up),
            download_bytes: Some(down),
            evaluation_key_bytes: Some(keys.unwrap_or(0)),
            rounds: Some(rounds),
            client_peak_rss_bytes: memory,
            exposed_weight_share: exposure,
            // Tables of earlier builds have what was handed over alone.
            exposed_weight_share_least: exposure.or(least),
            client_weight_share: Some(0.042).filter(|_| noisy.is_some()),
            exposure_is: exposure.map_or("attack stopped", |_| "closed form").into(),
            simulated_accuracy: accuracy,
            noisy,
            copies: copy.map(|copy| Agreement {
                copy,
                ..Agreement::handed_over(USUAL_QUERIES)
            }),
            ..SplitRow::default()
        }
    })
}

/// Tables of splits of one host in the order of their numbers, half of them with copies.
pub fn any_rows() -> impl Strategy<Value = Vec<SplitRow>> {
    let all: Vec<u32> = (0..1 << LAYERS).collect();
    let some = prop::sample::subsequence(all, 0..=1 << LAYERS);
    let rows = some.prop_flat_map(|indices| indices.into_iter().map(any_row).collect::<Vec<_>>());
    (rows, any::<bool>()).prop_map(|(mut rows, are_copied)| {
        if !are_copied {
            rows.iter_mut().for_each(|row| row.copies = None);
        }
        // As a folder is read: where any are known, all of a split without a server is.
        let queries = queries_of_copies(&rows);
        for row in rows.iter_mut().filter(|row| row.rounds == Some(0)) {
            row.copies = queries.map(Agreement::handed_over);
        }
        rows
    })
}

pub fn any_conditions() -> impl Strategy<Value = Conditions> {
    let scenario = (
        mostly(prop::sample::select(Link::profiles().to_vec()), 3),
        one_of(&[1.0, 8.0, 0.5]),
        one_of(&[1_u64, 1000]),
    );
    let limits = (
        mostly(one_of(&MEMORY), 2),
        mostly(one_of(&FRACTIONS), 2),
        mostly(one_of(&FRACTIONS), 3),
        mostly(one_of(&AGREEMENTS), 2),
        any::<bool>(),
        any::<bool>(),
    );
    (scenario, limits).prop_map(|(scenario, limits)| {
        let (network, client_slowdown, inferences) = scenario;
        let (
            max_client_memory,
            max_exposure,
            min_accuracy,
            max_copy_agreement,
            counts_handed_over,
            counts_whole_copies,
        ) = limits;
        Conditions {
            scenario: Scenario {
                network,
                client_slowdown,
                inferences,
                ..Scenario::default()
            },
            limits: Limits {
                max_client_memory,
                max_exposure,
                min_accuracy,
                max_copy_agreement,
                counts_handed_over,
                counts_whole_copies,
                ..Limits::default()
            },
        }
    })
}
