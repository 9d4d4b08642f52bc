//! `Scheduled` and `Running`: from the VirtualMachine and its instance.

use jiff::SignedDuration;
use wukong_api::spec::RunStrategy;
use wukong_api::{ConditionType, Reason, ValidatedWukong};

use crate::diagnosis::condition::{Condition, Status};
use crate::diagnosis::evidence::{Evidence, Role, Source};
use crate::facts::words::unwrapped;
use crate::facts::{
    ConditionFact, Presence, Seen, VirtualMachineFact, VirtualMachineInstanceFact, find_condition,
    is_true,
};
use crate::held::Held;
use crate::observed::Observed;
use crate::power::DesiredPower;
use crate::status;

const SCHEDULED: ConditionType = ConditionType::Scheduled;
const RUNNING: ConditionType = ConditionType::Running;

/// Whether the VM has a node, and whether its guest runs. A stopped VM has no `Scheduled`. `asked` is the valid spec and
/// its power state. Without it (an invalid spec), the state of the VM counts as intended.
pub(crate) fn conditions(
    vm: &VirtualMachineFact,
    observed: &Observed,
    requested: Option<(&ValidatedWukong, &DesiredPower)>,
) -> (Option<Condition>, Condition) {
    let instances = &observed.world.instances;
    let power = requested.map(|(_, power)| power);
    if vm.meta.deleting {
        return (None, stopping("The VirtualMachine is being deleted"));
    }
    let ended = match instances.get(&vm.meta.namespace, &vm.meta.name) {
        Seen::Unknown => {
            let presence = instances.presence();
            let unseen = Condition::unseen(RUNNING, presence, "VirtualMachineInstances");
            return (None, unseen);
        }
        Seen::Absent => None,
        Seen::Present(instance) => match instance.phase.as_str() {
            "Succeeded" | "Failed" => Some(instance),
            _ => return alive(vm, instance, observed, requested),
        },
    };
    let has_run = status::has_run(observed.wukong);
    let running = without_instance(vm, ended, power, has_run);
    let running = match running.reason {
        Reason::Starting => crashed(vm, observed).unwrap_or(running),
        _ => running,
    };
    (None, running)
}

fn alive(
    vm: &VirtualMachineFact,
    instance: &VirtualMachineInstanceFact,
    observed: &Observed,
    requested: Option<(&ValidatedWukong, &DesiredPower)>,
) -> (Option<Condition>, Condition) {
    let power = requested.map(|(_, power)| power);
    if vm.printable_status == "Stopping" || instance.meta.deleting {
        return (None, stopping("The guest is shutting down"));
    }
    match instance.phase.as_str() {
        "Running" => (
            Some(scheduled(instance)),
            lost(instance, observed)
                .or_else(|| not_ready(instance))
                .unwrap_or_else(|| guest_runs(instance, power)),
        ),
        "Scheduled" => (
            Some(scheduled(instance)),
            not_started(instance)
                .or_else(|| fails_to_start(vm).then(|| crash_loop(vm)))
                .or_else(|| crashed(vm, observed))
                .unwrap_or_else(|| starting("The guest is being started")),
        ),
        _ => {
            let placing = placed(scheduling(vm, instance), instance, observed);
            if fails_to_start(vm) && placing.status == Status::Progressing {
                (None, crash_loop(vm))
            } else {
                let running = crashed(vm, observed)
                    .unwrap_or_else(|| starting("The guest waits for its node"));
                (Some(placing), running)
            }
        }
    }
}

