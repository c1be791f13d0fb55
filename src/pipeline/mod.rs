//! The drivers that call the stages: stepped (one thread, virtual time); which pose belongs to which frame.

//pose
//mod stepped;

//pub use stepped::{Step, Stepped};
