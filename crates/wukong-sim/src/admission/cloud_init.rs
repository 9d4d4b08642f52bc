//! Cloud-init volumes: which sources, and how much data may sit in the object itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::verdict::Causes;
use crate::field::Field;

/// Decoded bytes of inline data; larger data belongs into a Secret.
const MAX_INLINE: usize = 2048;

pub fn check(vmi: &Field<'_>, causes: &mut Causes) {
    for volume in vmi.child("volumes").items() {
        let kinds = ["cloudInitNoCloud", "cloudInitConfigDrive"];
        if let Some(source) = kinds
            .map(|kind| volume.child(kind))
            .into_iter()
            .find(Field::is_set)
        {
            let user = Data::read(&source, "secretRef", "userData", causes);
            let network = Data::read(&source, "networkDataSecretRef", "networkData", causes);
            user.check(&source, "userdatasource", "userdata", "UserData", causes);
            network.check(
                &source,
                "networkdata source",
                "networkdata",
                "NetworkData",
                causes,
            );
            causes.add_if(user.sources + network.sources == 0, || {
                format!(
                    "{} must have at least one userdatasource or one networkdatasource set.",
                    source.path()
                )
            });
        }
    }
}

/// One document: from how many places it comes, and how large it is inline.
struct Data {
    sources: usize,
    bytes: usize,
}

impl Data {
    fn read(source: &Field<'_>, reference: &str, inline: &str, causes: &mut Causes) -> Self {
        let mut data = Self {
            sources: usize::from(!source.child(reference).name().is_empty()),
            bytes: 0,
        };
        let encoded = source.child(&format!("{inline}Base64"));
        if !encoded.text().is_empty() {
            data.sources += 1;
            // Go's decoder skips line breaks.
            match STANDARD.decode(encoded.text().replace(['\r', '\n'], "")) {
                Ok(decoded) => data.bytes = decoded.len(),
                Err(_) => causes.add(format!("{} is not a valid base64 value.", encoded.path())),
            }
        }
        let plain = source.child(inline).text();
        if !plain.is_empty() {
            data.sources += 1;
            data.bytes = plain.len();
        }
        data
    }

    fn check(
        &self,
        source: &Field<'_>,
        sources: &str,
        what: &str,
        reference: &str,
        causes: &mut Causes,
    ) {
        causes.add_if(self.sources > 1, || {
            format!("{} must have only one {sources} set.", source.path())
        });
        causes.add_if(self.bytes > MAX_INLINE, || {
            format!(
                "{} {what} exceeds {MAX_INLINE} byte limit. Should use {reference}SecretRef for larger data.",
                source.path()
            )
        });
    }
}
