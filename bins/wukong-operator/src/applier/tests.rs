//! Tests of the exact requests, and of the meaning of each response. The responses are those of a kube-apiserver 1.36.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock::{self, Handle};
use wukong_api::Bytes;

use super::*;
use crate::leader::Leadership;

pub(super) type Server = Handle<Request<Body>, Response<Body>>;

pub(super) fn applier() -> (Applier, Server) {
    led_by(Leadership::always())
}

fn led_by(leadership: Leadership) -> (Applier, Server) {
    let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let applier = Applier::new(client, 4, leadership, "me".into(), Metrics::default());
    (applier, server)
}

pub(super) fn subject() -> Subject {
    Subject {
        namespace: "shop".into(),
        name: "web".into(),
        uid: "w1".into(),
    }
}

fn target(kind: Kind, name: &str) -> Target {
    Target {
        kind,
        name: name.into(),
    }
}

fn apply(kind: Kind, expect: Expect) -> Apply {
    Apply {
        target: target(kind, "web"),
        expect,
        body: json!({"apiVersion": "x/v1", "kind": kind.as_ref(), "metadata": {"name": "web", "labels": {"a": "b"}},
                     "data": {"userdata": "c2VjcmV0"}}),
        hash: "h".into(),
    }
}

/// A received request.
pub(super) struct Seen {
    pub line: String,
    content_type: String,
    accept: String,
    body: Value,
}

/// Receives the next request and responds to it.
pub(super) async fn answer(server: &mut Server, code: u16, body: impl Into<Value>) -> Seen {
    answer_with(server, Response::builder().status(code), body.into()).await
}

async fn answer_with(
    server: &mut Server,
    response: http::response::Builder,
    answer: Value,
) -> Seen {
    let (request, respond) = server.next_request().await.expect("a request is sent");
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
    let body = body.collect_bytes().await.unwrap();
    let text = match answer {
        Value::String(text) => text,
        Value::Null => String::new(),
        object => object.to_string(),
    };
    respond.send_response(response.body(Body::from(text.into_bytes())).unwrap());
    Seen {
        line: format!("{} {}", head.method, head.uri),
        content_type: header("content-type"),
        accept: header("accept"),
        body: match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body).unwrap(),
        },
    }
}

fn modified() -> Value {
    json!({"kind": "Status", "reason": "Conflict", "code": 409,
           "message": "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again"})
}

fn test_failed() -> Value {
    json!({"kind": "Status", "reason": "Invalid", "code": 422, "details": {},
           "message": "the server rejected our request due to an error in our request"})
}

const VM: &str = "/apis/kubevirt.io/v1/namespaces/shop/virtualmachines/web";
const SECRET: &str = "/api/v1/namespaces/shop/secrets/web";
const APPLY_QUERY: &str =
    "fieldManager=wukong-operator&force=true&fieldValidation=Strict&timeout=9s";
const PATCH_QUERY: &str = "fieldManager=wukong-operator&timeout=9s";

#[tokio::test]
async fn an_existing_object_is_applied_under_its_uid_and_version() {
    let (applier, mut server) = applier();
    let expect = Expect::Present {
        uid: "u1".into(),
        resource_version: Some("7".into()),
    };
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, expect));
    let stored = json!({"metadata": {"name": "web", "resourceVersion": "8"}});
    let (result, seen) = tokio::join!(
        applier.apply(&subject, &apply),
        answer(&mut server, 200, stored.clone())
    );
    assert_eq!(result.unwrap(), stored);
    assert_eq!(seen.line, format!("PATCH {VM}?{APPLY_QUERY}"));
    assert_eq!(seen.content_type, "application/apply-patch+yaml");
    assert_eq!(
        seen.body["metadata"],
        json!({"name": "web", "labels": {"a": "b"}, "uid": "u1", "resourceVersion": "7"})
    );
}

