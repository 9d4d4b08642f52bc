//! The `Wukong` API, `vm.novasphere.dev/v1alpha1`: one manifest is one complete virtual machine.
//!
//! [`Wukong`] is the object as Kubernetes stores it. [`ValidatedWukong`] is the same wish after every rule has been
//! checked, with parsed quantities, addresses and names; it is the only input that the planners take, so they cannot
//! fail.
//!
//! ```
//! use wukong_api::{ValidatedWukong, Wukong, WukongSpec};
//!
//! let spec: WukongSpec = serde_json::from_value(serde_json::json!({
//!     "cpu": 2, "memory": "4Gi", "osImage": "ubuntu:24.04",
//!     "disks": [{"name": "root", "size": "20Gi"}],
//! })).unwrap();
//! let wukong = ValidatedWukong::try_from(&Wukong::new("web", spec)).unwrap();
//! assert_eq!(wukong.memory.to_string(), "4Gi");
//! ```
#![deny(missing_docs)]

pub mod bytes;
pub mod conditions;
pub mod labels;
pub mod mac;
pub mod names;
pub mod owner;
pub mod spec;
pub mod status;
pub mod validate;
pub mod validated;

pub use bytes::Bytes;
pub use conditions::{ConditionType, Reason};
pub use mac::Mac;
pub use spec::{Wukong, WukongSpec};
pub use status::WukongStatus;
pub use validate::{InvalidWukong, Policy, Problem};
pub use validated::ValidatedWukong;

/// The field manager under which the operator applies everything it makes.
pub const FIELD_MANAGER: &str = "wukong-operator";

/// The API group of the `Wukong` and of our labels and annotations.
pub const GROUP: &str = "vm.novasphere.dev";
