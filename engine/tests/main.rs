//! What the engine promises as a whole, one file a behaviour.

mod closed_forms;
mod distributions;
