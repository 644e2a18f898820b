//! How far a long inference has come, counted in look-ups, which take nearly all of its time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::circuit::program::Program;
use crate::model::{Model, NodeId};

/// Time between reports; inferences that end before the first stay silent.
const PERIOD: Duration = Duration::from_secs(2);

/// How far an inference has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advance {
    /// The activation that is looked up.
    pub layer: String,
    /// Of it, counted in channels.
    pub channels_done: usize,
    pub channels: usize,
    /// Since the layer began to be looked up.
    pub layer_s: f64,
    /// Fraction of the inference's look-ups that are done.
    pub fraction: f64,
    /// What is left of the inference, at the pace so far.
    pub left_s: f64,
}

impl Advance {
    /// Returns whether the layer is done.
    pub fn ends_layer(&self) -> bool {
        self.channels_done == self.channels
    }
}

/// Hears how an inference comes along, from any thread.
pub type Hear<'a> = dyn Fn(Advance) + Sync + 'a;

/// Counts the look-ups of one inference, and tells of them now and then.
pub struct Watch<'a> {
    hear: &'a Hear<'a>,
    layers: BTreeMap<NodeId, Layer>,
    total: usize,
    done: AtomicUsize,
    start: Instant,
    last: Mutex<Instant>,
}

struct Layer {
    name: String,
    channels: usize,
    total: usize,
    done: AtomicUsize,
    begun: Mutex<Option<Instant>>,
}

impl<'a> Watch<'a> {
    /// Starts to watch an inference by these programs.
    pub fn of(model: &Model, programs: &[Arc<Program>], hear: &'a Hear<'a>) -> Self {
        let look_ups = programs.iter().flat_map(|program| program.look_ups());
        let mut layers: BTreeMap<NodeId, Layer> = BTreeMap::new();
        for step in look_ups {
            // A label has many look-ups for one node.
            let layer = layers.entry(step.node).or_insert_with(|| Layer {
                name: model.node(step.node).name.clone(),
                channels: step.tables.len(),
                total: 0,
                done: AtomicUsize::new(0),
                begun: Mutex::new(None),
            });
            layer.total += step.sigma.len();
        }
        Self {
            hear,
            total: layers.values().map(|layer| layer.total).sum(),
            layers,
            done: AtomicUsize::new(0),
            start: Instant::now(),
            last: Mutex::new(Instant::now()),
        }
    }

    /// Counts look-ups of a node; with the first call, of none or more, its time begins.
    pub fn advance(&self, node: NodeId, count: usize) {
        let Some(layer) = self.layers.get(&node) else {
            return;
        };
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        let layer_done = layer.done.fetch_add(count, Ordering::Relaxed) + count;
        let mut begun = layer.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let layer_s = begun
            .get_or_insert_with(Instant::now)
            .elapsed()
            .as_secs_f64();
        drop(begun);
        if count == 0 {
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = self.start.elapsed();
        let is_due = last.elapsed() >= PERIOD || layer_done == layer.total;
        if elapsed < PERIOD || !is_due {
            return;
        }
        *last = Instant::now();
        drop(last);
        let fraction = done as f64 / self.total as f64;
        (self.hear)(Advance {
            layer: layer.name.clone(),
            channels_done: layer.channels * layer_done / layer.total,
            channels: layer.channels,
            layer_s,
            fraction,
            left_s: elapsed.as_secs_f64() * (1.0 - fraction) / fraction,
        });
    }
}
