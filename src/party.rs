//! Client and server, the messages between them, and an inference from image to logits.
//!
//! Neither party knows the other; [`inference`] is where both meet. Nothing here judges an answer or
//! keeps a figure. The entry point is [`session::Session`].

pub mod ciphertext;
pub mod client;
pub mod inference;
pub mod seeded_key;
pub mod server;
pub mod session;
mod spilled;
pub mod wire;
