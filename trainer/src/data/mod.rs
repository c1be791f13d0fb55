//! Training data: the cache, scene-disjoint folds, augmentation.

pub mod augment;
pub mod cache;
pub mod compression;
pub mod fold;
pub mod labels;
pub mod paste;
pub mod prepare;
pub mod tilt;
