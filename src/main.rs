//! The `alight` program: arguments in, exit code out.

use std::process::ExitCode;

use alight::alloc::CountingAllocator;
use alight::cli;

/// `alight bench` reports allocations; counting costs a thread-local increment.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,alight=info"))
        .format_timestamp(None)
        .format_target(false)
        .init();
    cli::main()
}