/// Reports a guest on a node that does not answer or no longer exists. KubeVirt keeps the phase `Running` then.
fn lost(instance: &VirtualMachineInstanceFact, observed: &Observed) -> Option<Condition> {
    let name = instance.node.as_deref()?;
    let nodes = &observed.world.environment.nodes;
    if nodes.presence() != Presence::Served {
        return None;
    }
    let (state, since) = match nodes.get("", name) {
        Seen::Absent => (format!("Node {name} does not exist any more"), None),
        Seen::Present(node) => {
            let ready = node.ready.as_ref().filter(|ready| ready.status != "True")?;
            let state = match ready.status.as_str() {
                "Unknown" => format!("Node {name} does not answer"),
                _ => format!("Node {name} is not ready"),
            };
            (
                format!("{state}: {}: {}", ready.reason, ready.message),
                ready.since,
            )
        }
        Seen::Unknown => return None,
    };
    let since = since
        .map(|since| format!(" (since {since})"))
        .unwrap_or_default();
    Some(
        Condition::bad(RUNNING, Reason::NodeLost, format!("{state}{since}"))
            .about(format!("Node/{name}"))
            .hint(format!("repair node {name} or its kubelet; the VM starts on another node only once the node is known to be off: then kubectl taint node {name} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute; do not force-delete the pod while the node may still run it")),
    )
}

/// A guest in phase `Running` that KubeVirt does not call ready: its pod is terminating or gone, or it does not answer.
fn not_ready(instance: &VirtualMachineInstanceFact) -> Option<Condition> {
    // A guest that has just started is not reported as running for a moment.
    const STARTING: [&str; 2] = ["GuestNotRunning", "PodNotReady"];
    let ready = find_condition(&instance.conditions, "Ready").filter(|it| it.status == "False")?;
    let synchronized = find_condition(&instance.conditions, "Synchronized")
        .filter(|synchronized| synchronized.status == "False");
    let starts = STARTING.contains(&ready.reason.as_str()) && synchronized.is_none();
    if is_true(&instance.conditions, "Paused") || starts {
        return None;
    }
    let name = &instance.meta.name;
    let object = format!("VirtualMachineInstance/{name}");
    let words = synchronized
        .into_iter()
        .map(|reported| evidence(Source::Synchronized, instance, reported));
    if ready.reason == "PodTerminating" {
        let state = "The virt-launcher pod of the VM is terminating, and the guest with it";
        return Some(
            Condition::progressing(RUNNING, Reason::PodTerminating, state)
                .about(object)
                .hint(format!("if the VM does not start again: kubectl get pods -n {} -l kubevirt.io/domain={name} -o wide, and the node of that pod", instance.meta.namespace)),
        );
    }
    let mut condition = Condition::progressing(
        RUNNING,
        Reason::NotReady,
        match ready.message.as_str() {
            "" => "The guest is not ready".to_owned(),
            message => format!("The guest is not ready: {message}"),
        },
    )
    .about(object)
    .hint(format!(
        "if this stays: kubectl describe vmi {name} -n {}",
        instance.meta.namespace
    ));
    condition.words.extend(words);
    Some(condition)
}

/// A condition of the instance as evidence.
fn evidence(
    source: Source,
    instance: &VirtualMachineInstanceFact,
    reported: &ConditionFact,
) -> Evidence {
    Evidence {
        source,
        role: Role::Guest,
        object: format!("VirtualMachineInstance/{}", instance.meta.name),
        state: format!("{}={} {}", reported.type_, reported.status, reported.reason)
            .trim()
            .to_owned(),
        reason: reported.reason.to_string(),
        text: unwrapped(&reported.message).into_owned(),
        disk: None,
        claim: None,
        driver: None,
        node: instance.node.as_deref().map(Into::into),
        since: reported.since,
        last: reported.since,
        repeats: false,
    }
}

/// Reports a change that KubeVirt cannot apply to a running guest.
pub(crate) fn unsynchronized(instance: &VirtualMachineInstanceFact) -> Option<Condition> {
    let reported = find_condition(&instance.conditions, "Synchronized")
        .filter(|reported| reported.status == "False" && !reported.message.is_empty())?;
    let name = &instance.meta.name;
    Some(
        Condition::bad(
            ConditionType::ConfigurationApplied,
            Reason::ApplyFailed,
            "KubeVirt cannot apply the configuration to the running guest",
        )
        .about(format!("VirtualMachineInstance/{name}"))
        .hint(format!(
            "kubectl describe vmi {name} -n {}",
            instance.meta.namespace
        ))
        .words([evidence(Source::Synchronized, instance, reported)]),
    )
}

