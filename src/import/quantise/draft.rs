//! A model folder while it is being made: a network in this program's own layers, whose ranges,
//! integers and corrections are settled one after the other.

use std::collections::BTreeMap;
use std::path::Path;

use super::bits::Bits;
use super::calibration::{Calibration, RangeMethod, first_failure, output_of};
use super::images::{Images, float_labels};
use super::recipe::Recipe;
use crate::core::error::{Error, Result};
use crate::core::foreign::quoted;
use crate::import::data::FittedSet;
use crate::import::network::Network;
use crate::import::request::ImportRequest;
use crate::model::layer::finite::is_finite_over;
use crate::model::layer::{Activation, Operation as NodeOperation};
use crate::model::source::Source;
use crate::model::{Model, Node, NodeId};

/// Calibration images that a folder keeps.
const MOST_CALIBRATION_IMAGES: usize = 1000;

/// A network and the model that it becomes.
pub struct ModelDraft {
    pub recipe: Recipe,
    pub model: Model,
}

impl ModelDraft {
    /// Makes the network's layers the model's, without range calibration.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where a layer does not fit this program's limits.
    pub fn new(
        request: &ImportRequest,
        network: Network,
        calibration: &FittedSet,
        test: &FittedSet,
    ) -> Result<Self> {
        let recipe = Recipe::new(request, network, calibration);
        let files = recipe.files(None, test, None, None)?;
        let model = Model::read(&Source::Memory(files))?;
        Ok(Self { recipe, model })
    }

    /// Sets the ranges in front of activations.
    pub fn set_ranges(&mut self, calibration: &Calibration) {
        for (index, node) in self.model.nodes.iter_mut().enumerate() {
            let measured = &calibration.of(NodeId::new(index)).ranges;
            let size = node.output_count() / measured.len().max(1);
            let spread = measured
                .iter()
                .flat_map(|&range| std::iter::repeat_n(range, size));
            match &mut node.operation {
                NodeOperation::Linear(linear) => linear.range = spread.collect(),
                NodeOperation::Add(add) => add.range = spread.collect(),
                NodeOperation::Pinned(pinned) => pinned.range = spread.collect(),
                NodeOperation::Activation(_) | NodeOperation::MaxPool(_) => {}
            }
        }
    }

