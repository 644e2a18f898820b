//! What a split's row says of failures: computed, and seen in simulated inferences.

use crate::record::finished::Finished;
use crate::record::row::SplitRow;

/// Returns a split's row with what is known of its failures.
pub(super) fn with_failures(row: SplitRow, finished: Option<&Finished>) -> SplitRow {
    let Some(finished) = finished else {
        return row;
    };
    let seen = finished.noisy_reads;
    // A log without reads says nothing against the formula.
    let reads = seen.unwrap_or_default();
    let inference = finished.log2_p_fail.map(|log2| reads.of_inference(log2));
    let look_up = finished
        .log2_p_fail_lookup
        .map(|log2| reads.of_look_up(log2).log2_p);
    SplitRow {
        simulated_inferences: seen.map(|seen| seen.inferences),
        simulated_reads: seen.map(|seen| seen.reads.count),
        out_of_range_count: seen.map(|seen| seen.reads.out_of_range),
        log2_out_of_range_high: seen.and_then(|seen| seen.log2_out_of_range_high()),
        misread_count: seen.map(|seen| seen.reads.misread),
        misread_inferences: seen.map(|seen| seen.misread_inferences),
        log2_misread_high: seen.and_then(|seen| seen.log2_misread_high()),
        log2_p_fail: inference.map(|failure| failure.log2_p),
        log2_p_fail_is: inference.map_or(String::new(), |failure| failure.word().into()),
        log2_p_fail_lookup: look_up,
        meets_log2_p_fail_128: look_up.map(|log2| log2 <= -128.0),
        ..row
    }
}
