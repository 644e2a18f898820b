//! What a model folder is made of besides what range calibration settles, and its files.

use std::collections::BTreeMap;

use super::raw_layer::{is_node, raw_layer};
use super::tensor_file::TensorFile;
use super::weight_bits::weight_bits;
use crate::core::digest::hex_digest;
use crate::core::error::{Error, Result};
use crate::import::data::{FittedSet, MAX_LEVEL};
use crate::import::network::Network;
use crate::import::npy::{labels_npy, npy};
use crate::import::request::ImportRequest;
use crate::model::Model;
use crate::model::format::{FORMAT, PerChannel, RawInput, RawModel, RawTest, RawWeights, VERSION};

const MODEL: &str = "model.json";
const WEIGHTS: &str = "weights.bin";
const LABEL_CORRECTION: &str = "label_correction";
/// Images and labels.
const TEST: [&str; 2] = ["test-images.npy", "test-labels.npy"];
const CALIBRATION: [&str; 2] = ["calibration-images.npy", "calibration-labels.npy"];

/// What does not change while a network is settled.
pub struct Recipe {
    pub network: Network,
    name: String,
    description: String,
    /// Per layer of the network.
    weight_bits: Vec<u32>,
    /// Per channel of an image or element of a vector: `real = scale · integer + offset`.
    scale: Vec<f64>,
    offset: Vec<f64>,
}

impl Recipe {
    /// Returns the recipe of a network, whose input is that of the calibration images.
    pub fn new(request: &ImportRequest, network: Network, calibration: &FittedSet) -> Self {
        let stem = request.out.file_name().unwrap_or(request.out.as_os_str());
        let file = request.onnx.file_name().unwrap_or(request.onnx.as_os_str());
        let weight_bits = network
            .layers
            .iter()
            .map(|layer| weight_bits(layer, request.weight_bits));
        Self {
            weight_bits: weight_bits.collect(),
            name: stem.to_string_lossy().into_owned(),
            description: format!("Imported from {}.", file.to_string_lossy()),
            scale: calibration.scale.clone(),
            offset: calibration.offset.clone(),
            network,
        }
    }

    /// Pins the layers of these nodes of the model to the client.
    pub fn pin(&mut self, nodes: &[usize]) {
        let layers = self.network.layers.iter_mut();
        for (node, layer) in layers.filter(|layer| is_node(layer)).enumerate() {
            layer.is_pinned |= nodes.contains(&node);
        }
    }

    /// Returns the folder's files, with what is settled in `model` where there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a number that JSON does not hold.
    pub fn files(
        &self,
        model: Option<&Model>,
        test: &FittedSet,
        calibration: Option<(&[u8], Vec<u32>)>,
        float_accuracy: Option<f64>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut tensors = TensorFile::default();
        let layers = self.layers(model, &mut tensors);
        let label_correction = model.and_then(|model| {
            let correction = &model.label_correction;
            let is_corrected = correction.iter().any(|&c| c != 0.0);
            is_corrected.then(|| {
                let values = correction.iter().copied();
                tensors.put(LABEL_CORRECTION.into(), vec![values.len()], values)
            })
        });
        let mut files = BTreeMap::new();
        let labels = test.labels.clone().unwrap_or_else(|| vec![0; test.count]);
        let test = self.put_images(&mut files, TEST, &test.images, &labels);
        let calibration = calibration
            .map(|(pixels, labels)| self.put_images(&mut files, CALIBRATION, pixels, &labels));
        let raw = RawModel {
            format: FORMAT.into(),
            version: VERSION,
            name: self.name.clone(),
            description: self.description.clone(),
            input: RawInput {
                shape: self.network.input_shape.clone(),
                max: MAX_LEVEL,
                scale: per_channel(&self.scale),
                offset: per_channel(&self.offset),
            },
            layers,
            weights: RawWeights {
                file: WEIGHTS.into(),
                sha256: hex_digest(&tensors.bytes),
                tensors: tensors.tensors,
            },
            calibration,
            test,
            classes: self.classes(),
            label_correction,
            float_accuracy: float_accuracy.map(|accuracy| (accuracy * 1e6).round() / 1e6),
        };
        let json = serde_json::to_vec_pretty(&raw).map_err(|error| {
            Error::invalid(MODEL, format!("a number that JSON does not hold: {error}"))
        })?;
        files.extend([
            (MODEL.to_owned(), json),
            (WEIGHTS.to_owned(), tensors.bytes),
        ]);
        Ok(files)
    }

