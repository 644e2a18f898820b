//! The figures in the page that the script draws from.

use serde_json::{Value, json};

use super::contents::Contents;
use super::plot::hosts;
use crate::choose::dominance::{self, Dominance, dominances};
use crate::core::link::Link;
use crate::model::outline::LayerOutline;
use crate::record::columns::{Column, cells, columns, copy_columns};
use crate::record::copy::WHOLE_MODEL;
use crate::record::row::{LayerRow, SplitRow, queries_of_copies};

/// Returns all figures of a report.
///
/// Rows are lists in the order of `columns`. `dominated_by` holds for each row the index of a split
/// that dominates it, -1 where none does, -2 where it gives the whole model away and is there for
/// comparison, and null where it is not compared. `copies` and the columns of copies are there where any
/// are known.
pub(crate) fn figures(contents: &Contents) -> Value {
    let Contents { splits, layers, .. } = contents;
    let queries = queries_of_copies(splits);
    let mut columns: Vec<Column> = columns();
    columns.extend(queries.into_iter().flat_map(copy_columns));
    let rows: Vec<Vec<Value>> = splits.iter().map(|row| cells(row, &columns)).collect();
    let dominated_by = dominances(splits)
        .into_iter()
        .map(|dominance| match dominance {
            Dominance::Front => json!(-1),
            Dominance::GivesAllAway => json!(-2),
            Dominance::DominatedBy(other) => json!(other),
            Dominance::NotCompared => Value::Null,
        });
    let mut figures = json!({
        "model": splits.first().map(|row| row.model.as_str()),
        "model_folder": contents.environment["settings"]["model"],
        "hosts": hosts(splits),
        "columns": columns,
        "rows": rows,
        "dominated_by": dominated_by.collect::<Value>(),
        "objectives": dominance::criteria(splits),
        "layers": layer_outlines(contents),
        "layer_times": layer_times(splits, layers),
        "networks": Link::profiles().iter().map(network).collect::<Value>(),
    });
    if let Some(queries) = queries {
        figures["copies"] = json!({ "queries": queries, "whole_model": WHOLE_MODEL });
    }
    figures
}

/// Returns what is known of each layer: all that `environment.json` tells; else name, operation
/// and bootstraps from `layers.csv`, and null where no split ran the layer on the server.
fn layer_outlines(contents: &Contents) -> Value {
    let count = contents
        .splits
        .iter()
        .map(|row| row.placement.chars().count())
        .max()
        .unwrap_or(0);
    let told = contents.environment["layers"].clone();
    let outlines: Vec<LayerOutline> = serde_json::from_value(told).unwrap_or_default();
    if outlines.len() == count {
        let layers = outlines.into_iter().enumerate();
        return layers.map(|(at, layer)| described(at, layer)).collect();
    }
    let layer = |index| {
        let row = contents
            .layers
            .iter()
            .find(|row| row.layer_index == index)?;
        Some(json!({ "name": row.layer, "op": row.op, "bootstraps": row.bootstrap_count }))
    };
    (0..count).map(layer).collect()
}

fn described(at: usize, layer: LayerOutline) -> Value {
    // A layer reads the input or layers before it.
    let mut reads = layer.reads;
    reads.retain(|from| from.is_none_or(|from| from < at));
    json!({
        "name": layer.name,
        "op": layer.op,
        "bootstraps": layer.bootstrap_count,
        "parameters": layer.parameter_count,
        "reads": reads,
    })
}

/// Returns for each row the pairs of layer and median seconds on the server.
fn layer_times(splits: &[SplitRow], layers: &[LayerRow]) -> Value {
    let index_of: std::collections::HashMap<&str, usize> = (splits.iter().enumerate())
        .map(|(index, row)| (row.placement.as_str(), index))
        .collect();
    let mut times = vec![Vec::new(); splits.len()];
    for row in layers {
        if let Some(&index) = index_of.get(row.placement.as_str()) {
            times[index].push(json!([row.layer_index, row.server_compute_s_median]));
        }
    }
    times.into_iter().map(Value::from).collect()
}

fn network(network: &Link) -> Value {
    json!({
        "name": network.name,
        "up": network.up_bits_per_s,
        "down": network.down_bits_per_s,
        "round_trip": network.round_trip_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::contents;
    use crate::report::plot::fixture::copied;

    #[test]
    fn figures_are_those_of_the_rows() {
        let contents = contents(3);
        let figures = figures(&contents);
        let columns = figures["columns"].as_array().unwrap();
        let names: Vec<&str> = columns
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        let at = names
            .iter()
            .position(|name| *name == "online_s_median")
            .unwrap();
        for (row, cells) in contents
            .splits
            .iter()
            .zip(figures["rows"].as_array().unwrap())
        {
            assert_eq!(cells[at].as_f64(), row.online_s_median);
            assert_eq!(cells.as_array().unwrap().len(), names.len());
        }
        assert_eq!(figures["layers"].as_array().unwrap().len(), 3);
        assert_eq!(figures["layer_times"][0], json!([]));
        let last = figures["layer_times"].as_array().unwrap().last().unwrap();
        assert_eq!(last.as_array().unwrap().len(), 3);
    }

    #[test]
    fn layers_are_those_of_the_environment_where_it_tells() {
        let mut contents = contents(2);
        let layer = |name: &str, reads: Value| {
            json!({ "name": name, "op": "add", "parameter_count": 3, "bootstrap_count": 0,
                "output_shape": [2], "reads": reads })
        };
        contents.environment["layers"] =
            json!([layer("a", json!([null])), layer("b", json!([0, null, 7]))]);
        let layers = layer_outlines(&contents);
        assert_eq!(layers[1]["reads"], json!([0, null]));
        assert_eq!(layers[0]["parameters"], 3);
        // Of another network, or of none.
        for told in [json!([layer("a", json!([]))]), json!("layers"), Value::Null] {
            contents.environment["layers"] = told;
            assert_eq!(layer_outlines(&contents)[1]["name"], "layer1");
        }
    }

    #[test]
    fn copies_are_told_where_any_are_known() {
        let mut contents = contents(2);
        let names = |figures: &Value| {
            let columns = figures["columns"].as_array().unwrap().iter();
            let names = columns.filter_map(|column| column["name"].as_str().map(str::to_owned));
            names.collect::<Vec<_>>()
        };
        let without = figures(&contents);
        assert_eq!(without.get("copies"), None);
        assert!(!names(&without).contains(&"copy_agreement".to_owned()));
        for row in &mut contents.splits {
            *row = copied(row.clone());
        }
        let with = figures(&contents);
        assert_eq!(
            with["copies"],
            json!({ "queries": 1000, "whole_model": 0.99 })
        );
        let at = names(&with)
            .iter()
            .position(|name| name == "copy_agreement");
        let last = with["rows"].as_array().unwrap().last().unwrap();
        let expected = contents.splits[3].copies.map(|copies| copies.copy);
        assert_eq!(last[at.unwrap()].as_f64(), expected);
        // Fronts are without limits, on copies too.
        assert_eq!(with["dominated_by"], without["dominated_by"]);
    }

    #[test]
    fn figures_that_are_no_numbers_are_unknown() {
        let mut contents = contents(2);
        contents.splits[0].online_s_median = Some(f64::INFINITY);
        let figures = figures(&contents);
        assert_eq!(figures["dominated_by"][0], Value::Null);
    }
}
