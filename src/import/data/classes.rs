//! Labels of data files as classes of a network.

use std::collections::HashMap;

use crate::core::error::{Error, Result};

/// Returns the index of each label among `classes`, which are the numbers of a network's classes in
/// the order of its outputs.
///
/// # Errors
///
/// [`Error::Invalid`] with the first label that is none of them.
pub(super) fn class_indices(place: &str, labels: &[f64], classes: &[i64]) -> Result<Vec<u32>> {
    let indices: HashMap<i64, u32> = classes.iter().copied().zip(0..).collect();
    let found = labels.iter().enumerate().map(|(image, &label)| {
        if label != label.round() {
            return Err(Error::Unsupported {
                place: place.to_owned(),
                reason: format!(
                    "label {label} of image {image} is no whole number: regression targets are \
                     not supported, give the number of a class"
                ),
            });
        }
        let index = indices.get(&(label as i64)).copied();
        index.ok_or_else(|| {
            Error::invalid(
                place,
                format!(
                    "label {label} of image {image} is none of the network's {} classes, {}: \
                     number the labels as the network does",
                    classes.len(),
                    listed(classes)
                ),
            )
        })
    });
    found.collect()
}

/// Returns class numbers as a person reads them.
fn listed(classes: &[i64]) -> String {
    const SHOWN: usize = 12;
    let (first, last) = (classes[0], classes[classes.len() - 1]);
    if classes.windows(2).all(|pair| pair[1] == pair[0] + 1) {
        return format!("{first} to {last}");
    }
    let shown: Vec<String> = classes.iter().take(SHOWN).map(i64::to_string).collect();
    let more = if classes.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_indices_of_the_networks_classes() {
        type Case<'a> = (&'a [f64], &'a [i64], std::result::Result<Vec<u32>, &'a str>);
        let table: [Case<'_>; 7] = [
            (&[0.0, 2.0, 1.0], &[0, 1, 2], Ok(vec![0, 2, 1])),
            (&[10.0, 1.0], &[1, 5, 10], Ok(vec![2, 0])),
            (&[-1.0, 1.0], &[-1, 1], Ok(vec![0, 1])),
            (&[7.0, 3.0], &[7, 3], Ok(vec![0, 1])),
            (
                &[0.0, 3.0],
                &[0, 1, 2],
                Err("label 3 of image 1 is none of the network's 3 classes, 0 to 2"),
            ),
            (&[-1.0], &[5, 7], Err("2 classes, 5, 7")),
            (
                &[1.0, 2.5],
                &[0, 1, 2],
                Err("label 2.5 of image 1 is no whole number: regression"),
            ),
        ];
        for (labels, classes, expected) in table {
            match (class_indices("y", labels, classes), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{error}")
                }
                (found, _) => panic!("{labels:?}: {found:?}"),
            }
        }
        let many: Vec<i64> = (0..300).collect();
        let labels: Vec<f64> = (0..300).map(f64::from).collect();
        let indices: Vec<u32> = (0..300).collect();
        assert_eq!(class_indices("y", &labels, &many).unwrap(), indices);
    }
}
