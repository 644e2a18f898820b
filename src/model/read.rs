//! Reads a model's folder and checks that its parts fit together.

use std::path::Path;

use super::build::{Builder, check_classes, check_input};
use super::format::{FORMAT, RawLayer, RawModel, RawTest, VERSION};
use super::graph::{Granularity, Model, Node, layers_of};
use super::input::Input;
use super::source::Source;
use super::tensors::Tensors;
use super::test_set::TestSet;
use crate::core::digest::hex_digest;
use crate::core::error::{Error, Result};
use crate::core::text::from_json;
use crate::machine::file::MOST_TEXT_BYTES;

impl Model {
    /// Reads the model at `path`, or the embedded one of that name, its blocks placed as a whole.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] or [`Error::Read`] that names the file, the layer and the mend.
    pub fn load(path: &Path) -> Result<Self> {
        Self::read(&Source::find(path)?)
    }

    /// Reads a model from its source.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn read(source: &Source) -> Result<Self> {
        let place = source.place("model.json");
        let invalid = |reason| Error::invalid(&place, reason);
        let json = source.read("model.json", MOST_TEXT_BYTES)?;
        let raw = raw_model(&json, &place)?;
        let input = check_input(raw.input).map_err(invalid)?;
        let tensors = Tensors::read(source, &raw.weights)?;
        let nodes = build_nodes(raw.layers, &input, &tensors, &place)?;
        let test = TestSet::read(source, &raw.test, &input)?;
        let outputs = nodes.last().map_or(0, Node::output_count);
        let classes = check_classes(raw.classes, outputs).map_err(invalid)?;
        test.check_labels(classes.len(), source, &raw.test)?;
        let label_correction = match &raw.label_correction {
            None => vec![0.0; outputs],
            Some(name) => {
                let found = tensors.get(name, [Some(outputs)]);
                found.map_err(invalid)?.0.to_vec()
            }
        };
        let calibration = match &raw.calibration {
            None => None,
            Some(raw) => Some(read_images(source, raw, &input, classes.len())?),
        };
        Ok(Self {
            name: raw.name,
            description: raw.description,
            layers: layers_of(&nodes, Granularity::Block),
            nodes,
            calibration,
            input,
            test,
            classes,
            label_correction,
            float_accuracy: raw.float_accuracy,
            digest: hex_digest(&json),
        })
    }
}

/// Returns what `model.json` says, of the format and version that this program reads.
fn raw_model(json: &[u8], place: &str) -> Result<RawModel> {
    let raw: RawModel = from_json(json)
        .map_err(|error| Error::invalid(place, format!("no valid model: {error}")))?;
    if raw.format != FORMAT || raw.version != VERSION {
        let found = format!("{} version {}", raw.format, raw.version);
        let reason = format!("this is {found}; expected {FORMAT} version {VERSION}");
        return Err(Error::invalid(place, reason));
    }
    Ok(raw)
}

/// Returns the nodes that raw layers become, each checked against those before it.
fn build_nodes(
    layers: Vec<serde_json::Value>,
    input: &Input,
    tensors: &Tensors,
    place: &str,
) -> Result<Vec<Node>> {
    let invalid = |reason| Error::invalid(place, reason);
    let mut builder = Builder::new(input, tensors).map_err(invalid)?;
    for (index, value) in layers.into_iter().enumerate() {
        let name = value.get("name").and_then(serde_json::Value::as_str);
        let named = name.map_or_else(String::new, |name| format!(" {name:?}"));
        let pushed = RawLayer::from_json(value).and_then(|raw| builder.push(raw));
        let place = || format!("{place}: layers[{index}]{named}");
        pushed.map_err(|reason| Error::invalid(place(), reason))?;
    }
    builder.finish().map_err(invalid)
}

/// Returns images whose labels are classes of the network.
fn read_images(source: &Source, raw: &RawTest, input: &Input, classes: usize) -> Result<TestSet> {
    let set = TestSet::read(source, raw, input)?;
    set.check_labels(classes, source, raw)?;
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::EMBEDDED;

    #[test]
    fn the_embedded_models_load_and_have_the_documented_layers() {
        let layers = |index: usize| {
            let model = Model::read(&Source::Embedded(&EMBEDDED[index])).expect("embedded");
            let names: Vec<&str> = model.layers.iter().map(|layer| layer.op).collect();
            (
                names.join(" "),
                model.test.len(),
                model.nodes.last().map(Node::output_count),
            )
        };
        assert_eq!(
            layers(0),
            ("conv2d relu conv2d relu dense".into(), 360, Some(10))
        );
        assert_eq!(layers(1), ("dense relu dense".into(), 360, Some(10)));
        let deep = "conv2d relu average_pool conv2d relu dense relu dense";
        assert_eq!(layers(2), (deep.into(), 360, Some(10)));
    }
}
