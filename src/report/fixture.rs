//! Results folders of every size for the tests of the report, deterministic.

use std::path::Path;

use serde_json::json;

use super::contents::Contents;
use crate::record::results;
use crate::record::row::{LayerRow, SplitRow};
use crate::report::plot::fixture::sweep;

/// Returns what the sweep of a network with so many layers leaves: figures that follow from the
/// placements, and some splits that failed.
pub(crate) fn contents(layers: u32) -> Contents {
    let mut splits = sweep(layers);
    splits.iter_mut().for_each(complete);
    let ran = |row: &&SplitRow| row.online_s_median.is_some();
    let layers = splits.iter().filter(ran).flat_map(layer_rows).collect();
    Contents {
        splits,
        layers,
        environment: json!({
            "settings": { "images": 1, "repeats": 3, "placements": ["CS", "SS"] },
            "environments": [{
                "digest": "0123456789ab",
                "splitbench_version": "0.1.0",
                "commit": "0123456789abcdef0123456789abcdef01234567",
                "dirty": false,
                "command": "splitbench sweep --repeats 3",
                "machine": { "cpu": "AMD EPYC", "cores": 2, "threads_used": 2,
                    "memory_bytes": 25_276_510_208_u64, "os": "Linux" },
                "security_bits": 132,
            }],
        }),
    }
}

/// Writes the tables of a results folder, and no description.
pub(crate) fn write_tables(contents: &Contents, folder: &Path) {
    let tables = results::Tables {
        splits: contents.splits.clone(),
        layers: contents.layers.clone(),
        ..results::Tables::default()
    };
    tables.write(folder).expect("a folder to write to");
}

/// Adds what the charts of the fixture have no need for.
fn complete(row: &mut SplitRow) {
    row.host = Some("AMD EPYC, 2 threads".into());
    row.images = 1;
    row.repeats = 3;
    let parties: Vec<char> = row.placement.chars().collect();
    let weight = |index: usize| 900 >> index.min(6);
    let total: usize = (0..parties.len()).map(weight).sum();
    let client = (0..parties.len()).filter(|&index| parties[index] == 'C');
    let fraction = client.clone().map(weight).sum::<usize>() as f64 / total as f64;
    row.client_weight_share = Some(fraction);
    row.exposed_weight_share = Some(fraction);
    let Some(online_s) = row.online_s_median else {
        row.reason = Some("the worker was killed by signal 9".into());
        return;
    };
    row.online_s_min = Some(0.97 * online_s);
    row.online_s_max = Some(1.08 * online_s);
    row.online_s_n = Some(3);
    let rounds = row
        .placement
        .split('C')
        .filter(|run| !run.is_empty())
        .count();
    row.rounds = Some(rounds);
    row.client_peak_rss_bytes = Some(7_000_000 + 3_000_000 * client.count() as u64);
    row.server_peak_rss_bytes = row.peak_rss_bytes.filter(|_| rounds > 0);
    row.log2_p_fail = (rounds > 0).then_some(-61.25);
    row.security_bits = (rounds > 0).then_some(132);
}

fn layer_rows(row: &SplitRow) -> impl Iterator<Item = LayerRow> {
    let on_server = row
        .placement
        .char_indices()
        .filter(|&(_, letter)| letter == 'S');
    on_server.map(|(index, _)| LayerRow {
        model: row.model.clone(),
        placement: row.placement.clone(),
        layer_index: index,
        layer: format!("layer{index}"),
        op: ["conv2d", "relu"][index % 2].into(),
        bootstrap_count: index % 2 * 64,
        server_compute_s_median: 0.01 * (index % 2) as f64 + 1e-4,
        n: 3,
        ..LayerRow::default()
    })
}
