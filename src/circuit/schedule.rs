//! A segment's steps in order, and until which of them each value is kept.
//!
//! Steps are straight-line code with *slots* for registers: slot i is upload i, and slot
//! `uploads + i` the output of step i. Nothing here asks what a value is: ciphertexts, integers, or
//! no more than their bytes.

use std::collections::BTreeSet;

use crate::model::NodeId;

/// A step of a segment; what it does is an `A`.
#[derive(Debug, Clone)]
pub struct Step<A> {
    pub node: NodeId,
    /// Linear nodes before it that are composed into its weights.
    pub composed: Vec<NodeId>,
    /// Slots that it reads: one for each term, or that of the look-up.
    pub inputs: Vec<usize>,
    /// Those of them that no later step and no download reads.
    pub last_reads: Vec<usize>,
    pub action: A,
}

impl<A> Step<A> {
    /// Returns a step in the same place that does something else.
    pub fn with_action<B>(&self, action: B) -> Step<B> {
        Step {
            node: self.node,
            composed: self.composed.clone(),
            inputs: self.inputs.clone(),
            last_reads: self.last_reads.clone(),
            action,
        }
    }
}

/// Returns for each step the slots that it is the last to read, from what all steps read; downloads
/// are read behind the last.
pub fn last_reads<'a>(
    inputs: impl DoubleEndedIterator<Item = &'a Vec<usize>>,
    downloads: impl Iterator<Item = usize>,
) -> Vec<Vec<usize>> {
    let mut read_later: BTreeSet<usize> = downloads.collect();
    let mut last_reads: Vec<Vec<usize>> = inputs
        .rev()
        .map(|slots| {
            let slots = slots.iter().copied();
            slots.filter(|&slot| read_later.insert(slot)).collect()
        })
        .collect();
    last_reads.reverse();
    last_reads
}

/// The values of a segment while its steps run, by slot, each kept as long as something reads it.
pub struct LiveValues<V>(Vec<Option<V>>);

impl<V> LiveValues<V> {
    /// Returns the values before the first step.
    pub fn of_uploads(uploads: impl IntoIterator<Item = V>) -> Self {
        Self(uploads.into_iter().map(Some).collect())
    }

    /// Returns a value.
    ///
    /// # Panics
    ///
    /// Panics where it is not there yet, or no longer.
    pub fn get(&self, slot: usize) -> &V {
        let Some(value) = &self.0[slot] else {
            panic!("nothing is left in slot {slot}");
        };
        value
    }

    /// Returns the values that a step reads.
    ///
    /// # Panics
    ///
    /// As [`Self::get`].
    pub fn read_by<A>(&self, step: &Step<A>) -> Vec<&V> {
        step.inputs.iter().map(|&slot| self.get(slot)).collect()
    }

    /// Takes a value out.
    ///
    /// # Panics
    ///
    /// As [`Self::get`].
    pub fn take(&mut self, slot: usize) -> V {
        let Some(value) = self.0[slot].take() else {
            panic!("nothing is left in slot {slot}");
        };
        value
    }

    /// Puts a value in a slot that has or had one.
    pub fn put(&mut self, slot: usize, value: V) {
        self.0[slot] = Some(value);
    }

    /// Adds the output of the next step, and drops what nothing reads any more.
    pub fn end_step<A>(&mut self, step: &Step<A>, output: V) {
        self.0.push(Some(output));
        for &slot in &step.last_reads {
            self.0[slot] = None;
        }
    }

    /// Returns the values that are there, with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &V)> {
        let slots = self.0.iter().enumerate();
        slots.filter_map(|(slot, value)| Some((slot, value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns steps that do nothing, from the slots that they read and the downloads.
    fn steps(inputs: &[Vec<usize>], downloads: &[usize]) -> Vec<Step<()>> {
        let last_reads = last_reads(inputs.iter(), downloads.iter().copied());
        let steps = inputs.iter().zip(last_reads).enumerate();
        let step = |(node, (inputs, last_reads)): (usize, (&Vec<usize>, _))| Step {
            node: NodeId::new(node),
            composed: Vec::new(),
            inputs: inputs.clone(),
            last_reads,
            action: (),
        };
        steps.map(step).collect()
    }

    #[test]
    fn a_slot_is_read_until_its_last_reader_and_a_download_reads_to_the_end() {
        let inputs = [vec![0], vec![1], vec![1, 2, 1]];
        let last_reads = |downloads: &[usize]| -> Vec<Vec<usize>> {
            let steps = steps(&inputs, downloads).into_iter();
            steps.map(|step| step.last_reads).collect()
        };
        assert_eq!(last_reads(&[3]), [vec![0], vec![], vec![1, 2]]);
        assert_eq!(last_reads(&[1, 3]), [vec![0], vec![], vec![2]]);
    }

    #[test]
    fn values_are_there_until_they_were_read_last() {
        let steps = steps(&[vec![0, 1], vec![0]], &[2, 3]);
        let mut values = LiveValues::of_uploads(["a", "b"]);
        assert_eq!(values.read_by(&steps[0]), [&"a", &"b"]);
        values.end_step(&steps[0], "c");
        let there = |values: &LiveValues<&'static str>| -> Vec<(usize, &str)> {
            values.iter().map(|(slot, value)| (slot, *value)).collect()
        };
        assert_eq!(there(&values), [(0, "a"), (2, "c")]);
        let taken = values.take(0);
        values.end_step(&steps[1], taken);
        assert_eq!(there(&values), [(2, "c"), (3, "a")]);
        values.put(2, "d");
        assert_eq!(*values.get(2), "d");
    }
}