#[tokio::test]
async fn an_absent_object_is_created_and_never_adopted() {
    let (applier, mut server) = applier();
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, Expect::Absent));
    let (result, seen) = tokio::join!(
        applier.apply(&subject, &apply),
        answer(&mut server, 409, modified())
    );
    assert_eq!(
        seen.body["metadata"]["resourceVersion"], "1",
        "a version that no object has"
    );
    assert_eq!(seen.body["metadata"].get("uid"), None);
    let error = result.unwrap_err();
    assert_eq!(error.cause, Cause::NameTaken);
    assert!(
        error.message.contains("VirtualMachine/web"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn the_response_to_a_created_secret_has_no_content() {
    let (applier, mut server) = applier();
    let expect = Expect::AbsentOrControlledBy("w1".into());
    let (subject, apply) = (subject(), apply(Kind::Secret, expect));
    let (result, seen) = tokio::join!(
        applier.apply(&subject, &apply),
        answer(&mut server, 201, json!({"metadata": {}}))
    );
    result.unwrap();
    assert_eq!(seen.line, format!("PATCH {SECRET}?{APPLY_QUERY}"));
    assert_eq!(
        seen.accept,
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    );
}

#[tokio::test]
async fn an_own_secret_is_patched_under_a_test_of_its_controller() {
    let (applier, mut server) = applier();
    let expect = Expect::AbsentOrControlledBy("w1".into());
    let (subject, apply) = (subject(), apply(Kind::Secret, expect));
    let serve = async {
        answer(&mut server, 409, modified()).await;
        answer(&mut server, 200, json!({"metadata": {}})).await
    };
    let (result, seen) = tokio::join!(applier.apply(&subject, &apply), serve);
    result.unwrap();
    assert_eq!(seen.line, format!("PATCH {SECRET}?{PATCH_QUERY}"));
    assert_eq!(seen.content_type, "application/json-patch+json");
    assert!(seen.accept.contains("PartialObjectMetadata"));
    assert_eq!(
        seen.body,
        json!([
            {"op": "test", "path": "/metadata/ownerReferences/0/uid", "value": "w1"},
            {"op": "test", "path": "/metadata/ownerReferences/0/controller", "value": true},
            {"op": "add", "path": "/metadata/labels/a", "value": "b"},
            {"op": "add", "path": "/data", "value": {"userdata": "c2VjcmV0"}},
        ])
    );
}

#[tokio::test]
async fn our_owner_reference_is_found_among_others_and_missing_labels_are_added() {
    let (applier, mut server) = applier();
    let expect = Expect::AbsentOrControlledBy("w1".into());
    let mut apply = apply(Kind::Secret, expect);
    apply.body["metadata"]["labels"] = json!({"x.io/a~b": "c"});
    let subject = subject();
    let serve = async {
        answer(&mut server, 409, modified()).await;
        let mut tried = Vec::new();
        for _ in 0..OWNERS_MAX {
            tried.push(answer(&mut server, 422, test_failed()).await.body);
        }
        tried.push(answer(&mut server, 200, json!({"metadata": {}})).await.body);
        tried
    };
    let (result, tried) = tokio::join!(applier.apply(&subject, &apply), serve);
    result.unwrap();
    let last = tried.len() - 1;
    for (index, patch) in tried[..last].iter().enumerate() {
        let path = format!("/metadata/ownerReferences/{index}/uid");
        assert_eq!(patch[0], json!({"op": "test", "path": path, "value": "w1"}));
        assert_eq!(patch[2]["path"], "/metadata/labels/x.io~1a~0b");
    }
    assert_eq!(tried[last][0]["path"], "/metadata/ownerReferences/0/uid");
    assert_eq!(
        tried[last][2],
        json!({"op": "test", "path": "/metadata/labels", "value": null})
    );
    assert_eq!(
        tried[last][3],
        json!({"op": "add", "path": "/metadata/labels", "value": {"x.io/a~b": "c"}})
    );
}

#[tokio::test]
async fn a_foreign_secret_is_not_changed() {
    let (applier, mut server) = applier();
    let expect = Expect::AbsentOrControlledBy("w1".into());
    let (subject, apply) = (subject(), apply(Kind::Secret, expect));
    let serve = async {
        answer(&mut server, 409, modified()).await;
        for _ in 0..=OWNERS_MAX {
            answer(&mut server, 422, test_failed()).await;
        }
    };
    let (result, ()) = tokio::join!(applier.apply(&subject, &apply), serve);
    let error = result.unwrap_err();
    assert_eq!(error.cause, Cause::NameTaken);
    assert!(error.message.contains("Secret/web"));
}

#[tokio::test]
async fn the_message_for_a_rejected_secret_is_not_repeated() {
    let (applier, mut server) = applier();
    let expect = Expect::AbsentOrControlledBy("w1".into());
    let (subject, apply) = (subject(), apply(Kind::Secret, expect));
    let error = json!({"kind": "Status", "reason": "Invalid", "message": "patch: Invalid value: \"c2VjcmV0\"",
                         "details": {"causes": [{"field": "patch", "message": "c2VjcmV0"}]}});
    let (result, _) = tokio::join!(
        applier.apply(&subject, &apply),
        answer(&mut server, 422, error)
    );
    let error = result.unwrap_err();
    assert_eq!(error.cause, Cause::Denied);
    assert!(
        !error.message.contains("c2VjcmV0") && error.message.contains("patch"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_claim_grows_under_its_uid() {
    let (applier, mut server) = applier();
    let expand = Expand {
        target: target(Kind::PersistentVolumeClaim, "web.root"),
        uid: "c1".into(),
        to: Bytes::parse("11Gi").unwrap(),
        guest_size: Bytes::parse("10Gi").unwrap(),
    };
    let subject = subject();
    let (result, seen) = tokio::join!(
        applier.expand(&subject, &expand),
        answer(&mut server, 200, json!({}))
    );
    result.unwrap();
    assert_eq!(
        seen.line,
        format!("PATCH /api/v1/namespaces/shop/persistentvolumeclaims/web.root?{PATCH_QUERY}")
    );
    assert_eq!(seen.content_type, "application/merge-patch+json");
    assert_eq!(
        seen.body,
        json!({
            "metadata": {"uid": "c1", "annotations": {"vm.novasphere.dev/guest-size": "10Gi"}},
            "spec": {"resources": {"requests": {"storage": "11Gi"}}},
        })
    );
}

#[tokio::test]
async fn calls_go_to_the_subresources_and_accept_anything() {
    const BASE: &str = "PUT /apis/subresources.kubevirt.io/v1/namespaces/shop";
    for (call, path) in [
        (Call::Start, "virtualmachines/web/start"),
        (Call::Restart, "virtualmachines/web/restart"),
        (Call::Pause, "virtualmachineinstances/web/pause"),
        (Call::Unpause, "virtualmachineinstances/web/unpause"),
    ] {
        let (applier, mut server) = applier();
        let subject = subject();
        let (result, seen) = tokio::join!(
            applier.call(&subject, call),
            answer(&mut server, 202, Value::Null)
        );
        result.unwrap();
        assert_eq!(seen.line, format!("{BASE}/{path}"));
        assert_eq!(seen.accept, "*/*");
        assert_eq!(seen.body, json!({}));
    }
}

#[tokio::test]
async fn a_call_succeeds_when_the_vm_already_has_the_state() {
    let underway = json!({"kind": "Status", "message": "Internal error occurred: VM is not running: stop/start already underway"});
    for (code, body, well) in [
        (409, json!({"message": "VM is already running"}), true),
        (500, underway, true),
        (500, json!({"message": "Internal error occurred"}), false),
        (403, json!({"message": "no"}), false),
    ] {
        let (applier, mut server) = applier();
        let subject = subject();
        let (result, _) = tokio::join!(
            applier.call(&subject, Call::Start),
            answer(&mut server, code, body)
        );
        assert_eq!(result.is_ok(), well, "{code}: {result:?}");
    }
}

#[tokio::test]
async fn a_child_is_deleted_under_its_uid_and_version() {
    for (code, cause) in [
        (200, None),
        (404, None),
        (409, Some(Cause::Stale)),
        (403, Some(Cause::Denied)),
    ] {
        let (applier, mut server) = applier();
        let prune = Prune {
            target: target(Kind::NetworkAttachmentDefinition, "web-lan-1"),
            uid: "n1".into(),
            resource_version: "5".into(),
        };
        let subject = subject();
        let (result, seen) = tokio::join!(
            applier.prune(&subject, &prune),
            answer(&mut server, code, json!({"kind": "Status"}))
        );
        assert_eq!(
            seen.line,
            "DELETE /apis/k8s.cni.cncf.io/v1/namespaces/shop/network-attachment-definitions/web-lan-1"
        );
        assert_eq!(
            seen.body["preconditions"],
            json!({"uid": "n1", "resourceVersion": "5"})
        );
        assert_eq!(result.err().map(|error| error.cause), cause, "{code}");
    }
}

#[tokio::test]
async fn a_status_is_replaced_as_a_whole_and_only_of_this_wukong() {
    let (applier, mut server) = applier();
    let status = WukongStatus {
        vm_name: Some("web".into()),
        ..WukongStatus::default()
    };
    let subject = subject();
    let (result, seen) = tokio::join!(
        applier.write_status(&subject, &status),
        answer(&mut server, 200, json!({"metadata": {"name": "web"}}))
    );
    assert_eq!(result.unwrap()["metadata"]["name"], "web");
    assert_eq!(
        seen.line,
        format!(
            "PATCH /apis/vm.novasphere.dev/v1alpha1/namespaces/shop/wukongs/web/status?{PATCH_QUERY}"
        )
    );
    assert_eq!(
        seen.body,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "w1"},
            {"op": "add", "path": "/status", "value": {"vmName": "web"}},
        ])
    );
    let (result, _) = tokio::join!(
        applier.write_status(&subject, &status),
        answer(&mut server, 422, test_failed())
    );
    assert_eq!(result.unwrap_err().cause, Cause::Gone);
}

#[tokio::test]
async fn the_status_of_a_snapshot_schedule_or_restore_replaces_that_of_the_same_object() {
    for (kind, plural) in [
        (Reported::WukongSnapshot, "wukongsnapshots"),
        (Reported::WukongRestore, "wukongrestores"),
        (Reported::WukongSnapshotSchedule, "wukongsnapshotschedules"),
    ] {
        let (applier, mut server) = applier();
        let report = StatusReport {
            kind,
            name: "before".into(),
            uid: "s1".into(),
            status: json!({"phase": "Succeeded"}),
        };
        let subject = subject();
        let (result, seen) = tokio::join!(
            applier.write_report(&subject, &report),
            answer(&mut server, 200, json!({"metadata": {"name": "before"}}))
        );
        result.unwrap();
        assert_eq!(
            seen.line,
            format!(
                "PATCH /apis/vm.novasphere.dev/v1alpha1/namespaces/shop/{plural}/before/status?{PATCH_QUERY}"
            )
        );
        assert_eq!(
            seen.body,
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "s1"},
                {"op": "add", "path": "/status", "value": {"phase": "Succeeded"}},
            ])
        );
    }
}

