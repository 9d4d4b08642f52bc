//! Life cycles of DataVolumes and claims.

use super::*;
use crate::support::condition;

/// `phase Bound.reason Running.reason`
fn state(dv: &Value) -> String {
    let phase = dv["status"]["phase"].as_str().unwrap_or("-");
    let progress = dv["status"]["progress"].as_str().unwrap_or_default();
    let reason = |kind| condition(dv, kind).1;
    format!(
        "{phase} {progress} {} {}",
        reason("Bound"),
        reason("Running")
    )
}

async fn import(space: &Space<'_>, name: &str, class: &str) -> Vec<String> {
    let last = "Succeeded 100.0% Bound Completed";
    shows(
        space,
        ("DataVolume", name),
        state,
        last,
        space.apply(&image(name, class)),
    )
    .await
}

async fn succeeded(space: &Space<'_>, name: &str) -> Value {
    space
        .until("DataVolume", name, "imported", |dv| {
            (dv["status"]["phase"] == "Succeeded").then(|| dv.clone())
        })
        .await
}

#[tokio::test]
async fn an_import_binds_first_without_csi_and_last_with_it() {
    let space = space("imports").await;
    assert_eq!(
        import(&space, "fixed", "fixed").await,
        [
            "-   ",
            "Pending  Pending ",
            "ImportScheduled N/A Bound ContainerCreating",
            "ImportInProgress N/A Bound Pod is running",
            "ImportInProgress 33.33% Bound Pod is running",
            "ImportInProgress 66.66% Bound Pod is running",
            "Succeeded 100.0% Bound Completed",
        ]
    );
    let seen = import(&space, "csi", "standard").await;
    assert!(
        seen.contains(&"ImportInProgress 66.66% Pending Pod is running".to_owned()),
        "Bound=False is normal during an import with CSI: {seen:?}"
    );
}

#[tokio::test]
async fn first_consumers_are_waited_for() {
    let space = space("first-consumer").await;
    for (class, phase) in [
        ("local-path", "WaitForFirstConsumer"),
        ("standard-wffc", "PendingPopulation"),
    ] {
        space.apply(&image(class, class)).await;
        space
            .until("DataVolume", class, phase, |dv| {
                (dv["status"]["phase"] == phase).then_some(())
            })
            .await;
        space.apply(&virtual_machine(class, "Always")).await;
        until_printable(&space, class, "WaitingForVolumeBinding").await;
        until_printable(&space, class, "Running").await;
        succeeded(&space, class).await;
    }
    let pods = space.names("Pod").await;
    assert_eq!(
        pods.len(),
        2,
        "the pod that bound the claim is gone: {pods:?}"
    );
}

#[tokio::test]
async fn a_claim_carries_what_its_data_volume_says() {
    let space = space("claims").await;
    let mut dv = image("disk", "standard");
    dv["metadata"]["labels"] = json!({"color": "red", "app.kubernetes.io/managed-by": "me"});
    space.apply(&dv).await;
    let dv = succeeded(&space, "disk").await;
    let claim = space.get("PersistentVolumeClaim", "disk").await;
    assert_eq!(
        claim["metadata"]["ownerReferences"][0]["uid"],
        dv["metadata"]["uid"]
    );
    assert_eq!(claim["metadata"]["labels"]["color"], "red");
    assert_eq!(
        claim["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "cdi-controller"
    );
    assert_eq!(claim["status"]["phase"], "Bound");
    assert_eq!(
        claim["status"]["capacity"],
        claim["spec"]["resources"]["requests"]
    );
    assert!(
        claim["spec"]["volumeName"]
            .as_str()
            .unwrap()
            .starts_with("pvc-")
    );
}

#[tokio::test]
async fn imports_fail_in_their_own_words_and_heal() {
    let space = space("failing-imports").await;
    let failures = [
        ("import-dns", ": i/o timeout"),
        ("import-network", "i/o timeout"),
        ("import-tls", "x509"),
        ("import-auth", "401"),
        ("import-notfound", "404"),
        ("import-space", "DataVolume too small to contain image"),
        ("import-format", "could not process image header"),
    ];
    for (name, _) in failures {
        let mut dv = image(name, "standard");
        merge(&mut dv, scenario(name));
        space.apply(&dv).await;
    }
    for (name, words) in failures {
        space
            .until("DataVolume", name, words, |dv| {
                let (status, reason, message) = condition(dv, "Running");
                let restarts = dv["status"]["restartCount"].as_i64().unwrap_or_default();
                ((status, reason) == ("False", "Error") && message.contains(words) && restarts > 0)
                    .then_some(())
            })
            .await;
        space.apply(&image(name, "standard")).await;
    }
    for (name, _) in failures {
        succeeded(&space, name).await;
    }
}

#[tokio::test]
async fn a_real_quota_stops_a_claim_until_it_is_raised() {
    let space = space("quota").await;
    let mut quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": {"requests.storage": "1Gi"}},
    });
    space.apply(&quota).await;
    space
        .until("ResourceQuota", "q", "counted", |quota| {
            quota["status"]["used"].is_object().then_some(())
        })
        .await;
    // 6% for the file system do not fit any more.
    space.apply(&image("disk", "standard")).await;
    space
        .until("DataVolume", "disk", "over quota", |dv| {
            let (_, reason, message) = condition(dv, "Bound");
            (reason == "ErrExceededQuota" && message.contains("exceeded quota: q")).then_some(())
        })
        .await;
    assert!(space.names("PersistentVolumeClaim").await.is_empty());
    quota["spec"]["hard"]["requests.storage"] = json!("2Gi");
    space.apply(&quota).await;
    succeeded(&space, "disk").await;
}