/// Reports a guest that KubeVirt cannot start on its node. KubeVirt retries for ever.
fn not_started(instance: &VirtualMachineInstanceFact) -> Option<Condition> {
    let reported = find_condition(&instance.conditions, "Synchronized")
        .filter(|reported| reported.status == "False" && !is_of_user_data(reported))?;
    Some(
        Condition::bad(
            RUNNING,
            Reason::InternalError,
            "KubeVirt cannot start the guest",
        )
        .about(format!("VirtualMachineInstance/{}", instance.meta.name))
        .words([evidence(Source::Synchronized, instance, reported)]),
    )
}

/// Whether KubeVirt misses the user data (`resolveNoCloudSecrets` in its `pkg/cloud-init`).
pub(crate) fn is_of_user_data(reported: &ConditionFact) -> bool {
    reported.message.contains("no cloud-init data-source found")
}

fn starting(message: &str) -> Condition {
    Condition::progressing(RUNNING, Reason::Starting, message)
}

fn stopping(message: &str) -> Condition {
    Condition::progressing(RUNNING, Reason::Stopping, message)
}

fn scheduled(instance: &VirtualMachineInstanceFact) -> Condition {
    let node = instance.node.as_deref().unwrap_or("a node");
    Condition::ok(SCHEDULED, Reason::Scheduled, format!("The VM is on {node}"))
}

fn guest_runs(instance: &VirtualMachineInstanceFact, power: Option<&DesiredPower>) -> Condition {
    if is_true(&instance.conditions, "Paused") {
        if power.is_none_or(DesiredPower::pauses) {
            return Condition::intended(
                RUNNING,
                Reason::Paused,
                "The guest is paused, as in the spec",
            );
        }
        let name = &instance.meta.name;
        let paused = find_condition(&instance.conditions, "Paused");
        let words = paused.map(|paused| evidence(Source::Instance, instance, paused));
        return Condition::bad(RUNNING, Reason::Paused, "The guest is paused")
            .about(format!("VirtualMachineInstance/{name}"))
            .hint(format!(
                "virtctl unpause vm {name}, or change spec.powerState"
            ))
            .words(words.filter(|words| !matches!(words.reason.as_str(), "" | "PausedByUser")));
    }
    if instance.migrating {
        return Condition::ok(
            RUNNING,
            Reason::Migrating,
            "The guest runs and is migrating to another node",
        );
    }
    Condition::ok(RUNNING, Reason::Running, "The guest runs")
}

/// Whether the guest failed before it ran, between two attempts or during the next. KubeVirt resets the count after a
/// success.
fn fails_to_start(vm: &VirtualMachineFact) -> bool {
    vm.start_failures > 0 || vm.printable_status == "CrashLoopBackOff"
}

fn crash_loop(vm: &VirtualMachineFact) -> Condition {
    let (name, namespace) = (&vm.meta.name, &vm.meta.namespace);
    let times = vm.start_failures.max(1);
    Condition::bad(
        RUNNING,
        Reason::CrashLoop,
        format!("The guest failed {times} times in a row before it ran; KubeVirt retries with growing delay"),
    )
    .about(format!("VirtualMachine/{name}"))
    .hint(format!(
        "kubectl get events -n {namespace} --field-selector involvedObject.name={name}; kubectl logs -n {namespace} -l kubevirt.io/domain={name} --all-containers"
    ))
    .words([])
}

/// Crashes that are longer ago do not count.
const CRASH_WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// How many crashes KubeVirt's events must report to count as a loop.
const CRASHES: u64 = 3;

