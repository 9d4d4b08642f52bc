//! Outages of the API server, of webhooks and of permissions: what works goes on, and everything recovers by itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::time::sleep;
use wukong_api::names;
use wukong_lab::cluster::audit::Request;
use wukong_lab::cluster::operator::USER;
use wukong_lab::cluster::wait::eventually;
use wukong_lab::{Operator, OperatorOptions};

use support::{Cluster, DEADLINE, SCENARIO, Space, phase, root, wukong};

const NAD: &str = "NetworkAttachmentDefinition";
/// Most open descriptors of an operator while its API server comes and goes.
const DESCRIPTORS_MAX: usize = 64;

/// The cluster with an operator, as long as this is held.
struct Turn {
    cluster: &'static Cluster,
    operator: Operator,
    _alone: MutexGuard<'static, ()>,
}

async fn turn() -> Turn {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    let cluster = CLUSTER
        .get_or_init(|| Cluster::start("outages-tests", &[]))
        .await;
    // A test before this one may have restarted the API server.
    cluster.lab.policies_in_force().await.unwrap();
    let hasty = OperatorOptions::default().arg("--lease-seconds=3");
    let operator = cluster.operator_with(hasty).await;
    operator.ready().await.unwrap();
    Turn {
        cluster,
        operator,
        _alone: alone,
    }
}

fn on_lan(name: &str) -> Value {
    wukong(
        name,
        json!({"disks": [root()], "networks": [{"name": "lan", "type": "bridge"}]}),
    )
}

