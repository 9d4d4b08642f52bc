//! The operator as a library; `main.rs` only parses settings.
