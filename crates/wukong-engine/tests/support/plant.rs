//! A simulation of CDI, the volume binder and KubeVirt, as far as decisions depend on them: each step brings everything
//! one state further. What they answer has the shape of what real ones answered.

use serde_json::{Value, json};

use super::api_server::{ApiServer, NAMESPACE};

/// The class of claims that name none.
pub const DEFAULT_CLASS: &str = "standard";

/// Brings everything one step further; returns whether anything changed.
pub fn step(server: &mut ApiServer) -> bool {
    let before = server.clone();
    for volume in server.list("DataVolume") {
        cdi(server, &volume);
    }
    for claim in server.list("PersistentVolumeClaim") {
        binder(server, &claim);
    }
    for vm in server.list("VirtualMachine") {
        kubevirt(server, &vm);
    }
    *server != before
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|known| known["type"] == condition && known["status"] == "True")
    })
}

/// CDI makes the claim first, with labels and annotations of the DataVolume but some of its own, and then fills it.
fn cdi(server: &mut ApiServer, volume: &Value) {
    let name = name(volume);
    if !volume["metadata"]["deletionTimestamp"].is_null() {
        return;
    }
    if server.get("PersistentVolumeClaim", &name).is_none() {
        make_claim(server, volume);
    }
    let (phase, ready, running) = match volume["status"]["phase"].as_str() {
        None => ("Pending", false, "Pending"),
        Some("Pending") => ("ImportScheduled", false, "ContainerCreating"),
        Some("ImportScheduled") => ("ImportInProgress", false, "Pod is running"),
        Some("ImportInProgress") => ("Succeeded", true, "Completed"),
        _ => return,
    };
    if ready {
        bind(server, &name);
    }
    let status = data_volume_status(phase, ready, running);
    server.update_status("cdi-controller", "DataVolume", &name, status);
}

/// The status of a DataVolume in one of its phases. (An import on a CSI class shows an unbound claim to its end.)
pub fn data_volume_status(phase: &str, ready: bool, running: &str) -> Value {
    let status = |yes: bool| if yes { "True" } else { "False" };
    json!({"phase": phase, "progress": if ready { "100.0%" } else { "N/A" }, "conditions": [
        {"type": "Bound", "status": status(ready), "reason": if ready { "Bound" } else { "Pending" }, "message": ""},
        {"type": "Ready", "status": status(ready), "reason": "", "message": ""},
        {"type": "Running", "status": status(running == "Pod is running"), "reason": running, "message": ""},
    ]})
}

fn make_claim(server: &mut ApiServer, volume: &Value) {
    let metadata = &volume["metadata"];
    let storage = &volume["spec"]["storage"];
    let mut labels = metadata["labels"].clone();
    labels["app"] = json!("containerized-data-importer");
    labels["app.kubernetes.io/component"] = json!("storage");
    labels["app.kubernetes.io/managed-by"] = json!("cdi-controller");
    let class = storage["storageClassName"]
        .as_str()
        .unwrap_or(DEFAULT_CLASS);
    server.create("cdi-controller", json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": metadata["name"], "namespace": NAMESPACE, "labels": labels, "annotations": metadata["annotations"],
            "ownerReferences": [{
                "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "name": metadata["name"],
                "uid": metadata["uid"], "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {"storageClassName": class, "resources": {"requests": storage["resources"]["requests"]}},
        "status": {"phase": "Pending"},
    }));
}

fn bind(server: &mut ApiServer, name: &str) {
    let claim = server.get("PersistentVolumeClaim", name).unwrap();
    let capacity = claim["spec"]["resources"]["requests"].clone();
    let status = json!({"phase": "Bound", "capacity": capacity});
    server.update_status(
        "kube-controller-manager",
        "PersistentVolumeClaim",
        name,
        status,
    );
}

/// Plain claims are bound, and bound claims get the size that they ask for.
fn binder(server: &mut ApiServer, claim: &Value) {
    let owner = &claim["metadata"]["ownerReferences"][0]["kind"];
    if claim["spec"]["storageClassName"].is_null() {
        server.update(
            "kube-controller-manager",
            "PersistentVolumeClaim",
            &name(claim),
            |claim| {
                claim["spec"]["storageClassName"] = json!(DEFAULT_CLASS);
            },
        );
    }
    if owner != "DataVolume" || claim["status"]["phase"] == "Bound" {
        bind(server, &name(claim));
    }
}

