//! Whether the drone may go down: here, and only here.

mod interface;

pub use interface::{Brief, Commands, Health, Input, Output, Phase, Request};
