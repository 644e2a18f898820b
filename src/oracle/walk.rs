//! A placement in the clear, segment by segment and over many images at once: the client's layers in
//! floats, the server's segments by whatever serves them.

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::core::linear_map::Row;
use crate::core::placement::{Party, Placement, SegmentIndex};
use crate::model::quantise::Quantisation;
use crate::model::values::{Values, Wiring};
use crate::model::{Model, NodeId, ValueId};

/// What a server segment returns to the client: values, each `[elements, images]`.
pub type Served = Vec<(ValueId, Vec<Row<f32>>)>;

/// Serves the server segment of an index from the values that the client has, or ends the walk.
pub type Serve<'a> = dyn FnMut(SegmentIndex, &Values) -> ControlFlow<(), Served> + 'a;

/// Runs float inputs, `[elements, images]`, through a placement, and returns its outputs,
/// `[outputs, images]`; none where `serve` ended the walk.
pub fn walk(
    model: &Model,
    placement: &Placement,
    input: Vec<Row<f32>>,
    serve: &mut Serve<'_>,
) -> Option<Vec<Row<f32>>> {
    let wiring = Wiring::of(model);
    let mut values = Values::default();
    values.insert(ValueId::INPUT, input);
    let mut server_segments = 0;
    for segment in placement.segments() {
        let nodes = model.nodes_of(&segment);
        match segment.party {
            Party::Client => {
                for id in NodeId::all(nodes.clone()) {
                    let node = model.node(id);
                    let value = node.operation.run_float(&values.of(&node.inputs));
                    values.insert(id.value(), value);
                    values.forget(&wiring, id.index() + 1);
                }
            }
            Party::Server => {
                let index = SegmentIndex::new(server_segments);
                server_segments += 1;
                let ControlFlow::Continue(served) = serve(index, &values) else {
                    return None;
                };
                for (value, rows) in served {
                    values.insert(value, rows);
                }
            }
        }
        values.forget(&wiring, nodes.end);
    }
    Some(values.into_output(&wiring))
}

/// Returns the integers that the client uploads for a value, `[elements, images]`.
pub fn quantised(quantisation: &Quantisation, rows: &[Row<f32>]) -> Vec<Row<u64>> {
    let rows = rows.par_iter().enumerate();
    rows.map(|(element, row)| -> Row<u64> {
        let integer = |&real| quantisation.quantise(element, f64::from(real)) as u64;
        row.iter().map(integer).collect()
    })
    .collect()
}

/// Returns what integers `[elements, images]` stand for, `scales` having one scale for each element.
pub fn real(rows: &[Row<u64>], scales: &[f64]) -> Vec<Row<f32>> {
    let rows = rows.iter().zip(scales);
    rows.map(|(row, scale)| -> Row<f32> {
        let real = |&integer| (integer as i64 as f64 * scale) as f32;
        row.iter().map(real).collect()
    })
    .collect()
}
