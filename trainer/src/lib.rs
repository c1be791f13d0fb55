//! Trains, scores and exports the networks that alight flies.
//!
//! A network is plain data ([`graph`]) with named parameters ([`parameters`]); libtorch executes it for training (feature
//! `libtorch`), [`onnx`] writes it for flight. Scores ([`eval`]) always go through the runtime's own inference.

pub mod agreement;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod cost;
pub mod data;
pub mod decisions;
pub mod errors;
pub mod eval;
pub mod events;
pub mod export;
pub mod failure;
pub mod graph;
pub mod initial;
pub mod matrix;
pub mod networks;
pub mod objects;
pub mod onnx;
pub mod parameters;
pub mod prior;
pub mod quantize;
pub mod run_record;
pub mod scores;
#[cfg(feature = "libtorch")]
mod torch;
pub mod uncertainty;
pub mod worst;
