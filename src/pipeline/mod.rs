//! The drivers that call the stages: stepped (virtual time); which pose belongs to which frame.

pub mod pose;
