//! Names of Wukongs.

use wukong_engine::environment::addresses::WukongName;

/// Name of a Wukong.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// Creates a key.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl From<WukongName> for Key {
    fn from((namespace, name): WukongName) -> Self {
        Self { namespace, name }
    }
}