    /// Returns the layers as the folder writes them, and puts their tensors into a file.
    fn layers(&self, model: Option<&Model>, tensors: &mut TensorFile) -> Vec<serde_json::Value> {
        let mut node = 0;
        let mut layers = Vec::with_capacity(self.network.layers.len());
        for (index, layer) in self.network.layers.iter().enumerate() {
            let settled = model
                .and_then(|model| model.nodes.get(node))
                .map(|node| &node.operation);
            let bits = self.weight_bits[index];
            layers.push(raw_layer(&self.network, index, bits, settled, tensors).to_json());
            node += usize::from(is_node(layer));
        }
        layers
    }

    /// Puts images and their labels into the folder's files, and returns what its JSON says of them.
    fn put_images(
        &self,
        files: &mut BTreeMap<String, Vec<u8>>,
        [images, labels]: [&str; 2],
        pixels: &[u8],
        of: &[u32],
    ) -> RawTest {
        let shape = [&[of.len()], self.network.input_shape.as_slice()].concat();
        let (pixels, of) = (npy(&shape, "|u1", pixels), labels_npy(of));
        let raw = RawTest {
            images: images.into(),
            images_sha256: hex_digest(&pixels),
            labels: labels.into(),
            labels_sha256: hex_digest(&of),
        };
        files.extend([(images.to_owned(), pixels), (labels.to_owned(), of)]);
        raw
    }

    /// Returns the class numbers where they are others than those that a reader of the folder takes.
    fn classes(&self) -> Option<Vec<i64>> {
        let classes = self.network.class_numbers();
        let usual = match self.network.output_count() {
            1 => classes.is_empty(),
            count => classes.iter().copied().eq((0..).take(count)),
        };
        (!usual).then_some(classes)
    }
}

fn per_channel(values: &[f64]) -> PerChannel {
    match values {
        [first, others @ ..] if others.iter().all(|value| value == first) => {
            PerChannel::All(*first)
        }
        values => PerChannel::Each(values.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::quantise::fixture::{images, network, request};

    /// Returns the files of a network's folder, and what its `model.json` says.
    fn written(network: Network) -> (BTreeMap<String, Vec<u8>>, serde_json::Value) {
        let recipe = Recipe::new(&request(), network, &images());
        let files = recipe.files(None, &images(), None, Some(0.123_456_78));
        let files = files.expect("numbers that JSON holds");
        let json = serde_json::from_slice(&files[MODEL]).expect("JSON");
        (files, json)
    }

    #[test]
    fn a_folder_says_where_it_comes_from_and_what_it_holds() {
        let (files, json) = written(network());
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        let expected = [
            "model.json",
            "test-images.npy",
            "test-labels.npy",
            "weights.bin",
        ];
        assert_eq!(names, expected);
        assert_eq!(json["name"], "digits");
        assert_eq!(json["description"], "Imported from net.onnx.");
        assert_eq!(json["weights"]["sha256"], hex_digest(&files[WEIGHTS]));
        assert_eq!(json["input"]["scale"], 1.0);
        assert_eq!(json["float_accuracy"], 0.123457);
        let bits: Vec<_> = (0..3)
            .map(|layer| &json["layers"][layer]["weight_bits"])
            .collect();
        // Eight where the input is read, and five behind a look-up.
        assert_eq!(bits, [&8.into(), &serde_json::Value::Null, &5.into()]);
    }

    #[test]
    fn calibration_images_have_files_of_their_own() {
        let set = images();
        let recipe = Recipe::new(&request(), network(), &set);
        let calibration = Some((&set.images[..2], vec![1]));
        let files = recipe.files(None, &set, calibration, None).expect("files");
        let json: serde_json::Value = serde_json::from_slice(&files[MODEL]).expect("JSON");
        assert_eq!(files.len(), 6);
        for (part, file) in ["images", "labels"].into_iter().zip(CALIBRATION) {
            assert_eq!(json["calibration"][part], file);
        }
        assert!(files[CALIBRATION[0]].ends_with(&[3, 0]) && files[CALIBRATION[1]].ends_with(&[1]));
    }

    #[test]
    fn class_numbers_are_written_where_a_reader_would_take_others() {
        for (classes, expected) in [
            (None, serde_json::Value::Null),
            (Some(vec![0, 1]), serde_json::Value::Null),
            (Some(vec![-1, 1]), serde_json::json!([-1, 1])),
            (Some(vec![1, 0]), serde_json::json!([1, 0])),
        ] {
            let network = Network {
                classes: classes.clone(),
                ..network()
            };
            assert_eq!(written(network).1["classes"], expected, "{classes:?}");
        }
    }

    #[test]
    fn equal_channels_are_written_as_one_number() {
        assert!(matches!(per_channel(&[2.0, 2.0]), PerChannel::All(2.0)));
        for differing in [&[2.0, 3.0][..], &[]] {
            let PerChannel::Each(found) = per_channel(differing) else {
                panic!("{differing:?} as one number");
            };
            assert_eq!(found, differing);
        }
    }
}
