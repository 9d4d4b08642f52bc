//! The kubelet's steps with a launcher pod: mounts, networks, images, and then it runs.

use serde_json::{Value, json};

use super::launcher_pod::IMAGE;
use crate::change::{Change, Conditions, Manager, Moment, Step, pick};
use crate::field::{Field, put};
use crate::installation::{multus, node};
use crate::kind::Kind;
use crate::scenario::Scenario;
use crate::world::World;

const BY: Manager = Manager::Kubelet;
/// Where the kubelet searches a CNI plugin.
const PLUGINS: &str = "[/opt/cni/bin:/usr/lib/cni /opt/cni/bin /usr/lib/cni]";

/// What the kubelet reports of a launcher pod.
#[derive(Debug, PartialEq)]
pub enum State {
    Unscheduled,
    Starting,
    /// Waiting for an image: the reason and the message.
    Pulling(String, String),
    Running,
    Over,
}

pub fn state(pod: &Field<'_>) -> State {
    let waiting = pod
        .at("status.initContainerStatuses")
        .items()
        .chain(pod.at("status.containerStatuses").items())
        .map(|status| status.at("state.waiting"))
        .find(|waiting| {
            ["ErrImagePull", "ImagePullBackOff"].contains(&waiting.child("reason").text())
        });
    match (
        pod.at("spec.nodeName").text(),
        pod.at("status.phase").text(),
    ) {
        (_, "Running") => State::Running,
        (_, "Succeeded" | "Failed") => State::Over,
        ("", _) => State::Unscheduled,
        _ => match waiting {
            Some(waiting) => State::Pulling(
                waiting.child("reason").text().into(),
                waiting.child("message").text().into(),
            ),
            None => State::Starting,
        },
    }
}

/// The next step of a launcher pod that has a node and does not run.
pub fn start(
    world: &World,
    vmi: &Field<'_>,
    pod: &Field<'_>,
    scenario: &Scenario,
    moment: &Moment,
) -> Step {
    if let Some(warning) = obstacle(world, vmi, pod, scenario) {
        let status = waiting(pod, 0, &json!({"reason": "PodInitializing"}), moment);
        let waits = Change::status(BY, Kind::Pod, pod, &status);
        return Step::of(waits.into_iter().chain(warning));
    }
    if scenario.has("launcher-image-pull") {
        return pull(pod, moment);
    }
    let address = address(pod);
    let mut status = pod.child("status").value().clone();
    let mut conditions = Conditions::of(&pod.child("status"));
    for kind in ["Initialized", "Ready", "ContainersReady", "PodScheduled"] {
        conditions.set(kind, "True", "", "", &moment.now);
    }
    put(&mut status, ["phase"], json!("Running"));
    put(&mut status, ["conditions"], conditions.into_value());
    put(&mut status, ["podIP"], json!(address));
    put(&mut status, ["podIPs"], json!([{"ip": address}]));
    put(&mut status, ["startTime"], json!(moment.now));
    let running = json!({"running": {"startedAt": moment.now}});
    let started: Vec<Value> = pod
        .at("spec.initContainers")
        .items()
        .map(|container| {
            let over = container.child("restartPolicy").text() != "Always";
            let ended = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
            shown(&container, if over { &ended } else { &running }, true)
        })
        .collect();
    put(&mut status, ["initContainerStatuses"], json!(started));
    put(
        &mut status,
        ["containerStatuses"],
        json!([of_compute(pod, &running, true)]),
    );
    Step::of(Change::status(BY, Kind::Pod, pod, &status))
}

/// The containers of a pod end with the guest: in peace, or not.
pub fn finish(world: &World, pod: &Field<'_>, phase: &str, moment: &Moment) -> Option<Change> {
    let lost = node::is_lost(world, pod.at("spec.nodeName").text());
    if lost || pod.at("status.phase").text() != "Running" {
        return None;
    }
    let ended = match phase {
        "Failed" => json!({"terminated": {"exitCode": 1, "reason": "Error"}}),
        _ => json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
    };
    let mut status = pod.child("status").value().clone();
    let mut conditions = Conditions::of(&pod.child("status"));
    for kind in ["Ready", "ContainersReady"] {
        conditions.set(kind, "False", "PodCompleted", "", &moment.now);
    }
    put(&mut status, ["phase"], phase);
    put(&mut status, ["conditions"], conditions.into_value());
    let init: Vec<Value> = pod
        .at("spec.initContainers")
        .items()
        .map(|container| {
            let sidecar = container.child("restartPolicy").text() == "Always";
            let completed = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
            shown(&container, &completed, !sidecar)
        })
        .collect();
    put(&mut status, ["initContainerStatuses"], json!(init));
    put(
        &mut status,
        ["containerStatuses"],
        json!([of_compute(pod, &ended, false)]),
    );
    Change::status(BY, Kind::Pod, pod, &status)
}

