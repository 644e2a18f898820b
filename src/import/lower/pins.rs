//! Which steps only the client runs, and an order in which they lie together: what has no encrypted form, and
//! what only moves elements next to it.

use super::draft::{Diagonal, NetworkDraft, Stage, Step};
use crate::import::network::Operation;

/// Marks the steps that the client alone runs: those without an encrypted form, and what only scales and
/// shifts elements between them, which on a server would cost two crossings and the precision of whatever
/// it adds, a mask say.
pub fn mark(draft: &mut NetworkDraft) {
    for step in &mut draft.steps {
        step.is_pinned |= matches!(step.stage, Stage::Operation(Operation::Pinned(_)));
    }
    let passes =
        |step: &Step| is_move(step) || matches!(step.stage, Stage::Diagonal(_) | Stage::Pick(_));
    let count = draft.steps.len();
    let mut is_behind = vec![false; count + 1];
    for (index, step) in draft.steps.iter().enumerate() {
        is_behind[index + 1] = step.is_pinned || passes(step) && is_behind[step.inputs[0]];
    }
    let readers = draft.readers();
    let mut is_before = vec![false; count + 1];
    for index in (0..count).rev() {
        let reads = |&reader: &usize| {
            let step = &draft.steps[reader];
            step.is_pinned || passes(step) && is_before[reader + 1]
        };
        let read = &readers[index + 1];
        is_before[index + 1] = !read.is_empty() && read.iter().all(reads);
    }
    for (index, step) in draft.steps.iter_mut().enumerate() {
        let (behind, before) = (is_behind[step.inputs[0]], is_before[index + 1]);
        step.is_pinned |= match &step.stage {
            Stage::Diagonal(diagonal) if is_one_scale(diagonal) => behind || before,
            Stage::Diagonal(_) => behind && before,
            Stage::Pick(_) | Stage::Operation(_) => false,
        };
    }
}

/// Returns whether all elements are multiplied by the same number, and nothing is added.
fn is_one_scale(diagonal: &Diagonal) -> bool {
    let first = diagonal.scale.first();
    diagonal.scale.iter().all(|scale| Some(scale) == first)
        && diagonal.offset.iter().all(|offset| *offset == 0.0)
}

/// Marks what only moves elements next to steps that are marked, and orders all so that as few runs of
/// marked ones as possible lie between the others; without any, nothing changes.
pub fn settle(draft: &mut NetworkDraft) {
    if !draft.steps.iter().any(|step| step.is_pinned) {
        return;
    }
    pin_moves(draft);
    let order = order(&draft.steps);
    let mut places = vec![0; draft.steps.len() + 1];
    for (place, &index) in order.iter().enumerate() {
        places[index + 1] = place + 1;
    }
    let mut steps: Vec<Option<Step>> = std::mem::take(&mut draft.steps)
        .into_iter()
        .map(Some)
        .collect();
    for index in order {
        if let Some(mut step) = steps[index].take() {
            step.inputs
                .iter_mut()
                .for_each(|input| *input = places[*input]);
            draft.steps.push(step);
        }
    }
}

/// Marks the moves of elements that read what a marked step makes, or that marked steps alone read.
fn pin_moves(draft: &mut NetworkDraft) {
    let readers = draft.readers();
    let is_pinned = |steps: &[Step], value: usize| value > 0 && steps[value - 1].is_pinned;
    for index in 0..draft.steps.len() {
        let source = draft.steps[index].inputs[0];
        draft.steps[index].is_pinned |=
            is_move(&draft.steps[index]) && is_pinned(&draft.steps, source);
    }
    for index in (0..draft.steps.len()).rev() {
        let read = &readers[index + 1];
        let by_pinned =
            !read.is_empty() && read.iter().all(|&reader| draft.steps[reader].is_pinned);
        draft.steps[index].is_pinned |= is_move(&draft.steps[index]) && by_pinned;
    }
}

/// Returns whether a step moves elements and nothing else.
fn is_move(step: &Step) -> bool {
    let Stage::Operation(operation) = &step.stage else {
        return false;
    };
    matches!(
        operation,
        Operation::Linear { fixed: true, .. } | Operation::Flatten | Operation::Reshape
    )
}

/// Returns the steps in an order in which each follows what it reads: all that the server may run as
/// soon as it can be, then all others that can be, and so on.
fn order(steps: &[Step]) -> Vec<usize> {
    let mut order = Vec::with_capacity(steps.len());
    let mut is_made = vec![false; steps.len() + 1];
    is_made[0] = true;
    while order.len() < steps.len() {
        for is_pinned in [false, true] {
            for (index, step) in steps.iter().enumerate() {
                let is_ready = step.inputs.iter().all(|&input| is_made[input]);
                if step.is_pinned == is_pinned && is_ready && !is_made[index + 1] {
                    is_made[index + 1] = true;
                    order.push(index);
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::lower::fixture::{dense, draft, step};
    use ndarray::array;

    fn layer() -> Operation {
        dense(array![[1.0]], array![0.0])
    }

    fn moved() -> Operation {
        Operation::Linear {
            map: crate::import::lower::maps::selection(&[0], 1),
            bias: vec![0.0],
            fixed: true,
        }
    }

    fn pinned(inputs: &[usize]) -> Step {
        let mut step = step(inputs, &[1], layer());
        step.is_pinned = true;
        step
    }

    #[test]
    fn what_is_pinned_lies_together_behind_all_that_can_run_before() {
        // Queries and keys, each moved for an operator that reads both.
        let steps = vec![
            step(&[0], &[1], layer()),
            step(&[1], &[1], moved()),
            step(&[0], &[1], layer()),
            step(&[3], &[1], moved()),
            pinned(&[2, 4]),
            step(&[5], &[1], moved()),
            step(&[6], &[1], layer()),
        ];
        let mut draft = draft(&[1], steps);
        settle(&mut draft);
        let pins: Vec<bool> = draft.steps.iter().map(|step| step.is_pinned).collect();
        assert_eq!(pins, [false, false, true, true, true, true, false]);
        let inputs: Vec<Vec<usize>> = draft.steps.iter().map(|step| step.inputs.clone()).collect();
        let expected = [
            vec![0],
            vec![0],
            vec![1],
            vec![2],
            vec![3, 4],
            vec![5],
            vec![6],
        ];
        assert_eq!(inputs, expected);
    }

    #[test]
    fn a_network_without_pins_keeps_its_order() {
        let steps = vec![step(&[0], &[1], layer()), step(&[1], &[1], moved())];
        let mut draft = draft(&[1], steps);
        settle(&mut draft);
        assert!(draft.steps.iter().all(|step| !step.is_pinned));
    }
}