fn kubevirt(server: &mut ApiServer, vm: &Value) {
    const CONTROLLER: &str = "virt-controller";
    let name = name(vm);
    let instance = server.get("VirtualMachineInstance", &name);
    if !vm["metadata"]["deletionTimestamp"].is_null() {
        server.delete("VirtualMachineInstance", &name);
        server.update(CONTROLLER, "VirtualMachine", &name, |vm| {
            vm["metadata"]["finalizers"] = json!([])
        });
        return;
    }
    let vm = server.update(CONTROLLER, "VirtualMachine", &name, |vm| {
        vm["metadata"]["finalizers"] = json!(["kubevirt.io/virtualMachineControllerFinalize"]);
        let template = &mut vm["spec"]["template"];
        template["metadata"]["annotations"] = json!({"kubevirt.io/pci-topology-version": "v3"});
        template["spec"]["architecture"] = json!("amd64");
    });
    let started = match vm["spec"]["runStrategy"].as_str().unwrap() {
        "Halted" => false,
        "Manual" => {
            instance.is_some() || vm["status"]["stateChangeRequests"][0]["action"] == "Start"
        }
        _ => true,
    };
    let (printable, next) = match (started, &instance) {
        (false, Some(_)) => {
            server.delete("VirtualMachineInstance", &name);
            ("Stopping", None)
        }
        (false, None) => ("Stopped", None),
        (true, None) => ("Starting", Some("Pending")),
        (true, Some(instance)) => match instance["status"]["phase"].as_str().unwrap() {
            _ if !disks_are_ready(server, &vm) => ("Provisioning", None),
            "Pending" => ("Starting", Some("Scheduling")),
            "Scheduling" if fits_no_node(instance) => ("ErrorUnschedulable", Some("Scheduling")),
            "Scheduling" => ("Starting", Some("Scheduled")),
            "Scheduled" => ("Starting", Some("Running")),
            _ if is_true(instance, "Paused") => ("Paused", None),
            _ => ("Running", None),
        },
    };
    if let Some(phase) = next {
        if instance.is_none() {
            make_instance(server, &vm);
        }
        let status = match printable {
            "ErrorUnschedulable" => unschedulable(),
            _ => instance_status(phase, &vm),
        };
        server.update_status(CONTROLLER, "VirtualMachineInstance", &name, status);
    }
    let booted = server.get("VirtualMachineInstance", &name);
    let stale = booted.is_some_and(|booted| !update_live(server, &vm, &booted));
    let conditions = match stale {
        true => json!([{"type": "RestartRequired", "status": "True", "reason": "RestartRequired",
                        "message": "a non-live-updatable field was changed in the template spec"}]),
        false => json!([]),
    };
    let status = json!({"printableStatus": printable, "conditions": conditions});
    server.update_status(CONTROLLER, "VirtualMachine", &name, status);
}

/// Brings to an instance what may change while it lives, unless something else differs, too. (Strategy `LiveUpdate`.)
fn update_live(server: &mut ApiServer, vm: &Value, instance: &Value) -> bool {
    let template = &vm["spec"]["template"]["spec"];
    let mut live = instance["spec"].clone();
    for field in ["nodeSelector", "tolerations", "affinity"] {
        live.as_object_mut().unwrap().remove(field);
        if let Some(value) = template.get(field) {
            live[field] = value.clone();
        }
    }
    let sockets = |spec: &Value| spec["domain"]["cpu"]["sockets"].as_u64();
    if sockets(template) > sockets(&live) {
        live["domain"]["cpu"] = template["domain"]["cpu"].clone();
    }
    let nics = |spec: &Value| spec["domain"]["devices"]["interfaces"].as_array().cloned();
    let (has, wants) = (
        nics(&live).unwrap_or_default(),
        nics(template).unwrap_or_default(),
    );
    let can_plug = |nic: &Value| nic.get("bridge").is_some() || nic.get("sriov").is_some();
    if wants.starts_with(&has) && wants.iter().skip(has.len()).all(can_plug) {
        live["domain"]["devices"]["interfaces"] = json!(wants);
        live["networks"] = template["networks"].clone();
    }
    let same = live == *template;
    if same {
        let name = name(instance);
        server.update(
            "virt-controller",
            "VirtualMachineInstance",
            &name,
            |instance| {
                instance["spec"] = live;
            },
        );
    }
    same
}

