//! The owner reference that ties what we make to its Wukong.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use crate::Wukong;
use crate::validated::Identity;

/// The reference by which garbage collection removes a child together with its Wukong, and by which we know a child for
/// ours.
///
/// It does not block the owner's deletion: where `OwnerReferencesPermissionEnforcement` is on, that would need the right
/// to update `wukongs/finalizers`, which the operator does without.
pub fn owner_reference(identity: &Identity) -> OwnerReference {
    OwnerReference {
        api_version: Wukong::api_version(&()).into_owned(),
        kind: Wukong::kind(&()).into_owned(),
        name: identity.name.clone(),
        uid: identity.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{ValidatedWukong, WukongSpec};

    #[test]
    fn it_names_the_wukong_as_controller_and_blocks_nothing() {
        let spec: WukongSpec = serde_json::from_value(json!({"cpu": 1, "memory": "1Gi"})).unwrap();
        let mut wukong = Wukong::new("web", spec);
        wukong.metadata.uid = Some("b1f7".into());
        let reference = owner_reference(&ValidatedWukong::try_from(&wukong).unwrap().identity);
        assert_eq!(
            serde_json::to_value(reference).unwrap(),
            json!({
                "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "name": "web", "uid": "b1f7",
                "controller": true, "blockOwnerDeletion": false,
            })
        );
    }
}
