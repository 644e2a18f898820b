//! Images that a network was trained on, where its folder has any: `training.json` beside `model.json`
//! names them, with their checksums, in the form of the test images.
//!
//! They are no part of what a sweep measures, so that a model's digest does not depend on them.

use super::format::RawTest;
use super::graph::Model;
use super::source::Source;
use super::test_set::TestSet;
use crate::core::error::{Error, Result};
use crate::core::text::from_json;
use crate::machine::file::MOST_TEXT_BYTES;

/// Names the images.
const FILE: &str = "training.json";

impl TestSet {
    /// Returns the images that a model was trained on; `None` where its folder has none.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] that names the file for a wrong field, checksum, type, shape, value or label.
    pub fn training(source: &Source, model: &Model) -> Result<Option<Self>> {
        if !source.holds(FILE) {
            return Ok(None);
        }
        let json = source.read(FILE, MOST_TEXT_BYTES)?;
        let raw: RawTest = from_json(&json).map_err(|error| {
            let reason = format!("does not name images: {error}");
            Error::invalid(source.place(FILE), reason)
        })?;
        let set = Self::read(source, &raw, &model.input)?;
        set.check_labels(model.classes.len(), source, &raw)?;
        Ok(Some(set))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::source::EMBEDDED;

    /// Returns the files of a built-in model's training images.
    fn files() -> BTreeMap<String, Vec<u8>> {
        let source = Source::Embedded(&EMBEDDED[0]);
        let names = [FILE, "training-images.npy", "training-labels.npy"];
        let read = |name| source.read(name, u64::MAX).expect("built in").into_owned();
        names.map(|name| (name.to_owned(), read(name))).into()
    }

    #[test]
    fn built_in_networks_have_training_images_that_are_no_test_images() {
        for embedded in &EMBEDDED {
            let source = Source::Embedded(embedded);
            let model = Model::read(&source).expect("built in");
            let training = TestSet::training(&source, &model).expect("sound");
            let training = training.expect("there");
            assert_eq!(training.len(), 1437, "{}", model.name);
            let is_asked = |image: &[u8]| (0..training.len()).any(|i| training.image(i) == image);
            let shared = (0..model.test.len()).filter(|&i| is_asked(model.test.image(i)));
            assert_eq!(shared.count(), 0, "{}", model.name);
        }
    }

    #[test]
    fn a_folder_need_not_have_any() {
        let model = Model::read(&Source::Embedded(&EMBEDDED[0])).expect("built in");
        let none = TestSet::training(&Source::Memory(BTreeMap::new()), &model);
        assert!(none.expect("nothing wrong").is_none());
    }

    #[test]
    fn what_is_wrong_with_them_is_named() {
        let model = Model::read(&Source::Embedded(&EMBEDDED[0])).expect("built in");
        for (file, bytes, words) in [
            (FILE, b"{}".to_vec(), "missing field"),
            ("training-images.npy", vec![0], "SHA-256"),
            ("training-labels.npy", vec![0], "SHA-256"),
        ] {
            let mut files = files();
            files.insert(file.into(), bytes);
            let error = TestSet::training(&Source::Memory(files), &model).expect_err("refused");
            let error = error.to_string();
            assert!(error.contains(file) && error.contains(words), "{error}");
        }
    }
}
