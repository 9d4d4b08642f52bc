//! Access credentials (`validateAccessCredentials` of `vmi-create-admitter.go`).

use super::verdict::Causes;
use crate::field::Field;

pub fn check(vmi: &Field<'_>, causes: &mut Causes) {
    let has_volume = |kind: &str| {
        vmi.child("volumes")
            .items()
            .any(|volume| volume.child(kind).is_set())
    };
    for credential in vmi.child("accessCredentials").items() {
        let path = credential.path();
        let (key, password) = (
            credential.child("sshPublicKey"),
            credential.child("userPassword"),
        );
        if key.is_set() {
            let method = key.child("propagationMethod");
            for (name, volume) in [
                ("noCloud", "cloudInitNoCloud"),
                ("configDrive", "cloudInitConfigDrive"),
            ] {
                causes.add_if(method.child(name).is_set() && !has_volume(volume), || {
                    format!("{path} requires a {name} volume to exist when the {name} propagationMethod is in use.")
                });
            }
            let agent = method.child("qemuGuestAgent");
            causes.add_if(agent.is_set() && agent.child("users").count() == 0, || {
                format!("{path} requires at least one user to be present in the users list")
            });
            exactly_one(
                &key,
                &["noCloud", "configDrive", "qemuGuestAgent"],
                path,
                causes,
            );
        }
        if password.is_set() {
            exactly_one(&password, &["qemuGuestAgent"], path, causes);
        }
        causes.add_if(key.is_set() == password.is_set(), || {
            format!("{path} must have exactly one access credential type set")
        });
    }
}

fn exactly_one(credential: &Field<'_>, methods: &[&str], path: &str, causes: &mut Causes) {
    causes.add_if(!credential.at("source.secret").is_set(), || {
        format!("{path} must have exactly one source set")
    });
    causes.add_if(
        credential.child("propagationMethod").set_among(methods) != 1,
        || format!("{path} must have exactly one propagationMethod set"),
    );
}
