//! Linear maps and largest elements whose windows a tensor lists one by one: whatever is no dense layer,
//! no convolution of images and no pool of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::built::{Built, Checked, MOST_ELEMENTS};
use super::linear::build_linear;
use crate::core::linear_map::{Block, LinearMap, PADDING};
use crate::core::shape::element_count;
use crate::model::format::RawLinear;
use crate::model::layer::{Geometry, MaxPool, Operation};
use crate::model::room::Room;
use crate::model::tensors::Tensors;

/// What `model.json` says of a map besides its tensors.
pub(super) struct RawMap<'a> {
    /// Names a tensor.
    pub blocks: &'a str,
    /// Of the output.
    pub shape: Vec<usize>,
    /// None of its numbers were trained.
    pub fixed: bool,
}

/// Builds a linear map of that many inputs, for which room is taken.
pub(super) fn build_map(
    raw: &RawLinear<'_>,
    map: RawMap<'_>,
    input_count: usize,
    tensors: &Tensors,
    room: &mut Room,
) -> Checked<Built> {
    let RawMap {
        blocks,
        shape,
        fixed,
    } = map;
    let (weights, _) = tensors.get(raw.weights, [None])?;
    let (records, _) = tensors.get(blocks, [None])?;
    let (bias, _) = tensors.get(raw.bias, [None])?;
    let output_count = take_outputs(&shape, room)?;
    let map = LinearMap {
        input_count,
        output_count,
        blocks: Reader {
            weights,
            channel_size: output_count / shape[0],
            shared: BTreeMap::new(),
            made: vec![false; output_count],
            input_count,
        }
        .blocks(records, room)?,
    };
    let parameter_count = if fixed { 0 } else { weights.len() + bias.len() };
    let linear = build_linear(map, Geometry::Other, shape[0], raw, tensors)?;
    Ok(Built {
        op: "linear",
        shape,
        parameter_count,
        operation: Operation::Linear(linear),
    })
}

/// Builds the largest elements of windows; `quantised` is as for a max pool.
pub(super) fn build_largest(
    windows: &str,
    shape: Vec<usize>,
    input_count: usize,
    quantised: bool,
    tensors: &Tensors,
    room: &mut Room,
) -> Checked<Built> {
    let output_count = take_outputs(&shape, room)?;
    if !quantised {
        return Err(
            "largest must follow an activation, which makes its input small integers: put an \
             activation before it, if need be the identity"
                .into(),
        );
    }
    let (mut records, _) = tensors.get(windows, [None])?;
    let mut found = Vec::new();
    while !records.is_empty() {
        let count = whole(take(&mut records, 1)?[0], records.len())?;
        *room = room.after_windows(1, count).ok_or_else(too_large)?;
        let window = take(&mut records, count)?.iter();
        let elements = window.map(|&element| Ok(below(element, input_count)? as u32));
        let elements: Vec<u32> = elements.collect::<Checked<_>>()?;
        if elements.is_empty() {
            return Err(format!("window {} holds nothing", found.len()));
        }
        found.push(elements);
    }
    if found.len() != output_count {
        return Err(format!(
            "{} windows for an output of {shape:?}",
            found.len()
        ));
    }
    Ok(Built {
        op: "max_pool",
        shape,
        parameter_count: 0,
        operation: Operation::MaxPool(MaxPool { windows: found }),
    })
}

/// Returns the number of elements of an output, and takes the room for them.
fn take_outputs(shape: &[usize], room: &mut Room) -> Checked<usize> {
    let count = element_count(shape).filter(|count| (1..=MOST_ELEMENTS).contains(count));
    let count =
        count.ok_or_else(|| format!("shape {shape:?} must hold 1 to {MOST_ELEMENTS} elements"))?;
    if shape.is_empty() {
        return Err("shape [] must have an axis".into());
    }
    *room = room.after_elements(count).ok_or_else(too_large)?;
    Ok(count)
}

fn too_large() -> String {
    "its windows are too large for the network's weights".into()
}

/// Reads blocks, each `[first weight, rows, columns, outputs.., inputs..]`, an input of -1 being a zero.
struct Reader<'a> {
    weights: &'a [f32],
    /// Elements of an output channel.
    channel_size: usize,
    /// By what must be the same: channels may differ in scale once they are integers, so those of
    /// different channels have weights of their own.
    shared: BTreeMap<(usize, usize, Vec<usize>), Arc<[f32]>>,
    /// Per output element.
    made: Vec<bool>,
    input_count: usize,
}