    /// Pins each activation to the client that has no finite value somewhere in what it may read, in the
    /// calibrated range of any channel, and returns a sentence on each.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn pin_infinite(
        &mut self,
        calibration: &Calibration,
        test: &FittedSet,
    ) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let mut nodes = Vec::new();
        for (index, name, activation) in self.activations() {
            let node = &self.model.nodes[index];
            let ranges = match node.inputs[0].producer() {
                _ if node.is_pinned => continue,
                Some(node) => calibration.of(node).ranges.clone(),
                None => self.model.input.range(),
            };
            let is_infinite = |(low, high): &(f32, f32)| {
                !is_finite_over(&activation.function, (*low).into(), (*high).into())
            };
            if let Some((low, high)) = ranges.into_iter().find(is_infinite) {
                nodes.push(index);
                notes.push(format!(
                    "pinned to the client: layer {}, where {} has no finite value somewhere from {low} to \
                     {high}, which it reads over the calibration images",
                    quoted(name),
                    activation.function.name()
                ));
            }
        }
        if !nodes.is_empty() {
            self.recipe.pin(&nodes);
            let files = self.recipe.files(None, test, None, None)?;
            self.model = Model::read(&Source::Memory(files))?;
        }
        Ok(notes)
    }

    /// Checks that the client's operators give something for all images, and that what layers on a server
    /// would read or make is finite.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] that names the first layer; `file` is where the network comes from.
    pub fn check_numbers(
        &self,
        images: &Images,
        calibration: &Calibration,
        file: &Path,
    ) -> Result<()> {
        let refused = |node: &Node, reason: String| {
            Err(Error::Unsupported {
                place: format!("{}: layer {}", file.display(), quoted(&node.name)),
                reason,
            })
        };
        if let Some((id, reason)) = first_failure(&self.model, images) {
            return refused(self.model.node(id), reason);
        }
        let is_served = |id: NodeId| {
            let mut nodes = self.model.nodes.iter().filter(|node| !node.is_pinned);
            nodes.any(|reader| reader.inputs.contains(&id.value()))
        };
        for (id, node) in self.model.nodes_by_id() {
            let counts = !node.is_pinned || is_served(id);
            if counts && !calibration.of(id).is_finite() {
                let reason = "gives numbers beyond all float32 for calibration images: are --scale, --mean \
                              and --std those of its training?";
                return refused(node, reason.into());
            }
        }
        Ok(())
    }

    /// Takes the corrections of all biases back.
    pub fn clear_corrections(&mut self) {
        for node in &mut self.model.nodes {
            if let NodeOperation::Linear(linear) = &mut node.operation {
                linear.correction.fill(0.0);
            }
        }
        self.model.label_correction.fill(0.0);
    }

    /// Sets the integers of all activations, and returns what a person should know of it.
    pub fn set_outputs<'a>(
        &mut self,
        calibration: &Calibration,
        method: RangeMethod,
        bits: impl Fn(&str) -> Option<u32> + 'a,
        default_bits: u32,
    ) -> Vec<String> {
        let mut requantised = Vec::new();
        for (index, node) in self.model.nodes.iter_mut().enumerate() {
            if let NodeOperation::Activation(activation) = &mut node.operation {
                let histogram = &calibration.of(NodeId::new(index)).histogram;
                let asked = bits(&node.name);
                let output = output_of(activation, histogram, method, asked, default_bits);
                if activation
                    .function
                    .quantisation()
                    .is_some_and(|own| own != output)
                {
                    requantised.push(node.name.clone());
                }
                activation.output = output;
            }
        }
        if requantised.is_empty() {
            return Vec::new();
        }
        vec![format!(
            "quantised again, on fewer bits than the file says: {}",
            requantised.join(", ")
        )]
    }

    /// Returns the activations, in order.
    pub fn activations(&self) -> impl Iterator<Item = (usize, &str, &Activation)> {
        let nodes = self.model.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| match &node.operation {
            NodeOperation::Activation(activation) => Some((index, node.name.as_str(), activation)),
            _ => None,
        })
    }

    /// Returns the names of the activations, in order.
    pub fn activation_names(&self) -> Vec<&str> {
        self.activations().map(|(_, name, _)| name).collect()
    }

    /// Returns a name for which bits are asked and which is none of the activations'.
    pub fn unknown_name(&self, bits: &Bits) -> Option<String> {
        let known = self.activation_names();
        let mut names = bits.names();
        names.find(|name| !known.contains(name)).map(str::to_owned)
    }

    /// Returns the model as a reader of its folder has it, calibration images and all.
    ///
    /// # Errors
    ///
    /// What reading it gives.
    pub fn settled(&self, test: &FittedSet, calibration: &Images) -> Result<Model> {
        Model::read(&Source::Memory(self.files(test, calibration, None)?))
    }

    /// Returns the folder's files, by their names.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a number that JSON does not hold.
    pub fn files(
        &self,
        test: &FittedSet,
        calibration: &Images,
        float_accuracy: Option<f64>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let calibration = calibration.take(MOST_CALIBRATION_IMAGES);
        // Noise is judged by labels: the float network's own will do.
        let calibration = self.model.is_classifier().then(|| {
            let labels = match calibration.labels {
                Some(labels) => labels.to_vec(),
                None => {
                    let labels = float_labels(&self.model, &calibration);
                    labels.into_iter().map(|label| label as u32).collect()
                }
            };
            (calibration.pixels, labels)
        });
        let model = Some(&self.model);
        self.recipe.files(model, test, calibration, float_accuracy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::calibration::Calibration;
    use super::super::fixture::{draft, images, layer, network_of, same};
    use super::*;
    use crate::import::network::Operation;
    use crate::model::layer::Function;
    use crate::model::layer::function::Elementary;

    #[test]
    fn a_function_without_a_value_in_range_is_pinned_with_the_range() {
        let pinned = |function: Elementary| {
            let operation = Operation::Activation(Function::Elementary(function));
            let middle = layer("middle", &[1], operation);
            let mut draft = draft(network_of(vec![same("front", 0), middle, same("back", 2)]));
            let set = images();
            let calibrated = Calibration::measure(&draft.model, &Images::all(&set));
            let notes = draft.pin_infinite(&calibrated, &set).expect("sound");
            let pins: Vec<bool> = draft.model.nodes.iter().map(|n| n.is_pinned).collect();
            (pins, notes.join(""))
        };
        assert_eq!(pinned(Elementary::Sqrt), (vec![false; 3], String::new()));
        let (pins, note) = pinned(Elementary::Log);
        assert_eq!(pins, [false, true, false]);
        for words in ["layer \"middle\"", "log has no finite value", "from 0 to 3"] {
            assert!(note.contains(words), "{note}");
        }
    }
}
