//! Images in the form of a network's input.

/// Images as the integers `0..=255` that the client starts from, with
/// `real = scale * integer + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedSet {
    /// `count * elements` values, each image channels first.
    pub images: Vec<u8>,
    /// The number of images.
    pub count: usize,
    /// One per channel of an input `[channels, height, width]`, one per element of an input
    /// `[elements]`, one for other inputs; positive.
    pub scale: Vec<f64>,
    /// As many as scales.
    pub offset: Vec<f64>,
    /// What the integers are rounded from, where they are; ordered as `images`.
    pub reals: Option<Vec<f32>>,
    /// One class per image, counted from 0 in the order of the network's outputs.
    pub labels: Option<Vec<u32>>,
    /// What the user should know, one sentence each: how far floats were rounded.
    pub notes: Vec<String>,
}
