//! Start, stop and their like, through the aggregated API.

use http::{Request, Response, StatusCode, header::ACCEPT};

use super::*;

/// Asks as virtctl does; returns the status and the body.
async fn ask(
    space: &Space<'_>,
    kind: &str,
    name: &str,
    verb: &str,
    accept: &str,
) -> (StatusCode, String) {
    let path = format!(
        "/apis/subresources.kubevirt.io/v1/namespaces/{}/{kind}/{name}/{verb}",
        space.name
    );
    let request = Request::put(path)
        .header(ACCEPT, accept)
        .body(kube::client::Body::from(b"{}".to_vec()))
        .unwrap();
    let answer: Response<kube::client::Body> = space.client.send(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect_bytes().await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn vm(space: &Space<'_>, name: &str, verb: &str) -> (u16, String) {
    let (status, body) = ask(space, "virtualmachines", name, verb, "*/*").await;
    let message = serde_json::from_str::<Value>(&body)
        .ok()
        .and_then(|body| body["message"].as_str().map(str::to_owned));
    (status.as_u16(), message.unwrap_or(body))
}

#[tokio::test]
async fn stop_and_start_write_the_run_strategy_as_virt_api() {
    let space = space("power").await;
    running(&space, "vm").await;
    let (status, _) = ask(&space, "virtualmachines", "vm", "stop", "application/json").await;
    assert_eq!(status, StatusCode::NOT_ACCEPTABLE);
    let (status, message) = vm(&space, "vm", "start").await;
    assert_eq!(status, 409);
    assert!(message.contains("VM is already running"), "{message}");

    assert_eq!(vm(&space, "vm", "stop").await, (202, String::new()));
    let stopped = until_printable(&space, "vm", "Stopped").await;
    assert_eq!(stopped["spec"]["runStrategy"], "Halted");
    assert_eq!(space.names("Pod").await, Vec::<String>::new());
    let (status, message) = vm(&space, "vm", "stop").await;
    assert_eq!(status, 409);
    assert!(message.contains("VM is not running"), "{message}");

    let unforced = kube::api::PatchParams::apply("a-user");
    let desired = kube::api::Patch::Apply(virtual_machine("vm", "Always"));
    let conflict = space
        .api("VirtualMachine")
        .patch("vm", &unforced, &desired)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        conflict.contains("conflict with \"virt-api\"") && conflict.contains(".spec.runStrategy"),
        "{conflict}"
    );

    assert_eq!(vm(&space, "vm", "start").await, (202, String::new()));
    let started = until_ready(&space, "vm").await;
    assert_eq!(started["spec"]["runStrategy"], "Always");
}

#[tokio::test]
async fn restart_pause_and_migrate_reach_the_instance() {
    let space = space("instance").await;
    let mut shared = data_volume("vm", "standard", json!({"blank": {}}));
    shared["spec"]["storage"]["accessModes"] = json!(["ReadWriteMany"]);
    space.apply(&shared).await;
    space.apply(&virtual_machine("vm", "Always")).await;
    until_ready(&space, "vm").await;
    let first = space.get("VirtualMachineInstance", "vm").await;

    let (status, _) = ask(&space, "virtualmachineinstances", "vm", "pause", "*/*").await;
    assert!(status.is_success(), "{status}");
    until_printable(&space, "vm", "Paused").await;
    let (status, _) = ask(&space, "virtualmachineinstances", "vm", "unpause", "*/*").await;
    assert!(status.is_success(), "{status}");
    until_printable(&space, "vm", "Running").await;

    let target = match first["status"]["nodeName"].as_str().unwrap() {
        "node-1" => "node-2",
        _ => "node-1",
    };
    let node = |vmi: &Value| {
        vmi["status"]["nodeName"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let instance = ("VirtualMachineInstance", "vm");
    let migrated = shows(&space, instance, node, target, vm(&space, "vm", "migrate"));
    assert_eq!(migrated.await.len(), 2);

    until_ready(&space, "vm").await;
    assert_eq!(vm(&space, "vm", "restart").await.0, 202);
    space
        .until("VirtualMachineInstance", "vm", "another one", |vmi| {
            (vmi.is_object() && vmi["metadata"]["uid"] != first["metadata"]["uid"]).then_some(())
        })
        .await;
    until_ready(&space, "vm").await;
}

#[tokio::test]
async fn a_manual_vm_starts_on_request_only() {
    let space = space("manual").await;
    space
        .apply(&data_volume("vm", "standard", json!({"blank": {}})))
        .await;
    space.apply(&virtual_machine("vm", "Manual")).await;
    until_printable(&space, "vm", "Stopped").await;
    assert_eq!(vm(&space, "vm", "start").await.0, 202);
    let started = until_ready(&space, "vm").await;
    assert_eq!(started["spec"]["runStrategy"], "Manual");
    assert_eq!(vm(&space, "vm", "stop").await.0, 202);
    until_printable(&space, "vm", "Stopped").await;
}

#[tokio::test]
async fn a_vm_whose_disk_is_not_shared_does_not_migrate() {
    let space = space("unshared").await;
    running(&space, "vm").await;
    let (status, message) = vm(&space, "vm", "migrate").await;
    assert_eq!(status, 500);
    assert!(
        message.contains("Cannot migrate VMI, Reason: DisksNotLiveMigratable"),
        "{message}"
    );
}