#[tokio::test]
async fn a_snapshot_is_created_and_never_patched() {
    let (applier, mut server) = applier();
    let (apply, subject) = (apply(Kind::WukongSnapshot, Expect::Absent), subject());
    let (result, seen) = tokio::join!(
        applier.apply(&subject, &apply),
        answer(&mut server, 201, json!({"metadata": {"name": "web"}}))
    );
    result.unwrap();
    assert_eq!(
        seen.line,
        "POST /apis/vm.novasphere.dev/v1alpha1/namespaces/shop/wukongsnapshots?fieldManager=wukong-operator&fieldValidation=Strict&timeout=9s"
    );
    let taken = json!({"kind": "Status", "reason": "AlreadyExists", "code": 409, "message": "already exists"});
    let (result, _) = tokio::join!(
        applier.apply(&subject, &apply),
        answer(&mut server, 409, taken)
    );
    assert_eq!(result.unwrap_err().cause, Cause::NameTaken);
}

#[tokio::test]
async fn an_event_is_created_in_the_namespace_of_the_wukong() {
    let (applier, mut server) = applier();
    let event = Event {
        warning: false,
        reason: "Created".into(),
        message: "created it".into(),
    };
    let subject = subject();
    let (result, seen) = tokio::join!(
        applier.publish(&subject, &event),
        answer(&mut server, 201, json!({}))
    );
    result.unwrap();
    assert_eq!(
        seen.line,
        "POST /apis/events.k8s.io/v1/namespaces/shop/events"
    );
    assert_eq!(seen.body["note"], "created it");
    assert_eq!(seen.body["reportingInstance"], "me");
}