#[tokio::test]
async fn what_happens_before_a_compaction_is_noticed_and_nothing_else_is_written() {
    let turn = turn().await;
    let lab = &turn.cluster.lab;
    let space = turn.cluster.space("compacted").await;
    space.apply(&on_lan("web")).await;
    space.apply(&on_lan("other")).await;
    space.running("web").await;
    space.running("other").await;
    let nad = names::network_attachment_definition("web", "lan");
    let before = space.get(NAD, &nad).await["metadata"]["uid"].clone();

    // The connections of the frozen operator end with the API server, and its versions with the compaction.
    turn.operator.process().freeze();
    space.delete(NAD, &nad).await;
    space.gone(NAD, &nad).await;
    space.edit("other", json!({"powerState": "Stopped"})).await;
    lab.compact().await.unwrap();
    lab.restart_api_server().await.unwrap();
    let mark = space.mark();
    turn.operator.process().thaw();
    space
        .until(NAD, &nad, "made again", |nad| {
            let uid = &nad["metadata"]["uid"];
            (uid.is_string() && *uid != before).then_some(())
        })
        .await;
    space
        .wukong("other", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
    space.running("web").await;
    // The first write of the VM may go to a connection that ended. After a write without an answer, the operator applies
    // the cloud-init Secret again, too.
    let edited = [
        ("virtualmachines", "other".to_owned()),
        ("secrets", names::cloud_init_secret("other")),
    ];
    let writes = space.requested_since(mark).writes().filter(|request| {
        let expected = request.subresource == "status"
            || request.name == nad
            || edited.contains(&(request.resource.as_str(), request.name.clone()));
        !expected
    });
    assert!(writes.is_empty(), "{writes}");
    turn.operator.stop().await.unwrap();
}

#[tokio::test]
async fn an_api_server_that_comes_and_goes_costs_neither_a_restart_nor_descriptors_nor_events() {
    let turn = turn().await;
    let lab = &turn.cluster.lab;
    let space = turn.cluster.space("flaps").await;
    space.apply(&on_lan("web")).await;
    space.running("web").await;
    let pid = turn.operator.process().pid();
    let mark = space.mark();
    let mut descriptors = Vec::new();
    for cpu in [2, 1, 2] {
        lab.api_server().freeze();
        sleep(Duration::from_secs(2)).await;
        lab.api_server().thaw();
        lab.restart_api_server().await.unwrap();
        let edit = json!({"spec": {"cpu": cpu}});
        eventually("the API server takes an edit", DEADLINE, async || {
            let patch = kube::api::Patch::Merge(&edit);
            let api = space.api("Wukong");
            api.patch("web", &Default::default(), &patch)
                .await
                .map(drop)
        })
        .await
        .unwrap();
        space
            .until("VirtualMachine", "web", "edited", |vm| {
                let sockets = vm.pointer("/spec/template/spec/domain/cpu/sockets")?;
                (*sockets == json!(cpu)).then_some(())
            })
            .await;
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        descriptors.push(open.count());
    }
    turn.operator.process().check().unwrap();
    assert!(
        descriptors.iter().all(|count| *count <= DESCRIPTORS_MAX),
        "{descriptors:?}"
    );
    let events = lab.audit().since(mark).unwrap().of_user(USER).complete();
    let events = events.filter(|request| request.is_event() && request.namespace == space.name);
    assert!(events.len() <= 6, "two for each edit: {events}");
    turn.operator.stop().await.unwrap();
}

#[tokio::test]
async fn without_the_permission_for_one_kind_only_what_needs_it_waits() {
    let turn = turn().await;
    let space = turn.cluster.space("revoked").await;
    let roles: Api<ClusterRole> = Api::all(space.client.clone());
    let shipped = roles.get("wukong-operator").await.unwrap();
    let mut role = shipped.clone();
    for rule in role.rules.iter_mut().flatten() {
        if let Some(resources) = &mut rule.resources {
            resources.retain(|resource| resource != "network-attachment-definitions");
        }
    }
    let kept = |rule: &k8s_openapi::api::rbac::v1::PolicyRule| {
        rule.resources.as_ref().is_none_or(|it| !it.is_empty())
    };
    role.rules.as_mut().unwrap().retain(kept);
    let role = roles
        .replace("wukong-operator", &PostParams::default(), &role)
        .await
        .unwrap();
    // The API server learns of the role a moment later.
    let operator = space.lab.operator_client("revoked-test").await.unwrap();
    let nads = space.api(NAD);
    eventually("the permission is gone", DEADLINE, async || {
        let probe = json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": NAD, "metadata": {"name": "probe"}, "spec": {"config": "{}"}});
        let api: Api<kube::api::DynamicObject> =
            Api::namespaced_with(operator.clone(), &space.name, &support::resource(NAD).0);
        let params = kube::api::PatchParams::apply("probe").dry_run();
        match api.patch("probe", &params, &kube::api::Patch::Apply(probe)).await {
            Err(kube::Error::Api(status)) if status.message.contains("cannot patch") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();

    space.apply(&on_lan("wired")).await;
    space
        .apply(&wukong("plain", json!({"disks": [root()]})))
        .await;
    space.running("plain").await;
    let blocked = space
        .wukong("wired", "blocked by the permission", |wukong| {
            let message = wukong["status"]["blocker"]["message"].as_str();
            message.is_some_and(|message| message.contains("network-attachment-definitions"))
        })
        .await;
    assert!(
        space.get("VirtualMachine", "wired").await.is_null(),
        "{blocked}"
    );
    assert!(
        nads.list(&Default::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    space.edit("plain", json!({"powerState": "Stopped"})).await;
    space
        .wukong("plain", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;

    let mut role = role;
    role.rules = shipped.rules;
    roles
        .replace("wukong-operator", &PostParams::default(), &role)
        .await
        .unwrap();
    space.running("wired").await;
    turn.operator.stop().await.unwrap();
}

#[tokio::test]
async fn a_webhook_that_is_down_is_named_and_stops_only_what_it_admits() {
    let turn = turn().await;
    let space = turn.cluster.space("webhook").await;
    space.apply(&on_lan("before")).await;
    space.running("before").await;
    let kubevirt = Space::existing(turn.cluster, "kubevirt").await;
    let down = |scenario: Option<&str>| json!({"metadata": {"annotations": {SCENARIO: scenario}}});
    kubevirt
        .merge("KubeVirt", "kubevirt", down(Some("webhook-down")))
        .await;
    let waiting: Vec<String> = (0..20).map(|number| format!("waits-{number}")).collect();
    for name in &waiting {
        space.apply(&wukong(name, json!({}))).await;
    }
    for name in &waiting {
        space
            .until("Wukong", name, "blocked by the webhook", |wukong| {
                let message = wukong["status"]["blocker"]["message"].as_str()?;
                message.contains("webhook").then_some(())
            })
            .await;
    }
    // Others have a free slot: what needs no webhook of KubeVirt happens at once.
    let nad = names::network_attachment_definition("before", "lan");
    let config = space.get(NAD, &nad).await["spec"]["config"].clone();
    space
        .merge(NAD, &nad, json!({"spec": {"config": "{}"}}))
        .await;
    space
        .until(NAD, &nad, "repaired", |nad| {
            (nad["spec"]["config"] == config).then_some(())
        })
        .await;
    kubevirt.merge("KubeVirt", "kubevirt", down(None)).await;
    for name in &waiting {
        space.running(name).await;
    }
    turn.operator.stop().await.unwrap();
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_nothing_is_created() {
    let turn = turn().await;
    let space = turn.cluster.space("terminating").await;
    turn.operator.process().freeze();
    // Something holds the Wukong, and with it the namespace.
    let mut held = on_lan("web");
    held["metadata"]["finalizers"] = json!(["example.com/holds"]);
    space.apply(&held).await;
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    namespaces
        .delete(&space.name, &DeleteParams::default())
        .await
        .unwrap();
    space
        .until("Wukong", "web", "being deleted", |wukong| {
            let deleted = &wukong["metadata"]["deletionTimestamp"];
            deleted.is_string().then_some(())
        })
        .await;
    let mark = space.mark();
    turn.operator.process().thaw();
    space
        .until("Wukong", "web", "reported as being deleted", |wukong| {
            (phase(wukong) == "Deleting").then_some(())
        })
        .await;
    let creates = |request: &Request| {
        request.is_write() && !request.is_event() && request.subresource != "status"
    };
    let events = space
        .lab
        .audit()
        .since(mark)
        .unwrap()
        .of_user(USER)
        .complete();
    let events = events.filter(|request| request.is_event() && request.namespace == space.name);
    assert!(events.len() <= 1, "{events}");
    let writes = space.requested_since(mark).filter(creates);
    assert!(writes.is_empty(), "{writes}");
    let release = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    space.json_patch("Wukong", "web", release).await;
    space.gone("Wukong", "web").await;
    turn.operator.stop().await.unwrap();
}
