//! Which of up to four units that give the same answers is the server's: ordinary inputs lie in the range that
//! its table was calibrated for.
//!
//! A table reads half a turn further negated: a column and an offset, both turned round, change nothing.
//! Most tables are symmetric too, or nearly: walked through backwards, from the mirrored offset, they give
//! the same.

use std::f64::consts::PI;

use super::turn::{Curve, Unit};
use crate::circuit::program::LookUpStep;
use crate::core::torus::TURN;

/// The signs of a unit's weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signs {
    pub row: i64,
    pub column: f64,
}

/// What a unit may be, the likeliest first.
const ALTERNATIVES: [Signs; 4] = [
    Signs {
        row: 1,
        column: 1.0,
    },
    Signs {
        row: 1,
        column: -1.0,
    },
    Signs {
        row: -1,
        column: 1.0,
    },
    Signs {
        row: -1,
        column: -1.0,
    },
];

/// Returns the signs with which most of the `offsets`, where a unit stands on ordinary inputs, lie in the
/// range of its table, and whether no others do as well; where harmonics tell a table from its mirror image, they
/// have decided between those.
pub fn signs(
    unit: &Unit,
    offsets: &[f64],
    look_up: &LookUpStep,
    curve: &Curve,
    tells_mirrors: bool,
) -> (Signs, bool) {
    let table = &look_up.tables[unit.table];
    let turns = |integer: i64| integer as f64 * look_up.unit as f64 / TURN;
    let (low, high) = (turns(table.range.0), turns(table.range.1));
    let middle = table.offset as f64 / TURN + (low + high) / 2.0;
    let inside = |signs: Signs| {
        let offset = |&offset: &f64| {
            // The fundamental is the same for an offset and for its mirror image walked through backwards.
            let walked = if signs.row > 0 {
                offset
            } else {
                -offset - curve.fundamental.arg() / PI
            };
            walked + if signs.column > 0.0 { 0.0 } else { 0.5 }
        };
        let beside = offsets.iter().map(offset).map(|offset| offset - middle);
        beside
            .filter(|beside| (beside - beside.round()).abs() <= (high - low) / 2.0)
            .count()
    };
    let possible = |signs: Signs| signs.row > 0 || !tells_mirrors;
    let counts = ALTERNATIVES.map(|signs| if possible(signs) { inside(signs) } else { 0 });
    let most = counts.into_iter().max().unwrap_or(0);
    let mut best = (0..ALTERNATIVES.len()).filter(|&index| counts[index] == most);
    let first = best.next().unwrap_or(0);
    (ALTERNATIVES[first], best.next().is_none())
}