#[tokio::test]
async fn the_retry_after_header_is_respected() {
    let (applier, mut server) = applier();
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, Expect::Absent));
    let response = Response::builder()
        .status(StatusCode::TOO_MANY_REQUESTS)
        .header("Retry-After", "7");
    let (result, _) = tokio::join!(
        applier.apply(&subject, &apply),
        answer_with(&mut server, response, json!({"kind": "Status"}))
    );
    let error = result.unwrap_err();
    assert_eq!(
        (error.cause, error.retry_after),
        (Cause::Outage, Some(Duration::from_secs(7)))
    );
}

#[tokio::test]
async fn a_response_in_plain_text_is_classified_by_its_code() {
    let (applier, mut server) = applier();
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, Expect::Absent));
    let (result, _) = tokio::join!(
        applier.apply(&subject, &apply),
        answer(&mut server, 404, json!("404 page not found"))
    );
    assert_eq!(result.unwrap_err().cause, Cause::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_response_ends_at_its_deadline() {
    let (applier, mut server) = applier();
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, Expect::Absent));
    let started = tokio::time::Instant::now();
    let hang = async { server.next_request().await };
    let (result, held) = tokio::join!(applier.apply(&subject, &apply), hang);
    assert!(held.is_some());
    assert_eq!(result.unwrap_err().cause, Cause::Outage);
    assert_eq!(started.elapsed(), DEADLINE);
}

