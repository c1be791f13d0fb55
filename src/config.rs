//! What an operator may change: raw TOML -> checked settings.
