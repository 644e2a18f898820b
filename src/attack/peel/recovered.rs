//! The integers that units stand for, and how many of them are the server's.

use std::collections::{BTreeMap, BTreeSet};

use super::sign::Signs;
use super::turn::Unit;
use crate::attack::plan::{Query, first_of_shared};
use crate::attack::staircase::Staircases;
use crate::core::linear_map::PADDING;

/// What was found, unit by unit.
pub struct Recovered {
    /// By how much each query of the plan moves the unit: the weight on what it raises.
    shifts: Vec<Vec<i64>>,
    /// What each answer adds of it.
    columns: Vec<Vec<i64>>,
}

impl Recovered {
    /// Returns the integers of units with those shifts, `[units, queries]`, and signs.
    pub fn new(units: &[Unit], shifts: &[Vec<i64>], signs: &[Signs]) -> Self {
        let columns = units.iter().zip(signs).map(|(unit, signs)| {
            let signed = unit.column.iter().map(|weight| signs.column * weight);
            signed.map(|weight| weight.round() as i64).collect()
        });
        let shifts = shifts.iter().zip(signs);
        Self {
            columns: columns.collect(),
            shifts: shifts
                .map(|(shifts, signs)| shifts.iter().map(|shift| signs.row * shift).collect())
                .collect(),
        }
    }

    /// Returns the fraction of the weights that are the server's, of those that an answer depends on, up
    /// to the order of hidden units.
    pub fn fraction(&self, target: &Staircases<'_>, plan: &[Query]) -> f64 {
        let (rows, columns) = (target.rows(), target.columns());
        let moves = |row: &Vec<i64>| -> Vec<i64> {
            let of = |query: &Query| query.raised.iter().map(|&input| row[input as usize]).sum();
            plan.iter().map(of).collect()
        };
        let moves: Vec<Vec<i64>> = rows.iter().map(moves).collect();
        let places = self.places(&moves, &columns);
        let is_live = |hidden: usize| columns[hidden].iter().any(|weight| *weight != 0);
        let (mut right, mut all) = self.rows_found(target, plan, &places, &is_live);
        let second = self.columns_found(target, &places, is_live);
        right += second.0;
        all += second.1;
        right as f64 / f64::max(all as f64, 1.0)
    }

    /// Returns which unit is most like each hidden one, the likest first, each unit once.
    fn places(&self, moves: &[Vec<i64>], columns: &[Vec<i64>]) -> Vec<Option<usize>> {
        let mut pairs = Vec::new();
        for (hidden, (moves, column)) in moves.iter().zip(columns).enumerate() {
            for unit in 0..self.columns.len() {
                let alike = equal(&self.shifts[unit], moves) + equal(&self.columns[unit], column);
                pairs.push((std::cmp::Reverse(alike), hidden, unit));
            }
        }
        pairs.sort_unstable();
        let mut places = vec![None; columns.len()];
        let mut used = vec![false; self.columns.len()];
        for (_, hidden, unit) in pairs {
            if places[hidden].is_none() && !used[unit] {
                places[hidden] = Some(unit);
                used[unit] = true;
            }
        }
        places
    }

    /// Returns how many weights of the second map are found at most positions that share them, and how many
    /// there are.
    fn columns_found(
        &self,
        target: &Staircases<'_>,
        places: &[Option<usize>],
        is_live: impl Fn(usize) -> bool,
    ) -> (usize, usize) {
        let blocks = &target.second.blocks;
        let mut votes: BTreeMap<(usize, usize, usize), (usize, usize)> = BTreeMap::new();
        for (block, first) in blocks.iter().zip(first_of_shared(blocks)) {
            let rows = block.weights.chunks_exact(block.inputs.len());
            for (row, (&output, weights)) in block.outputs.iter().zip(rows).enumerate() {
                let taps = block.inputs.iter().zip(weights).enumerate();
                for (tap, (&input, &weight)) in taps {
                    if input == PADDING || !is_live(input as usize) {
                        continue;
                    }
                    let unit = places[input as usize];
                    let found = unit.map(|unit| self.columns[unit][output as usize]);
                    let (right, all) = votes.entry((first, row, tap)).or_default();
                    *right += usize::from(found == Some(weight as i64));
                    *all += 1;
                }
            }
        }
        let right = votes.values().filter(|(right, all)| 2 * right > *all);
        (right.count(), votes.len())
    }

    /// Returns how many weights of the first map are found, and how many there are, each counted once
    /// where positions share it.
    fn rows_found(
        &self,
        target: &Staircases<'_>,
        plan: &[Query],
        places: &[Option<usize>],
        is_live: &impl Fn(usize) -> bool,
    ) -> (usize, usize) {
        let blocks = &target.first.blocks;
        let first = first_of_shared(blocks);
        let mut votes: BTreeMap<(usize, usize, usize), BTreeMap<i64, usize>> = BTreeMap::new();
        for (index, query) in plan.iter().enumerate() {
            for shown in &query.shown {
                for (row, &output) in blocks[shown.block].outputs.iter().enumerate() {
                    let unit = places[output as usize];
                    // There are shifts of so many queries as there was time for.
                    let shift = unit.and_then(|unit| self.shifts[unit].get(index));
                    if let Some(&shift) = shift {
                        let of = votes
                            .entry((first[shown.block], row, shown.tap))
                            .or_default();
                        *of.entry(shift).or_default() += 1;
                    }
                }
            }
        }
        let mut counted = BTreeSet::new();
        let (mut right, mut all) = (0, 0);
        for (block, &first) in blocks.iter().zip(&first) {
            let depth = block.inputs.len();
            for (row, &output) in block.outputs.iter().enumerate() {
                let taps = block.inputs.iter().enumerate();
                let taps = taps.filter(|(_, input)| **input != PADDING && is_live(output as usize));
                for (tap, _) in taps.filter(|(tap, _)| counted.insert((first, row, *tap))) {
                    let votes = votes.get(&(first, row, tap));
                    let found = votes.and_then(|of| of.iter().max_by_key(|(_, count)| **count));
                    let truth = block.weights[row * depth + tap] as i64;
                    all += 1;
                    right += usize::from(found.is_some_and(|(weight, _)| *weight == truth));
                }
            }
        }
        (right, all)
    }
}

fn equal(left: &[i64], right: &[i64]) -> usize {
    left.iter()
        .zip(right)
        .filter(|(left, right)| left == right)
        .count()
}
