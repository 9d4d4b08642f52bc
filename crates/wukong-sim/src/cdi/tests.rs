use serde_json::{Value, json};

use super::*;
use crate::change::Refusal;
use crate::kind::Ref;
use crate::scenario::ANNOTATION;
use crate::storage::SELECTED_NODE;
use crate::testing::{Sim, condition};

const NS: &str = "default";

fn cluster() -> Sim {
    let mut sim = Sim::default();
    for (class, mode) in offered() {
        let name = class["metadata"]["name"].clone();
        sim.put(Kind::StorageClass, class);
        sim.put(
            Kind::StorageProfile,
            json!({"metadata": {"name": name}, "status": {"claimPropertySets":
                [{"accessModes": [mode], "volumeMode": "Filesystem"}]}}),
        );
    }
    sim.put(Kind::Node, json!({"metadata": {"name": "node-1"}}));
    sim
}

fn data_volume(class: &str) -> Value {
    json!({
        "metadata": {"name": "d", "namespace": NS, "labels": {"vm.novasphere.dev/wukong": "w",
            "app.kubernetes.io/managed-by": "us"}, "annotations": {"a": "b"}},
        "spec": {"source": {"http": {"url": "https://images.example.com/x.qcow2"}}, "storage":
            {"storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}}},
    })
}

fn dv() -> Ref {
    Ref::new(Kind::DataVolume, NS, "d")
}

fn claim() -> Ref {
    Ref::new(Kind::Claim, NS, "d")
}

fn scenario(sim: &mut Sim, text: Option<&str>) {
    sim.edit(
        &dv(),
        json!({"metadata": {"annotations": {ANNOTATION: text}}}),
    );
}

fn step(sim: &mut Sim) -> bool {
    sim.step("disk", |world, moment| next(world, NS, "d", moment))
}

/// Steps until nothing is written for a while; returns `phase Bound=.. Running=..` and so on, as it changed.
fn watch(sim: &mut Sim, steps: u32) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..steps {
        step(sim);
        let object = sim.object(&dv());
        let (status, claim) = (&object["status"], sim.object(&claim()));
        let first = |kind: &str| {
            condition(&object, kind)
                .split(' ')
                .take(2)
                .collect::<Vec<_>>()
                .join(":")
        };
        let line = format!(
            "{} {} claim={} bound={} running={}",
            status["phase"].as_str().unwrap_or("-"),
            status["progress"].as_str().unwrap_or("-"),
            claim["status"]["phase"]
                .as_str()
                .unwrap_or(if claim.is_null() { "none" } else { "-" }),
            first("Bound"),
            first("Running"),
        );
        if seen.last() != Some(&line) {
            seen.push(line);
        }
    }
    seen
}

fn select_node(sim: &mut Sim) {
    sim.edit(
        &claim(),
        json!({"metadata": {"annotations": {SELECTED_NODE: "node-1"}}}),
    );
}

#[test]
fn immediate_without_csi_binds_first() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("fixed"));
    assert_eq!(
        watch(&mut sim, 20),
        [
            "Pending - claim=- bound=False:Pending running=False",
            "Pending - claim=Bound bound=False:Pending running=False",
            "ImportScheduled N/A claim=Bound bound=True:Bound running=False:ContainerCreating",
            "ImportInProgress N/A claim=Bound bound=True:Bound running=True:Pod",
            "ImportInProgress 33.33% claim=Bound bound=True:Bound running=True:Pod",
            "ImportInProgress 66.66% claim=Bound bound=True:Bound running=True:Pod",
            "Succeeded 100.0% claim=Bound bound=True:Bound running=False:Completed",
        ]
    );
    assert!(!step(&mut sim), "a settled DataVolume is quiet");
}

#[test]
fn first_consumer_without_csi() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("local-path"));
    assert_eq!(
        watch(&mut sim, 10).last().unwrap(),
        "WaitForFirstConsumer - claim=- bound=False:Pending running=False"
    );
    select_node(&mut sim);
    let phases: Vec<String> = watch(&mut sim, 20)
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        phases,
        [
            "WaitForFirstConsumer",
            "PVCBound",
            "ImportScheduled",
            "ImportInProgress",
            "ImportInProgress",
            "ImportInProgress",
            "Succeeded"
        ]
    );
}

#[test]
fn csi_imports_before_it_binds() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("standard"));
    let seen = watch(&mut sim, 20);
    assert!(
        seen.contains(
            &"ImportInProgress 66.66% claim=- bound=False:Pending running=True:Pod".to_owned()
        ),
        "Bound=False is normal during an import on CSI: {seen:?}"
    );
    assert_eq!(
        seen.last().unwrap(),
        "Succeeded 100.0% claim=Bound bound=True:Bound running=False:Completed"
    );
    let claim = sim.object(&claim());
    assert_eq!(
        claim["spec"]["resources"]["requests"]["storage"],
        "1138166334"
    );
    assert_eq!(claim["status"]["capacity"]["storage"], "1138166334");
    assert_eq!(
        claim["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "cdi-controller"
    );
    assert_eq!(claim["metadata"]["labels"]["vm.novasphere.dev/wukong"], "w");
    assert_eq!(claim["metadata"]["annotations"]["a"], "b");
    assert_eq!(
        sim.object(&dv())["metadata"]["annotations"][USE_POPULATOR],
        "true"
    );
}