#[tokio::test]
async fn a_replica_that_is_not_the_leader_sends_nothing() {
    let (announcement, leadership) = Leadership::to_be_elected();
    let (applier, mut server) = led_by(leadership);
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, Expect::Absent));
    let error = applier.apply(&subject, &apply).await.unwrap_err();
    assert_eq!(error.cause, Cause::Outage);
    drop((applier, announcement));
    assert!(server.next_request().await.is_none());
}

#[tokio::test]
async fn at_the_shutdown_a_write_under_way_ends_and_none_begins() {
    let (applier, mut server) = applier();
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, Expect::Absent));
    let stored = json!({"metadata": {"name": "web"}});
    let serve = async {
        let (_, respond) = server.next_request().await.unwrap();
        applier.close();
        let late = applier.apply(&subject, &apply).await;
        assert_eq!(late.unwrap_err().message, "the operator is stopping");
        respond.send_response(Response::new(Body::from(stored.to_string().into_bytes())));
    };
    let (result, ()) = tokio::join!(applier.apply(&subject, &apply), serve);
    assert_eq!(result.unwrap(), stored);
    drop(applier);
    assert!(
        server.next_request().await.is_none(),
        "nothing else is sent"
    );
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_are_limited() {
    let (applier, mut server) = applier();
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, Expect::Absent));
    let all = futures::future::join_all((0..10).map(|_| applier.apply(&subject, &apply)));
    let serve = async {
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(server.next_request().await.unwrap());
        }
        let more = tokio::time::timeout(Duration::from_secs(1), server.next_request()).await;
        assert!(more.is_err(), "a fifth request is under way");
        drop(held);
        for _ in 0..6 {
            server.next_request().await.unwrap().1.send_error("reset");
        }
    };
    let (results, ()) = tokio::join!(all, serve);
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().unwrap_err().cause == Cause::Outage)
    );
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_request_slot_is_limited() {
    let (applier, mut server) = applier();
    let (subject, apply) = (subject(), apply(Kind::VirtualMachine, Expect::Absent));
    let started = tokio::time::Instant::now();
    let all = futures::future::join_all((0..40).map(|_| applier.apply(&subject, &apply)));
    // The server never responds.
    let hang = async {
        let mut held = Vec::new();
        loop {
            held.push(server.next_request().await);
        }
    };
    let results = tokio::select! {
        results = all => results,
        () = hang => unreachable!(),
    };
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().unwrap_err().cause == Cause::Outage)
    );
    assert!(started.elapsed() <= 2 * DEADLINE, "{:?}", started.elapsed());
}