#[tokio::test]
async fn a_claim_grows_where_its_class_allows_it() {
    let space = space("expansion").await;
    let more = || json!({"spec": {"resources": {"requests": {"storage": "5Gi"}}}});
    for name in ["standard", "fixed"] {
        space.apply(&image(name, name)).await;
        succeeded(&space, name).await;
    }
    let claim = ("PersistentVolumeClaim", "standard");
    space.merge(claim.0, claim.1, more()).await;
    // The volume has grown; its file system grows when a node mounts it.
    space
        .until(claim.0, claim.1, "waiting for a pod", |claim| {
            let waits = condition(claim, "FileSystemResizePending").0 == "True";
            (waits && claim["status"]["capacity"]["storage"] != "5Gi").then_some(())
        })
        .await;
    space.apply(&virtual_machine("standard", "Always")).await;
    space
        .until(claim.0, claim.1, "grown", |claim| {
            (claim["status"]["capacity"]["storage"] == "5Gi").then_some(())
        })
        .await;
    let claims = space.api("PersistentVolumeClaim");
    let patch = kube::api::Patch::Merge(more());
    let refused = claims
        .patch("fixed", &Default::default(), &patch)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("forbidden"), "{refused}");
}

#[tokio::test]
async fn a_claim_that_is_deleted_is_imported_again() {
    let space = space("deleted-claim").await;
    space.apply(&image("disk", "standard")).await;
    succeeded(&space, "disk").await;
    let first = space.get("PersistentVolumeClaim", "disk").await;
    space.delete("PersistentVolumeClaim", "disk").await;
    space
        .until("PersistentVolumeClaim", "disk", "new and bound", |claim| {
            (claim["metadata"]["uid"] != first["metadata"]["uid"]
                && claim["status"]["phase"] == "Bound")
                .then_some(())
        })
        .await;
    succeeded(&space, "disk").await;
}

#[tokio::test]
async fn an_orphaned_claim_keeps_its_data() {
    let space = space("orphan").await;
    space.apply(&image("disk", "standard")).await;
    succeeded(&space, "disk").await;
    space
        .delete_with("DataVolume", "disk", kube::api::PropagationPolicy::Orphan)
        .await;
    space.gone("DataVolume", "disk").await;
    let kept = space.get("PersistentVolumeClaim", "disk").await;
    assert!(kept["metadata"]["ownerReferences"].is_null());
    let refused = space
        .try_apply(&image("disk", "standard"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("already exists"), "{refused}");

    let mut adopting = image("disk", "standard");
    adopting["metadata"]["annotations"] = json!({"cdi.kubevirt.io/allowClaimAdoption": "true"});
    space.apply(&adopting).await;
    succeeded(&space, "disk").await;
    space.delete("DataVolume", "disk").await;
    space.gone("PersistentVolumeClaim", "disk").await;
}
