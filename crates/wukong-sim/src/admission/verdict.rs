//! The answer of a webhook: a denial with every cause.

use std::fmt;

/// A refusal: everything that is wrong, joined as KubeVirt joins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial(pub String);

impl Denial {
    /// As the API server passes on the refusal of KubeVirt's webhook.
    pub fn by_kubevirt(self) -> Self {
        Self(format!(
            "admission webhook \"virtualmachine-validator.kubevirt.io\" denied the request: {}",
            self.0
        ))
    }

    /// As the API server passes on the refusal of CDI's webhook, with its two spaces.
    pub fn by_cdi(self) -> Self {
        Self(format!(
            "admission webhook \"datavolume-validate.cdi.kubevirt.io\" denied the request:  {}",
            self.0
        ))
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Denial {}

/// What is wrong with an object, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Causes(Vec<String>);

impl Causes {
    pub fn add(&mut self, message: impl Into<String>) {
        self.0.push(message.into());
    }

    pub fn add_if(&mut self, wrong: bool, message: impl FnOnce() -> String) {
        if wrong {
            self.0.push(message());
        }
    }

    pub fn extend(&mut self, messages: impl IntoIterator<Item = String>) {
        self.0.extend(messages);
    }

    pub fn into_result(self) -> Result<(), Denial> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Denial(self.0.join(", ")))
        }
    }
}