/// Reports a guest that ran and crashed, from the events of its instances. KubeVirt starts it again at once, and does not
/// count crashes.
fn crashed(vm: &VirtualMachineFact, observed: &Observed) -> Option<Condition> {
    let events = &observed.memory.queried.children.events;
    let (name, namespace) = (&vm.meta.name, &vm.meta.namespace);
    let crashes = || {
        events.in_namespace(namespace).filter(|event| {
            event.kind == "VirtualMachineInstance"
                && event.name == *name
                && event.message.contains("The VirtualMachineInstance crashed")
                && event
                    .last
                    .is_some_and(|last| last + CRASH_WINDOW >= observed.now)
        })
    };
    let times: u64 = crashes()
        .map(|event| event.count)
        .fold(0, u64::saturating_add);
    let since = crashes()
        .filter_map(|event| event.first.or(event.last))
        .min()?;
    let hint = format!(
        "kubectl logs -n {namespace} -l kubevirt.io/domain={name} --all-containers; check the node for an out-of-memory kill: journalctl -k"
    );
    let object = format!("VirtualMachine/{name}");
    let message =
        format!("The guest crashed {times} times since {since}; KubeVirt starts it again");
    Some(if times >= CRASHES {
        Condition::bad(RUNNING, Reason::CrashLoop, message)
            .about(object)
            .hint(hint)
            .words([])
    } else {
        starting(&message).about(object).hint(hint)
    })
}

/// A VM without a living guest: stopped, or not started yet.
fn without_instance(
    vm: &VirtualMachineFact,
    ended: Option<&VirtualMachineInstanceFact>,
    power: Option<&DesiredPower>,
    has_run: bool,
) -> Condition {
    let object = format!("VirtualMachine/{}", vm.meta.name);
    if let Some(failure) =
        find_condition(&vm.conditions, "Failure").filter(|failure| failure.status == "True")
    {
        let words = Evidence {
            source: Source::VmFailure,
            role: Role::Guest,
            object: object.clone(),
            state: format!("Failure=True {}", failure.reason),
            reason: failure.reason.to_string(),
            text: unwrapped(&failure.message).into_owned(),
            disk: None,
            claim: None,
            driver: None,
            node: None,
            since: failure.since,
            last: failure.since,
            repeats: false,
        };
        return Condition::bad(
            RUNNING,
            Reason::InternalError,
            "KubeVirt cannot start the VM",
        )
        .about(object)
        .words([words]);
    }
    let strategy = vm
        .run_strategy
        .as_deref()
        .and_then(|name| name.parse::<RunStrategy>().ok());
    match (vm.printable_status.as_str(), strategy) {
        ("Stopping", _) => stopping("The guest is shutting down"),
        // For a VM that no one starts, KubeVirt's status is about its disks.
        (_, Some(RunStrategy::Halted | RunStrategy::Manual)) => halted(vm, object, power),
        ("CrashLoopBackOff", _) => crash_loop(vm),
        (_, Some(RunStrategy::Always)) if fails_to_start(vm) => crash_loop(vm),
        ("Stopped", Some(RunStrategy::Always)) => starting(match ended {
            Some(ended) if ended.phase == "Failed" => {
                "The guest crashed; KubeVirt is about to start it again"
            }
            _ => "KubeVirt is about to start the guest again",
        }),
        ("Stopped", Some(RunStrategy::Once))
            if ended.is_some_and(|ended| ended.phase == "Failed") =>
        {
            Condition::bad(
                RUNNING,
                Reason::InternalError,
                "The guest failed, and its run strategy does not start it again",
            )
            .about(object)
            .hint(format!("virtctl start {}", vm.meta.name))
        }
        ("Stopped", _) if has_run || ended.is_some() => Condition::intended(
            RUNNING,
            Reason::Completed,
            "The guest ended, shut down from inside or by hand, and its run strategy leaves it so",
        ),
        ("", _) => starting("KubeVirt has not processed the VirtualMachine yet")
            .about(object)
            .hint("if this stays, check virt-controller: kubectl get pods -A -l kubevirt.io=virt-controller"),
        _ if ended.is_some_and(|ended| ended.phase == "Failed") => {
            starting("The guest crashed; KubeVirt is about to start it again").about(object)
        }
        _ => starting("KubeVirt is about to start the guest"),
    }
}

