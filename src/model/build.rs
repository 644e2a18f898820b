//! Raw layers, checked one by one against the shapes that reach them, made into nodes.

mod activation;
mod blocks;
mod builder;
mod built;
mod channels;
mod ends;
mod float32;
mod linear;
mod pinned;
mod pools;
mod windows;

pub use builder::Builder;
pub use built::MOST_ELEMENTS;
pub use ends::{check_classes, check_input};
