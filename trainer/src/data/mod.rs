//! Training data: the cache, scene-disjoint folds, augmentation.

pub mod augment;
pub mod cache;
pub mod fold;
pub mod paste;
pub mod prepare;
