//! The supervisor against a vehicle that does what it is told, and against one that does not.

mod assist;
mod bench;
mod flights;
mod properties;
mod rules;
mod walk;
