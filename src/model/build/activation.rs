//! Activations: functions that are checked, and the integers that they are rounded to.

use super::built::{Built, Checked, MOST_BITS};
use super::float32::is_positive_f32;
use crate::model::format::RawQuantisation;
use crate::model::layer::{Activation, Function, Operation};
use crate::model::quantise::QuantParams;

/// Builds an activation.
pub(super) fn build_activation(
    function: Function,
    output: RawQuantisation,
    shape: &[usize],
) -> Checked<Built> {
    function.check()?;
    let RawQuantisation { scale, low, high } = output;
    let levels = 1i64 << MOST_BITS;
    let in_reach = |end: i64| (-levels..=levels).contains(&end);
    let fits = in_reach(low) && in_reach(high) && low < high && high - low < levels;
    if !(fits && is_positive_f32(scale)) {
        return Err(format!(
            "output must have integers low < high at most {levels} apart and a positive float32 \
             scale, not {low}..={high} and {scale}"
        ));
    }
    Ok(Built {
        op: function.name(),
        shape: shape.to_vec(),
        parameter_count: 0,
        operation: Operation::Activation(Activation {
            function,
            output: QuantParams { scale, low, high },
        }),
    })
}
