//! The `alight` program: arguments in, exit code out.

use std::process::ExitCode;

use alight::alloc::CountingAllocator;
use alight::cli;

/// `alight bench` reports allocations; counting costs a thread-local increment.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    cli::main()
}
