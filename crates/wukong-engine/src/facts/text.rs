//! The text type of facts.

/// The text type of facts: 16 bytes, without an allocation up to 15 characters, and shared by its clones. The cache keeps
/// about a hundred texts for each VM, most of them short.
pub use ecow::EcoString as Text;
