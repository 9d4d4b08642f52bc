//! Admission, asked through the API server.

use kube::api::{Patch, PatchParams};
use kube::core::params::ValidationDirective;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

#[derive(Deserialize)]
struct Case {
    id: String,
    verdict: String,
    object: Value,
}

#[tokio::test]
async fn every_recorded_object_gets_its_verdict() {
    let space = space("verdicts").await;
    let params = PatchParams {
        dry_run: true,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("a-user")
    };
    let mut disagreements = Vec::new();
    for line in include_str!("../../../../crates/wukong-sim/tests/kubevirt-verdicts.jsonl").lines()
    {
        let mut case: Case = serde_json::from_str(line).unwrap();
        case.object["metadata"]["namespace"] = json!(space.name);
        let name = case.object["metadata"]["name"].as_str().unwrap();
        let object = Patch::Apply(&case.object);
        let verdict = match space
            .api("VirtualMachine")
            .patch(name, &params, &object)
            .await
        {
            Ok(_) => "admitted",
            Err(kube::Error::Api(answer)) if answer.message.contains("denied the request: ") => {
                "denied"
            }
            Err(kube::Error::Api(_)) => "schema-rejected",
            Err(error) => panic!("{}: {error}", case.id),
        };
        if verdict != case.verdict {
            disagreements.push(format!(
                "{}: {} by KubeVirt, {verdict} here",
                case.id, case.verdict
            ));
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

#[tokio::test]
async fn data_volumes_are_immutable_and_never_take_over_a_claim() {
    let space = space("data-volumes").await;
    let foreign = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "foreign"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    space.apply(&foreign).await;
    let refused = |answer: kube::Result<Value>| match answer {
        Err(kube::Error::Api(answer)) => (answer.code, answer.message.clone()),
        other => panic!("{other:?}"),
    };
    let (code, message) = refused(space.try_apply(&image("foreign", "standard")).await);
    assert_eq!(code, 422, "{message}");
    assert!(
        message.contains(&format!(
            "Destination PVC {}/foreign already exists",
            space.name
        )),
        "{message}"
    );

    space.apply(&image("mine", "standard")).await;
    let mut other = image("mine", "standard");
    other["spec"]["storage"]["resources"]["requests"]["storage"] = json!("2Gi");
    let (_, message) = refused(space.try_apply(&other).await);
    assert!(
        message.contains("Cannot update DataVolume Spec"),
        "{message}"
    );

    let mut adopting = image("foreign", "standard");
    adopting["metadata"]["annotations"] = json!({"cdi.kubevirt.io/allowClaimAdoption": "true"});
    space.apply(&adopting).await;
    space
        .until("DataVolume", "foreign", "adopted", |dv| {
            (dv["status"]["phase"] == "Succeeded").then_some(())
        })
        .await;
    let claim = space.get("PersistentVolumeClaim", "foreign").await;
    assert_eq!(claim["metadata"]["ownerReferences"][0]["name"], "foreign");
}

#[tokio::test]
async fn a_snapshot_or_restore_in_progress_holds_the_disks() {
    let space = space("snapshot").await;
    space.apply(&virtual_machine("vm", "Halted")).await;
    until_printable(&space, "vm", "Stopped").await;
    let status = Patch::Merge(json!({"status": {"snapshotInProgress": "snap"}}));
    let vms = space.api("VirtualMachine");
    vms.patch_status("vm", &PatchParams::default(), &status)
        .await
        .unwrap();
    let changed = with(
        virtual_machine("vm", "Halted"),
        json!({"volumes": [{"name": "root", "dataVolume": {"name": "other"}}]}),
    );
    let error = space.try_apply(&changed).await.unwrap_err().to_string();
    assert!(
        error.contains("Cannot update vm disks or volumes until snapshot \"snap\" completes"),
        "{error}"
    );
}
