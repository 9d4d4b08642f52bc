//! The rule about the CustomResourceDefinition of the Wukongs.

use super::{Finding, RuleInput};
use crate::facts::words::listed;
use crate::facts::{CRD, CrdFact, Text};

/// Checks the stored CRD. Without permission to read it, the dropped fields of a status show an old CRD.
pub(super) fn up_to_date(input: &RuleInput) -> Finding {
    let Some(definition) = input.environment.own_crd() else {
        return Finding::Irrelevant;
    };
    match outdated(definition) {
        Some(message) => Finding::found(message).about(format!("CustomResourceDefinition/{CRD}")),
        None => Finding::holds(),
    }
}

/// Returns the message about a CRD that lacks fields.
pub(crate) fn outdated(definition: &CrdFact) -> Option<String> {
    let paths = definition.lacking.iter().map(Text::as_str);
    (!definition.lacking.is_empty()).then(|| {
        format!(
            "The installed CustomResourceDefinition is of an older release: the API server drops {}",
            listed(paths)
        )
    })
}