impl Reader<'_> {
    fn blocks(mut self, mut records: &[f32], room: &mut Room) -> Checked<Vec<Block<f32>>> {
        let mut blocks = Vec::new();
        while !records.is_empty() {
            let head = take(&mut records, 3)?;
            let first = whole(head[0], self.weights.len())?;
            let (rows, columns) = (
                whole(head[1], records.len())?,
                whole(head[2], records.len())?,
            );
            if rows == 0 || columns == 0 {
                return Err(format!("block {} has no rows or columns", blocks.len()));
            }
            let taken = room.after_windows(1, rows.saturating_add(columns));
            *room = taken.ok_or_else(too_large)?;
            let outputs = take(&mut records, rows)?.iter();
            let outputs = outputs.map(|&element| self.output(element));
            let outputs: Vec<u32> = outputs.collect::<Checked<_>>()?;
            let inputs = take(&mut records, columns)?.iter().map(|&element| {
                if element == -1.0 {
                    return Ok(PADDING);
                }
                Ok(below(element, self.input_count)? as u32)
            });
            let inputs: Vec<u32> = inputs.collect::<Checked<_>>()?;
            blocks.push(Block {
                weights: self.weights(first, &outputs, columns, room)?,
                inputs,
                outputs,
            });
        }
        match self.made.iter().position(|made| !made) {
            Some(element) => Err(format!("no block makes element {element}")),
            None => Ok(blocks),
        }
    }

    /// Returns an output that no block before has made.
    fn output(&mut self, element: f32) -> Checked<u32> {
        let index = below(element, self.made.len())?;
        if std::mem::replace(&mut self.made[index], true) {
            return Err(format!("two blocks make element {index}"));
        }
        Ok(index as u32)
    }

    /// Returns the weights of a block, which it shares with those before that have the same channels.
    fn weights(
        &mut self,
        first: usize,
        outputs: &[u32],
        columns: usize,
        room: &mut Room,
    ) -> Checked<Arc<[f32]>> {
        let channel = |&output: &u32| output as usize / self.channel_size;
        let key = (first, columns, outputs.iter().map(channel).collect());
        if let Some(known) = self.shared.get(&key) {
            return Ok(Arc::clone(known));
        }
        let end = outputs.len().checked_mul(columns);
        let end = end.and_then(|count| first.checked_add(count));
        let Some(weights) = end.and_then(|end| self.weights.get(first..end)) else {
            return Err(format!(
                "a block of {} by {columns} weights from {first} on, of {}",
                outputs.len(),
                self.weights.len()
            ));
        };
        let taken = room.after_windows(outputs.len(), columns);
        *room = taken.ok_or_else(too_large)?;
        let weights: Arc<[f32]> = weights.into();
        self.shared.insert(key, Arc::clone(&weights));
        Ok(weights)
    }
}

/// Takes so many numbers off the front.
fn take<'a>(records: &mut &'a [f32], count: usize) -> Checked<&'a [f32]> {
    let (front, rest) = records
        .split_at_checked(count)
        .ok_or("the list of windows ends inside one")?;
    *records = rest;
    Ok(front)
}

/// Returns a whole number from 0 to `most`.
fn whole(number: f32, most: usize) -> Checked<usize> {
    let is_whole = number >= 0.0 && number.fract() == 0.0 && number <= most as f32;
    if is_whole {
        Ok(number as usize)
    } else {
        Err(format!("{number} is no whole number from 0 to {most}"))
    }
}

/// Returns the index of an element, of so many.
fn below(number: f32, count: usize) -> Checked<usize> {
    whole(number, count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the blocks of a map of three inputs and two channels of two elements, with the weights
    /// 1 to 6.
    fn blocks(records: &[f32]) -> Checked<Vec<Block<f32>>> {
        Reader {
            weights: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            channel_size: 2,
            shared: BTreeMap::new(),
            made: vec![false; 4],
            input_count: 3,
        }
        .blocks(records, &mut Room::of(0))
    }

    #[test]
    fn blocks_of_the_same_channels_share_their_weights() {
        let records = [
            // The first and second element of both channels: 1, 2 and 3, 4 on two inputs.
            [0.0, 2.0, 2.0, 0.0, 2.0, 0.0, 1.0],
            [0.0, 2.0, 2.0, 1.0, 3.0, 2.0, -1.0],
        ];
        let blocks = blocks(records.as_flattened()).expect("a map");
        assert!(Arc::ptr_eq(&blocks[0].weights, &blocks[1].weights));
        let map = LinearMap {
            input_count: 3,
            output_count: 4,
            blocks,
        };
        assert_eq!(
            map.apply_to(&[1.0, 10.0, 100.0]),
            [21.0, 100.0, 43.0, 300.0]
        );
    }

    #[test]
    fn blocks_of_other_channels_have_weights_of_their_own() {
        let each = |output: f32| [0.0, 1.0, 1.0, output, 0.0];
        let blocks = blocks([0.0, 1.0, 2.0, 3.0].map(each).as_flattened()).expect("a map");
        assert!(Arc::ptr_eq(&blocks[0].weights, &blocks[1].weights));
        assert!(!Arc::ptr_eq(&blocks[1].weights, &blocks[2].weights));
    }

    #[test]
    fn what_is_no_map_is_named() {
        let whole = [0.0, 4.0, 1.0, 0.0, 1.0, 2.0, 3.0, 0.0];
        assert!(blocks(&whole).is_ok());
        let changed = |place: usize, number: f32| {
            let mut records = whole;
            records[place] = number;
            blocks(&records).expect_err("refused")
        };
        for (place, number, words) in [
            (0, 5.0, "4 by 1 weights from 5"),
            (0, 0.5, "0.5 is no whole number"),
            (1, 0.0, "no rows"),
            (1, 3.0, "is no whole number"),
            (2, 9.0, "9 is no whole number"),
            (3, 1.0, "two blocks make element 1"),
            (3, 4.0, "4 is no whole number from 0 to 3"),
            (7, 3.0, "3 is no whole number from 0 to 2"),
            (7, -2.0, "-2 is no whole number"),
        ] {
            let refusal = changed(place, number);
            assert!(refusal.contains(words), "{place} {number}: {refusal}");
        }
        assert!(blocks(&whole[..7]).is_err());
        assert!(blocks(&[0.0, 1.0, 1.0, 0.0, 0.0]).is_err());
    }
}