#[test]
fn first_consumer_with_csi_is_pending_population() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("standard-wffc"));
    assert_eq!(
        watch(&mut sim, 10).last().unwrap(),
        "PendingPopulation - claim=- bound=False:Pending running=False"
    );
    select_node(&mut sim);
    assert!(watch(&mut sim, 20).last().unwrap().starts_with("Succeeded"));
}

#[test]
fn the_claim_exists_with_the_first_step() {
    for class in ["standard", "standard-wffc", "local-path", "fixed"] {
        let mut sim = cluster();
        sim.put(Kind::DataVolume, data_volume(class));
        step(&mut sim);
        assert_eq!(sim.object(&claim())["spec"]["storageClassName"], class);
    }
}

#[test]
fn a_crashing_importer_flaps_and_heals() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("standard"));
    scenario(&mut sim, Some("import-dns"));
    let seen = watch(&mut sim, 60);
    assert!(
        seen.iter()
            .all(|line| !line.starts_with("Failed") && !line.starts_with("Succeeded")),
        "{seen:?}"
    );
    let object = sim.object(&dv());
    assert!(object["status"]["restartCount"].as_i64().unwrap() >= 3);
    // The words flap, but stick in Bound.
    assert!(condition(&object, "Bound").contains("lookup images.example.com: i/o timeout"));
    let (dead, alive): (Vec<_>, Vec<_>) = seen
        .iter()
        .skip(5)
        .partition(|line| line.contains("running=False:Error"));
    assert!(dead.len() >= 3 && alive.len() >= 3, "{seen:?}");

    scenario(&mut sim, None);
    assert!(
        watch(&mut sim, 90)
            .last()
            .unwrap()
            .starts_with("Succeeded 100.0%")
    );
}

#[test]
fn what_stops_before_the_import() {
    for (name, expected) in [
        (
            "image-pull",
            "ImportScheduled N/A claim=- bound=False:Pending running=False:ImagePullFailed",
        ),
        (
            "importer-unschedulable",
            "ImportScheduled N/A claim=- bound=False:Pending running=False:Unschedulable",
        ),
        (
            "claim-never-binds",
            "Pending - claim=- bound=False:Pending running=False",
        ),
        (
            "quota",
            "Pending - claim=none bound=False:ErrExceededQuota running=False",
        ),
        (
            "checksum",
            "Failed N/A claim=- bound=False:Pending running=False:ChecksumError",
        ),
        (
            "claim-lost=early",
            "Failed N/A claim=Lost bound=False:ClaimLost running=False",
        ),
        (
            "claim-lost",
            "Succeeded 100.0% claim=Lost bound=False:ClaimLost running=False:Completed",
        ),
    ] {
        let mut sim = cluster();
        sim.put(Kind::DataVolume, data_volume("standard"));
        scenario(&mut sim, Some(name));
        assert_eq!(watch(&mut sim, 30).last().unwrap(), expected, "{name}");
        assert!(!step(&mut sim), "{name} settles");
        scenario(&mut sim, None);
        assert!(
            watch(&mut sim, 40)
                .last()
                .unwrap()
                .starts_with("Succeeded 100.0% claim=Bound"),
            "{name} heals"
        );
    }
}

#[test]
fn no_claim_without_a_class_to_take_it_from() {
    let mut sim = cluster();
    let mut object = data_volume("nope");
    sim.put(Kind::DataVolume, object.clone());
    assert_eq!(
        watch(&mut sim, 3).last().unwrap(),
        "- - claim=none bound=False:ErrClaimNotValid running=False"
    );
    let text = "PVC spec is missing accessMode and no storageClass to choose profile";
    assert!(condition(&sim.object(&dv()), "Bound").ends_with(text));

    object["spec"]["storage"]["accessModes"] = json!(["ReadWriteOnce"]);
    let mut sim = cluster();
    sim.put(Kind::DataVolume, object);
    assert_eq!(
        watch(&mut sim, 9).last().unwrap(),
        "Pending - claim=- bound=False:Pending running=False"
    );
    assert!(sim.was_reported("storageclass.storage.k8s.io \"nope\" not found"));
}

#[test]
fn a_real_quota_is_reported_in_its_own_words() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("standard"));
    let message = "persistentvolumeclaims \"d\" is forbidden: exceeded quota: q, requested: ...";
    sim.refuse = Some(Refusal {
        kind: Kind::Claim,
        message: message.into(),
    });
    watch(&mut sim, 4);
    assert_eq!(
        condition(&sim.object(&dv()), "Bound"),
        format!("False ErrExceededQuota {message}")
    );
    sim.refuse = None;
    assert!(watch(&mut sim, 60).last().unwrap().starts_with("Succeeded"));
}

