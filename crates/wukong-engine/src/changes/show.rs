//! Values of the spec as text.

use wukong_api::Bytes;
use wukong_api::spec::{Architecture, HugepageSize, PowerState, RunStrategy};

/// Shows a value as text; `None` for no value.
pub(super) trait Show {
    fn show(&self) -> Option<String>;
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
}

/// Values that print themselves; those of the spec as they are written there.
macro_rules! show {
    (display: $($display:ty),*; written: $($written:ty),*) => {
        $(impl Show for $display {
            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        })*
        $(impl Show for $written {
            fn show(&self) -> Option<String> {
                written(self)
            }
        })*
    };
}

show! {
    display: bool, i64, u16, u32, String, Bytes, wukong_api::Mac;
    written: Architecture, HugepageSize, wukong_api::spec::IpFamily, wukong_api::spec::LinkState, wukong_api::spec::NicModel, wukong_api::spec::UserDataFormat, wukong_api::spec::DiskBus, wukong_api::spec::DiskCache, wukong_api::spec::DiskKind,
        wukong_api::spec::EvictionStrategy, wukong_api::spec::Firmware, wukong_api::spec::NetworkType,
        wukong_api::spec::OnMissingMultus, wukong_api::spec::ReclaimPolicy, wukong_api::spec::RestartApproval,
        wukong_api::spec::VolumeMode, PowerState, RunStrategy
}

impl Show for std::collections::BTreeMap<String, String> {
    fn show(&self) -> Option<String> {
        list(self.iter().map(|(key, value)| format!("{key}={value}")))
    }
}

/// The spelling of an enum in the spec.
pub(super) fn written(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(Into::into)
}

/// Several values; `None` for none.
pub(super) fn list(values: impl Iterator<Item = String>) -> Option<String> {
    let all: Vec<String> = values.collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Names of list entries, in their order, that are in both lists: whether only the order differs.
pub(super) fn reordered<'a>(old: &[&'a str], new: &[&'a str]) -> bool {
    let common = |a: &[&'a str], b: &[&'a str]| -> Vec<&'a str> {
        a.iter().copied().filter(|name| b.contains(name)).collect()
    };
    common(old, new) != common(new, old)
}
