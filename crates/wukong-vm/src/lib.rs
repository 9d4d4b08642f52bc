//! Plans the VirtualMachine and the cloud-init Secret of a Wukong.
#![deny(missing_docs)]