#[test]
fn an_importer_that_the_kernel_kills_leaves_the_end_of_its_log() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("fixed"));
    scenario(&mut sim, Some("import-oom"));
    watch(&mut sim, 10);
    let running = condition(&sim.object(&dv()), "Running");
    assert!(running.starts_with("False OOMKilled I0101"), "{running}");
    let pod = sim.object(&Ref::new(Kind::Pod, NS, "importer-d"));
    let container = &pod["status"]["containerStatuses"][0];
    let ended = [&container["state"], &container["lastState"]];
    assert!(
        ended
            .iter()
            .any(|state| state["terminated"]["exitCode"] == 137),
        "{container}"
    );
}

#[test]
fn an_importer_without_its_secret_is_not_made() {
    let mut sim = cluster();
    let mut object = data_volume("fixed");
    object["spec"]["source"]["http"]["secretRef"] = json!("login");
    sim.put(Kind::DataVolume, object);
    watch(&mut sim, 10);
    assert_eq!(
        condition(&sim.object(&dv()), "Running"),
        "False CreateContainerConfigError secret \"login\" not found"
    );
    assert!(sim.was_reported("Failed: Error: secret \"login\" not found"));
    sim.put(
        Kind::Secret,
        json!({"metadata": {"name": "login", "namespace": NS}}),
    );
    assert!(watch(&mut sim, 20).last().unwrap().starts_with("Succeeded"));
}

#[test]
fn a_refused_importer_is_an_error_of_its_start() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("fixed"));
    watch(&mut sim, 2);
    let message = "pods \"importer-d\" is forbidden: exceeded quota: q, requested: ...";
    sim.refuse = Some(Refusal {
        kind: Kind::Pod,
        message: message.into(),
    });
    watch(&mut sim, 4);
    assert_eq!(
        condition(&sim.object(&dv()), "Running"),
        format!("False ErrStartingPod {message}")
    );
    assert!(
        sim.was_reported("ErrStartingPod: Error starting pod 'importer-d': For more information")
    );
    sim.refuse = None;
    assert!(watch(&mut sim, 60).last().unwrap().starts_with("Succeeded"));
}

#[test]
fn a_deleted_claim_is_imported_again() {
    let mut sim = cluster();
    sim.put(Kind::DataVolume, data_volume("standard"));
    watch(&mut sim, 20);
    sim.world.remove(&claim());
    let seen = watch(&mut sim, 20);
    assert!(
        seen.first().unwrap().starts_with("Pending - claim=-"),
        "{seen:?}"
    );
    assert!(seen.last().unwrap().starts_with("Succeeded"));
}

#[test]
fn a_claim_that_was_there_first() {
    let foreign = || {
        json!({"metadata": {"name": "d", "namespace": NS}, "spec": {"storageClassName": "standard",
        "resources": {"requests": {"storage": "1Gi"}}}})
    };
    let mut sim = cluster();
    sim.put(Kind::Claim, foreign());
    sim.put(Kind::DataVolume, data_volume("standard"));
    assert_eq!(
        watch(&mut sim, 5).last().unwrap(),
        "Pending - claim=Bound bound=True:Bound running=False"
    );
    assert!(sim.was_reported("ErrResourceExists"));

    let mut sim = cluster();
    sim.put(Kind::Claim, foreign());
    let mut adopting = data_volume("standard");
    adopting["metadata"]["annotations"][ADOPTION] = json!("true");
    sim.put(Kind::DataVolume, adopting);
    assert!(
        watch(&mut sim, 1)
            .last()
            .unwrap()
            .starts_with("Succeeded N/A"),
        "at once, without import"
    );
    watch(&mut sim, 5);
    assert_eq!(
        sim.object(&claim())["metadata"]["ownerReferences"][0]["kind"],
        "DataVolume"
    );
    assert!(!step(&mut sim));
}

#[test]
fn plain_claims_bind_and_grow() {
    let plain = |class: &str| {
        json!({"metadata": {"name": "d", "namespace": NS}, "spec": {"storageClassName": class,
        "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem", "resources": {"requests": {"storage": "1Gi"}}}})
    };
    let mut sim = cluster();
    sim.put(Kind::Claim, plain("standard-wffc"));
    watch(&mut sim, 3);
    assert!(
        sim.object(&claim())["status"].is_null(),
        "waits for its consumer"
    );
    select_node(&mut sim);
    watch(&mut sim, 3);
    assert_eq!(sim.object(&claim())["status"]["phase"], "Bound");

    sim.edit(
        &claim(),
        json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}),
    );
    watch(&mut sim, 5);
    let waiting = sim.object(&claim());
    assert!(condition(&waiting, "FileSystemResizePending").starts_with("True"));
    assert_eq!(waiting["status"]["capacity"]["storage"], "1Gi");
    sim.put(
        Kind::Pod,
        json!({"metadata": {"name": "p", "namespace": NS}, "status": {"phase": "Running"},
        "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "d"}}]}}),
    );
    watch(&mut sim, 3);
    let grown = sim.object(&claim());
    assert_eq!(grown["status"]["capacity"]["storage"], "2Gi");
    assert_eq!(grown["status"]["conditions"], json!([]));
    assert!(!step(&mut sim));
}
