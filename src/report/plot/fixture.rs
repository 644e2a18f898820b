//! Rows for the tests of the charts, deterministic and of realistic size.

use crate::record::copy::{Agreement, USUAL_QUERIES};
use crate::record::row::SplitRow;

/// A row without figures.
pub(crate) fn row(placement: &str, status: &str) -> SplitRow {
    SplitRow {
        model: "digits-cnn".to_owned(),
        placement: placement.to_owned(),
        status: status.to_owned(),
        ..SplitRow::default()
    }
}

/// A finished row whose figures follow from its placement.
pub(crate) fn finished(placement: &str) -> SplitRow {
    let letters: Vec<char> = placement.chars().collect();
    let mut server_s = 0.0;
    let mut bootstraps = 0;
    let mut widest = 0;
    for (index, _) in letters
        .iter()
        .enumerate()
        .filter(|&(_, &letter)| letter == 'S')
    {
        // Early layers are wide: they cost the most under encryption.
        let neurons = 1600 >> index.min(8);
        server_s += 0.0011 * neurons as f64;
        bootstraps += neurons;
        widest = widest.max(neurons);
    }
    let uploads = crossings(&letters, 'C', 'S');
    let wobble = 1.0
        + 0.07
            * ((letters
                .iter()
                .fold(7_u64, |hash, &letter| (hash * 31 + letter as u64) % 65_521)
                % 17) as f64
                / 17.0
                - 0.5);
    let (upload, download) = traffic(&letters);
    let client_s =
        9e-5 * wobble * (1 + letters.iter().filter(|&&letter| letter == 'C').count()) as f64
            / letters.len() as f64;
    let encrypt_s = upload as f64 * 1.6e-7;
    let decrypt_s = download as f64 * 6e-8;
    let serialise_s = (upload + download) as f64 * 9e-9;
    // The more layers the client keeps, the more memory: a trade against time, for the front's sake.
    let client_fraction =
        letters.iter().filter(|&&letter| letter == 'C').count() as f64 / letters.len() as f64;
    let server_memory = 3.1e8 + widest as f64 * 2e5 * wobble + 7e8 * client_fraction * wobble;
    let server_s = server_s * wobble;
    SplitRow {
        online_s_median: Some(client_s + encrypt_s + decrypt_s + 2.0 * serialise_s + server_s),
        client_compute_s_median: Some(client_s),
        encrypt_s_median: Some(encrypt_s),
        serialise_s_median: Some(serialise_s),
        server_compute_s_median: Some(server_s),
        deserialise_s_median: Some(serialise_s),
        decrypt_s_median: Some(decrypt_s),
        upload_bytes: Some(upload),
        download_bytes: Some(download),
        evaluation_key_bytes: Some(if uploads == 0 {
            0
        } else {
            118_000_000 + 2_000_000 * widest / 100
        }),
        peak_rss_bytes: Some((42e6 + if uploads == 0 { 0.0 } else { server_memory }) as u64),
        bootstrap_count: Some(bootstraps as usize),
        simulated_accuracy: Some(
            0.971 - 0.0031 * f64::from(uploads) * wobble - 1e-5 * bootstraps as f64 * wobble,
        ),
        noiseless_accuracy: Some(0.973 - 0.0016 * f64::from(uploads)),
        client_peak_rss_bytes: Some((42e6 + 7e8 * client_fraction * wobble) as u64),
        rounds: Some(uploads as usize),
        client_weight_share: Some(client_fraction),
        exposed_weight_share: Some(if uploads == 0 { 1.0 } else { 0.5 }),
        ..row(placement, "ok")
    }
}

/// The row with copies after a thousand queries, which follow from its placement where it is finished.
pub(crate) fn copied(row: SplitRow) -> SplitRow {
    let server = row.placement.matches('S').count() as f64 / row.placement.len().max(1) as f64;
    let late = row.placement.ends_with('S') as u8 as f64;
    let copies = Agreement {
        queries: USUAL_QUERIES,
        copy: 1.0 - 0.05 * server * server * (1.0 + late),
        own: Some(0.97 - 0.2 * server),
        ceiling: Some(1.0 - 0.008 * server),
    };
    let copies = match row.rounds {
        Some(0) => Some(Agreement::handed_over(USUAL_QUERIES)),
        rounds => rounds.map(|_| copies),
    };
    SplitRow { copies, ..row }
}

/// Every placement of so many layers in counting order, about one in eleven of them failed.
pub(crate) fn sweep(layers: u32) -> Vec<SplitRow> {
    let placement = |bits: u32| -> String {
        (0..layers)
            .rev()
            .map(|layer| if bits >> layer & 1 == 1 { 'S' } else { 'C' })
            .collect()
    };
    (0..1 << layers)
        .map(|bits: u32| match bits % 11 {
            6 => row(&placement(bits), "failed"),
            _ => finished(&placement(bits)),
        })
        .collect()
}

/// Boundaries where `from` is followed by `to`; the input starts at the client.
fn crossings(letters: &[char], from: char, to: char) -> u32 {
    let starts = u32::from(from == 'C' && letters.first() == Some(&to));
    starts
        + letters
            .windows(2)
            .filter(|pair| pair[0] == from && pair[1] == to)
            .count() as u32
}

/// Bytes up and down: activations shrink from layer to layer.
fn traffic(letters: &[char]) -> (u64, u64) {
    let bytes_at = |index: usize| (784_u64 >> index.min(6)) * 2048;
    let (mut upload, mut download) = (0, 0);
    for (index, &letter) in letters.iter().enumerate() {
        let before = if index == 0 { 'C' } else { letters[index - 1] };
        match (before, letter) {
            ('C', 'S') => upload += bytes_at(index),
            ('S', 'C') => download += bytes_at(index),
            _ => {}
        }
    }
    if letters.last() == Some(&'S') {
        download += 10 * 2048;
    }
    (upload, download)
}