/// Labels that no node has, on the pod. It is made once, and stays as it is when its instance is changed.
fn fits_no_node(instance: &Value) -> bool {
    instance["metadata"]["annotations"]["plant/node"] == "nowhere"
}

fn make_instance(server: &mut ApiServer, vm: &Value) {
    let metadata = &vm["metadata"];
    let node = &vm["spec"]["template"]["spec"]["nodeSelector"]["kubernetes.io/hostname"];
    let labels = &vm["spec"]["template"]["metadata"]["labels"];
    server.create("virt-controller", json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance",
        "metadata": {
            "name": metadata["name"], "namespace": NAMESPACE,
            "labels": labels, "annotations": {"plant/node": node},
            "ownerReferences": [{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": metadata["name"],
                                 "uid": metadata["uid"], "controller": true, "blockOwnerDeletion": true}],
        },
        "spec": vm["spec"]["template"]["spec"],
    }));
}

fn unschedulable() -> Value {
    json!({"phase": "Scheduling", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    }]})
}

/// The status of an instance in one of its phases, once it runs with an address for each NIC.
fn instance_status(phase: &str, vm: &Value) -> Value {
    if phase != "Running" {
        return json!({"phase": phase});
    }
    let nics = vm["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"].as_array();
    let interfaces: Vec<Value> = nics
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, nic)| {
            json!({"name": nic["name"], "mac": nic["macAddress"], "ipAddress": format!("10.244.0.{index}"),
                   "interfaceName": format!("eth{index}"), "infoSource": "domain, guest-agent"})
        })
        .collect();
    json!({"phase": phase, "nodeName": "worker-1", "interfaces": interfaces,
           "conditions": [{"type": "AgentConnected", "status": "True"}]})
}

fn disks_are_ready(server: &ApiServer, vm: &Value) -> bool {
    let volumes = vm["spec"]["template"]["spec"]["volumes"].as_array();
    let ready = |volume: &Value| {
        let imported = volume["dataVolume"]["name"].as_str().is_none_or(|name| {
            let volume = server.get("DataVolume", name);
            volume.is_some_and(|volume| volume["status"]["phase"] == "Succeeded")
        });
        let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
        imported && claim.is_none_or(|name| server.get("PersistentVolumeClaim", name).is_some())
    };
    volumes.into_iter().flatten().all(ready)
}

/// What virt-api does when a subresource is called.
pub fn call(server: &mut ApiServer, call: &str, name: &str) {
    match call {
        "start" if server.get("VirtualMachineInstance", name).is_some() => {}
        "start" => {
            server.update_status(
                "virt-api",
                "VirtualMachine",
                name,
                json!({
                    "printableStatus": "Stopped", "stateChangeRequests": [{"action": "Start"}],
                }),
            );
        }
        "restart" => server.delete("VirtualMachineInstance", name),
        "pause" | "unpause" => {
            let instance = server
                .get("VirtualMachineInstance", name)
                .unwrap_or_default();
            let mut status = instance["status"].clone();
            // "VM is not running", to a caller who comes late.
            let Some(conditions) = status["conditions"].as_array_mut() else {
                return;
            };
            conditions.retain(|condition| condition["type"] != "Paused");
            if call == "pause" {
                conditions
                    .push(json!({"type": "Paused", "status": "True", "reason": "PausedByUser"}));
            }
            server.update_status("virt-handler", "VirtualMachineInstance", name, status);
        }
        other => panic!("virt-api has no {other}"),
    }
}

/// What `virtctl stop` and `virtctl start` do to a VM of strategy `Always`.
pub fn virtctl(server: &mut ApiServer, name: &str, strategy: &str) {
    server.update("virt-api", "VirtualMachine", name, |vm| {
        vm["spec"]["runStrategy"] = json!(strategy)
    });
}