/// A VM that KubeVirt does not start by itself.
fn halted(vm: &VirtualMachineFact, object: String, power: Option<&DesiredPower>) -> Condition {
    let as_asked =
        || Condition::intended(RUNNING, Reason::Halted, "The VM is stopped, as in the spec");
    let Some(power) = power else {
        return as_asked();
    };
    if Held::of(vm).is_some_and(|held| held.ran() || power.runs()) {
        return Condition::progressing(
            RUNNING,
            Reason::OperationInProgress,
            "The VM is off until a WukongRestore has changed its disks",
        )
        .closed()
        .about(object)
        .hint("No action needed. The operator starts the VM after the restore.");
    }
    if power.runs() && !power.is_applied(vm) {
        return starting("The VM is about to be started");
    }
    if power.runs() && vm.run_strategy.as_deref() == Some(RunStrategy::Halted.as_ref()) {
        return Condition::bad(
            RUNNING,
            Reason::StoppedElsewhere,
            "The VM was stopped outside the Wukong, for example with virtctl stop",
        )
        .about(object)
        .hint(format!(
            "virtctl start {}, or change spec.powerState",
            vm.meta.name
        ));
    }
    as_asked()
}

/// Names the node and the waiting container of a pod that has its node already. KubeVirt reports the node of the VM only
/// once the containers run, and the pull of their images can take minutes.
fn placed(
    placing: Condition,
    instance: &VirtualMachineInstanceFact,
    observed: &Observed,
) -> Condition {
    let pods = &observed.memory.queried.children.pods;
    let mut pods = pods.in_namespace(&instance.meta.namespace);
    // An earlier pod of the VM may still exist, and it has ended.
    let launcher =
        pods.find(|pod| pod.meta.name.starts_with("virt-launcher-") && pod.phase == "Pending");
    let Some((pod, node)) = launcher.and_then(|pod| Some((pod, pod.node.as_ref()?))) else {
        return placing;
    };
    if placing.status != Status::Progressing || !placing.words.is_empty() {
        return placing;
    }
    let waiting = pod.containers.iter().find_map(|container| {
        let reason = container.waiting.as_ref()?;
        Some(format!("; container {} waits: {reason}", container.name))
    });
    Condition {
        message: format!(
            "The pod of the VM starts on {node}{}",
            waiting.unwrap_or_default()
        ),
        ..placing
    }
}

/// Reports a VM with a pod that has no node. KubeVirt's condition `PodScheduled` is also false in two other cases: a claim
/// is missing, or the condition is left over from before a stop or an import. Only the message of the scheduler counts.
fn scheduling(vm: &VirtualMachineFact, instance: &VirtualMachineInstanceFact) -> Condition {
    let object = format!("VirtualMachineInstance/{}", instance.meta.name);
    if let Some(refused) = find_condition(&instance.conditions, "Synchronized")
        .filter(|synchronized| synchronized.status == "False")
    {
        return pod_refused(instance, refused, object);
    }
    let tried = matches!(
        vm.printable_status.as_str(),
        "ErrorUnschedulable" | "Starting"
    );
    let words = find_condition(&instance.conditions, "PodScheduled")
        .filter(|scheduled| scheduled.status == "False" && scheduled.reason == "Unschedulable")
        .filter(|_| tried);
    let mut condition = Condition::progressing(
        SCHEDULED,
        Reason::Scheduling,
        "The VM waits for the scheduler to assign a node",
    )
    .about(object);
    condition
        .words
        .extend(words.map(|scheduled| evidence(Source::Scheduler, instance, scheduled)));
    condition
}

/// KubeVirt cannot create the pod, or the pod cannot start.
fn pod_refused(
    instance: &VirtualMachineInstanceFact,
    refused: &ConditionFact,
    object: String,
) -> Condition {
    if refused.reason == "FailedPvcNotFound" {
        let message = format!("The VM's pod cannot start: {}", refused.message);
        return Condition::progressing(SCHEDULED, Reason::Scheduling, message).about(object);
    }
    // KubeVirt repeats why a container of the pod waits (`checkForContainerImageError` in its `pkg/virt-controller`).
    let source = match refused.reason.as_str() {
        "ErrImagePull" | "ImagePullBackOff" => Source::PodWaiting,
        _ => Source::Synchronized,
    };
    Condition::bad(
        SCHEDULED,
        Reason::PodNotStarted,
        "The VM's pod cannot start",
    )
    .about(object)
    .words([evidence(source, instance, refused)])
}
