//! What a reader of results wants to know of a network without its folder.

use serde::{Deserialize, Serialize};

use super::graph::{Layer, Model};

/// A placeable layer in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerOutline {
    pub name: String,
    pub op: String,
    /// Trained numbers, biases included.
    pub parameter_count: usize,
    pub bootstrap_count: usize,
    pub output_shape: Vec<usize>,
    /// The layers whose outputs it reads; null for the network's input. A skip is what is not the
    /// layer before it.
    pub reads: Vec<Option<usize>>,
}

impl Model {
    /// Returns the outline of each placeable layer.
    pub fn outline(&self) -> Vec<LayerOutline> {
        let outline = |layer: &Layer| {
            let mut reads: Vec<Option<usize>> = self
                .values_read(&layer.nodes)
                .into_iter()
                .map(|value| Some(self.layer_of(value.producer()?)))
                .collect();
            // Several values of one block.
            reads.dedup();
            LayerOutline {
                name: layer.name.clone(),
                op: layer.op.into(),
                parameter_count: layer.parameter_count,
                bootstrap_count: self.layer_bootstrap_count(layer),
                output_shape: layer.output_shape.clone(),
                reads,
            }
        };
        self.layers.iter().map(outline).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_chain_reads_layer_after_layer() {
        let model = Model::load(Path::new("models/digits-cnn")).unwrap();
        let outline = model.outline();
        let names: Vec<&str> = outline.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["conv1", "relu1", "conv2", "relu2", "fc"]);
        let reads: Vec<&[Option<usize>]> = outline.iter().map(|layer| &layer.reads[..]).collect();
        assert_eq!(reads, [[None], [Some(0)], [Some(1)], [Some(2)], [Some(3)]]);
        assert_eq!(outline[0].parameter_count, 80);
        assert_eq!(outline[1].bootstrap_count, 288);
    }
}
