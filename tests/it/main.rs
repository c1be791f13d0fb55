//! Tests that cross modules, in one binary.

/// So that what the live threads allocate is counted.
#[global_allocator]
static ALLOCATOR: alight::alloc::CountingAllocator = alight::alloc::CountingAllocator;

/// What a user types and gets.
#[cfg(test)]
mod command_line;
/// Points of neighbouring tagged photos on the ground: the same place in metres.
#[cfg(test)]
mod geotagged;
/// Which module may name which: the table of the design against the code.
#[cfg(test)]
mod layers;
/// The live pipeline over a loopback link.
#[cfg(test)]
mod live;
/// Registration of real and drawn pictures.
#[cfg(test)]
mod odometry;
/// The service, and what looks after it.
#[cfg(test)]
mod service;
/// Closed-loop flights in virtual time.
#[cfg(test)]
mod sim;
/// Replay beside a flight log: what is read, said and refused.
#[cfg(test)]
mod telemetry;
