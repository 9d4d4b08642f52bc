#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod bytes;
pub mod conditions;
pub mod labels;
pub mod mac;
pub mod names;
pub mod owner;
pub mod policy;
pub mod protection;
mod schema;
pub mod spec;
pub mod status;
pub mod validate;
pub mod validated;

pub use bytes::Bytes;
pub use conditions::{ConditionType, Reason};
pub use mac::Mac;
pub use policy::WukongPolicy;
pub use protection::{WukongRestore, WukongSnapshot, WukongSnapshotSchedule};
pub use spec::{Wukong, WukongSpec};
pub use status::WukongStatus;
pub use validate::{InvalidWukong, OperatorSettings, Problem};
pub use validated::ValidatedWukong;

/// The field manager under which the operator applies everything it makes.
pub const FIELD_MANAGER: &str = "wukong-operator";

/// The API group of the `Wukong` and of our labels and annotations.
pub const GROUP: &str = "vm.novasphere.dev";
