//! Who reads the slots of an analysed segment.

use crate::circuit::analysis::Analysis;

/// Returns how many steps and downloads read a slot.
pub(super) fn reader_count(analysis: &Analysis, slot: usize) -> usize {
    let steps = analysis.steps.iter().flat_map(|step| &step.inputs);
    let downloads = analysis.downloads.iter().map(|download| &download.slot);
    steps.chain(downloads).filter(|read| **read == slot).count()
}

/// Returns the slots that a step reads and nothing after it does.
pub(super) fn last_reads(analysis: &Analysis, step: usize) -> Vec<usize> {
    let mut slots = analysis.steps[step].inputs.clone();
    slots.retain(|&slot| !analysis.is_read_after(slot, step));
    slots.dedup();
    slots
}