/// An image cannot be pulled: that of the first container disk, or that of the launcher.
fn pull(pod: &Field<'_>, moment: &Moment) -> Step {
    let containers: Vec<Field<'_>> = pod.at("spec.initContainers").items().collect();
    let index = containers
        .iter()
        .position(|container| container.child("image").text() != IMAGE)
        .unwrap_or_default();
    let image = containers
        .get(index)
        .map_or(IMAGE, |container| container.child("image").text());
    let unpulled = unpulled(image);
    let backing_off = !matches!(state(pod), State::Starting);
    let (reason, message) = if backing_off {
        (
            "ImagePullBackOff",
            format!("Back-off pulling image \"{image}\": ErrImagePull: {unpulled}"),
        )
    } else {
        ("ErrImagePull", unpulled.clone())
    };
    let status = waiting(
        pod,
        index,
        &json!({"reason": reason, "message": message}),
        moment,
    );
    let warning = [
        format!("Failed to pull image \"{image}\": {unpulled}"),
        format!("Error: {reason}"),
    ];
    let warning = warning.map(|message| Change::warning(BY, Kind::Pod, pod, "Failed", message));
    Step::of(
        Change::status(BY, Kind::Pod, pod, &status)
            .into_iter()
            .chain(warning),
    )
}

/// Why an image cannot be pulled without DNS, in containerd's words.
fn unpulled(image: &str) -> String {
    let (host, path) = image
        .split_once('/')
        .filter(|(host, _)| host.contains(['.', ':']))
        .unwrap_or(("registry-1.docker.io", image));
    let (path, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
    format!(
        "failed to pull and unpack image \"{image}\": failed to resolve image: failed to do request: Head \
         \"https://{host}/v2/{path}/manifests/{tag}\": dial tcp: lookup {host} on 10.96.0.10:53: read udp \
         10.244.0.1:58314->10.96.0.10:53: i/o timeout"
    )
}

/// The status of a pod with init containers that have not started, from `index` on: that one waits for something.
fn waiting(pod: &Field<'_>, index: usize, reason: &Value, moment: &Moment) -> Value {
    let initializing = json!({"waiting": {"reason": "PodInitializing"}});
    let mut incomplete = Vec::new();
    let containers: Vec<Value> = pod
        .at("spec.initContainers")
        .items()
        .enumerate()
        .map(|(place, container)| {
            let running = json!({"running": {"startedAt": moment.now}});
            let started = place < index && container.child("restartPolicy").text() == "Always";
            if !started {
                incomplete.push(container.name().to_owned());
            }
            let known = pod
                .at("status.initContainerStatuses")
                .items()
                .find(|known| known.name() == container.name() && known.child("ready").is_true());
            match (known, place == index) {
                (Some(known), _) if started => known.value().clone(),
                (_, true) => shown(&container, &json!({"waiting": reason}), false),
                _ if started => shown(&container, &running, true),
                _ => shown(&container, &initializing, false),
            }
        })
        .collect();
    let unready = if index == 0 {
        "[guest-console-log compute]"
    } else {
        "[compute]"
    };
    let mut status = pod.child("status").value().clone();
    let mut conditions = Conditions::of(&pod.child("status"));
    conditions.set("PodScheduled", "True", "", "", &moment.now);
    let message = format!(
        "containers with incomplete status: [{}]",
        incomplete.join(" ")
    );
    conditions.set(
        "Initialized",
        "False",
        "ContainersNotInitialized",
        &message,
        &moment.now,
    );
    let message = format!("containers with unready status: {unready}");
    for kind in ["Ready", "ContainersReady"] {
        conditions.set(kind, "False", "ContainersNotReady", &message, &moment.now);
    }
    put(&mut status, ["phase"], "Pending");
    put(&mut status, ["conditions"], conditions.into_value());
    put(&mut status, ["initContainerStatuses"], json!(containers));
    put(
        &mut status,
        ["containerStatuses"],
        json!([of_compute(pod, &initializing, false)]),
    );
    status
}

fn of_compute(pod: &Field<'_>, state: &Value, ready: bool) -> Value {
    let container = pod.at("spec.containers").items().next();
    container.map_or(Value::Null, |container| shown(&container, state, ready))
}

fn shown(container: &Field<'_>, state: &Value, ready: bool) -> Value {
    json!({"name": container.name(), "image": container.child("image").value(), "imageID": "", "restartCount": 0,
        "ready": ready, "state": state})
}

/// The pod's address on the simulated pod network.
fn address(pod: &Field<'_>) -> String {
    let number = pick(pod.at("metadata.uid").text(), 250 * 250);
    format!("10.244.{}.{}", number / 250 + 1, number % 250 + 2)
}

/// The reasons why the kubelet cannot start the pod: the events that it writes.
fn obstacle(
    world: &World,
    vmi: &Field<'_>,
    pod: &Field<'_>,
    scenario: &Scenario,
) -> Option<Vec<Change>> {
    let namespace = vmi.at("metadata.namespace").text();
    let event = |reason, message: String| Change::warning(BY, Kind::Pod, pod, reason, message);
    let missing = secrets(vmi)
        .into_iter()
        .find(|(_, name)| world.get(Kind::Secret, namespace, name).is_none());
    if let Some((volume, name)) = missing {
        let message =
            format!("MountVolume.SetUp failed for volume {volume:?} : secret {name:?} not found");
        return Some(vec![event("FailedMount", message)]);
    }
    if scenario.has("failed-mount") {
        let message = "MountVolume.SetUp failed for volume \"disk-0\" : rpc error: code = Internal";
        return Some(vec![event("FailedMount", message.into())]);
    }
    if scenario.has("failed-attach") {
        let message = "Multi-Attach error for volume \"disk-0\" Volume is already exclusively attached to one node and \
                       can't be attached to another";
        return Some(vec![event("FailedAttachVolume", message.into())]);
    }
    network_problem(world, vmi, pod, scenario)
}

/// Why Multus, which is asked by the kubelet without a daemon of its own, attaches no network.
fn network_problem(
    world: &World,
    vmi: &Field<'_>,
    pod: &Field<'_>,
    scenario: &Scenario,
) -> Option<Vec<Change>> {
    let metadata = pod.child("metadata");
    let (namespace, uid) = (
        metadata.child("namespace").text(),
        metadata.child("uid").text(),
    );
    let identity = format!("{namespace}/{}/{uid}", metadata.name());
    let sandbox = |why: String| {
        let message = format!(
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \
             \"{}\": plugin type=\"multus\" name=\"multus-cni-network\" failed (add): {why}",
            sandbox_id(uid)
        );
        Change::warning(BY, Kind::Pod, pod, "FailedCreatePodSandBox", message)
    };
    if scenario.has("pod-sandbox") {
        return Some(vec![sandbox(format!(
            "Multus: [{identity}]: error waiting for pod: Get \
             \"https://10.96.0.1:443/api/v1/namespaces/{namespace}/pods/{}?timeout=1m0s\": context deadline exceeded",
            metadata.name()
        ))]);
    }
    let secondary: Vec<&str> = vmi
        .at("spec.networks")
        .items()
        .map(|network| network.at("multus.networkName").text())
        .filter(|name| !name.is_empty())
        .collect();
    let first = secondary.first()?;
    if !multus::works_on(world, pod.at("spec.nodeName").text()) {
        let kubeconfig = "/etc/cni/net.d/multus.d/multus.kubeconfig";
        return Some(vec![sandbox(format!(
            "Multus: error getting k8s client: GetK8sClient: failed to get context for the kubeconfig {kubeconfig}: \
             stat {kubeconfig}: no such file or directory"
        ))]);
    }
    for network in &secondary {
        let (home, name) = network.split_once('/').unwrap_or((namespace, network));
        if world.get(Kind::Nad, home, name).is_none() {
            let why = format!(
                "cannot find a network-attachment-definition ({name}) in namespace ({home}): \
                 network-attachment-definitions.k8s.cni.cncf.io {name:?} not found"
            );
            return Some(vec![
                Change::warning(Manager::Multus, Kind::Pod, pod, "NoNetworkFound", &why),
                sandbox(format!(
                    "Multus: [{identity}]: error loading k8s delegates k8s args: TryLoadPodDelegates: error in getting \
                     k8s network for pod: GetNetworkDelegates: failed getting the delegate: getKubernetesDelegate: {why}"
                )),
            ]);
        }
    }
    let name = first.split_once('/').map_or(*first, |(_, name)| name);
    let why = if let Some(plugin) = scenario.value("cni-plugin-missing") {
        format!("failed to find plugin {plugin:?} in path {PLUGINS}")
    } else if scenario.has("ipam-exhausted") {
        "failed to allocate for range 0: no IP addresses available in range set: 192.168.77.1-192.168.77.2".into()
    } else {
        return None;
    };
    Some(vec![sandbox(format!(
        "[{identity}:{name}]: error adding container to network {name:?}: {why}"
    ))])
}

/// The 64 digits that containerd gives a sandbox.
fn sandbox_id(uid: &str) -> String {
    (0..8)
        .map(|part| format!("{:08x}", pick(&format!("{uid}{part}"), u32::MAX)))
        .collect()
}

/// The Secrets that the pod mounts, with the names of their volumes.
fn secrets<'a>(vmi: &Field<'a>) -> Vec<(String, &'a str)> {
    let spec = vmi.child("spec");
    let mut found = Vec::new();
    for volume in spec.child("volumes").items() {
        let name = volume.name();
        for kind in ["cloudInitNoCloud", "cloudInitConfigDrive"] {
            let source = volume.child(kind);
            found.push((format!("{name}-udata"), source.child("secretRef").name()));
            found.push((
                format!("{name}-ndata"),
                source.child("networkDataSecretRef").name(),
            ));
        }
        found.push((name.to_owned(), volume.at("secret.secretName").text()));
    }
    for credential in spec.child("accessCredentials").items() {
        for kind in ["sshPublicKey", "userPassword"] {
            let name = credential.child(kind).at("source.secret.secretName").text();
            found.push((format!("{name}-access-cred"), name));
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}
