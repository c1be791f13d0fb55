//! What holds for any segmentation.
