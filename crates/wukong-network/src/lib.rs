//! Plans the networks of a Wukong: NetworkAttachmentDefinitions, node network policies, guest network data.
#![deny(missing_docs)]
