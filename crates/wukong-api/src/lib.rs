//! The Wukong API: one manifest, one complete virtual machine.
#![deny(missing_docs)]
