//! Whole frames through the stage, on drawn ground.

mod allocation;
mod decisions;
mod memory;
mod properties;
mod real;
mod scene;
mod watch;

#[global_allocator]
static ALLOCATOR: crate::alloc::CountingAllocator = crate::alloc::CountingAllocator;
