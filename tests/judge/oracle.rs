//! The front once more, pair by pair from its definition.

use splitbench::choose::scenario::Scenario;
use splitbench::record::row::SplitRow;

/// Returns the placements that no other dominates, as measured, in the order of the table.
pub fn front(rows: &[SplitRow]) -> Vec<String> {
    let mut compared = Vec::new();
    for row in rows {
        let least = row.exposed_weight_share_least.or(row.client_weight_share);
        let whole = least.filter(|least| *least == 1.0);
        let exposure = row.exposed_weight_share.or(whole);
        let counts = row.status == "ok" && exposure != Some(1.0);
        let cost = Scenario::default().of_row(row).filter(|_| counts);
        compared.extend(cost.map(|cost| (row, cost)));
    }
    let memory = |row: &SplitRow| row.client_peak_rss_bytes.map(|bytes| bytes as f64);
    let memory_decides = compared.iter().any(|(row, _)| memory(row).is_some());
    let figures = compared.iter().map(|(row, cost)| {
        let mut figures = vec![
            Some(cost.time_s),
            Some(cost.bytes),
            row.exposed_weight_share,
        ];
        figures.extend(memory_decides.then(|| memory(row)));
        (row.placement.clone(), figures)
    });
    let figures: Vec<(String, Vec<Option<f64>>)> = figures.collect();
    let dominates = |left: &[Option<f64>], right: &[Option<f64>]| {
        let pairs: Option<Vec<(f64, f64)>> = left
            .iter()
            .zip(right)
            .map(|(l, r)| Some(((*l)?, (*r)?)))
            .collect();
        pairs.is_some_and(|pairs| {
            pairs.iter().all(|(l, r)| l <= r) && pairs.iter().any(|(l, r)| l < r)
        })
    };
    let mut front = Vec::new();
    for (placement, own) in &figures {
        if !figures.iter().any(|(_, other)| dominates(other, own)) {
            front.push(placement.clone());
        }
    }
    front
}
