//! `Scheduled` and `Running`: from the VirtualMachine and its instance.

use wukong_api::spec::RunStrategy;
use wukong_api::{ConditionType, Reason, ValidatedWukong};

use crate::condition::{Condition, Status};
use crate::environment::scheduler;
use crate::facts::{
    ConditionFact, VirtualMachineFact, VirtualMachineInstanceFact, find_condition, is_true,
};
use crate::observed::Observed;
use crate::power::DesiredPower;
use crate::status;
use crate::store::Seen;

const SCHEDULED: ConditionType = ConditionType::Scheduled;
const RUNNING: ConditionType = ConditionType::Running;

/// Whether the VM has a node, and whether its guest runs. `Scheduled` is left out of a VM that is stopped. Without what is
/// `asked` (of a manifest that is not valid) the VM is taken to be as asked.
pub(crate) fn conditions(
    vm: &VirtualMachineFact,
    observed: &Observed,
    asked: Option<(&ValidatedWukong, &DesiredPower)>,
) -> (Option<Condition>, Condition) {
    let instances = &observed.world.instances;
    let wish = asked.map(|(_, wish)| wish);
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
            _ => return alive(vm, instance, observed, asked),
        },
    };
    let has_run = status::has_run(observed.wukong);
    (None, without_instance(vm, ended, wish, has_run))
}

fn alive(
    vm: &VirtualMachineFact,
    instance: &VirtualMachineInstanceFact,
    observed: &Observed,
    asked: Option<(&ValidatedWukong, &DesiredPower)>,
) -> (Option<Condition>, Condition) {
    let wish = asked.map(|(_, wish)| wish);
    if vm.printable_status == "Stopping" || instance.meta.deleting {
        return (None, stopping("The guest is shutting down"));
    }
    match instance.phase.as_str() {
        "Running" => (Some(scheduled(instance)), guest_runs(instance, wish)),
        "Scheduled" => (
            Some(scheduled(instance)),
            not_started(instance)
                .or_else(|| fails_to_start(vm).then(|| crash_loop(vm)))
                .unwrap_or_else(|| starting("The guest is being started")),
        ),
        _ => {
            let wukong = asked.map(|(wukong, _)| wukong);
            let placing = scheduling(vm, instance, observed, wukong);
            if fails_to_start(vm) && placing.status == Status::Progressing {
                (None, crash_loop(vm))
            } else {
                (Some(placing), starting("The guest waits for its node"))
            }
        }
    }
}

/// What KubeVirt says of a guest that it cannot start on its node; it tries again and again.
fn not_started(instance: &VirtualMachineInstanceFact) -> Option<Condition> {
    let said = find_condition(&instance.conditions, "Synchronized")
        .filter(|said| said.status == "False" && !is_of_user_data(said))?;
    let message = format!("KubeVirt cannot start the guest: {}", said.message);
    Some(
        Condition::bad(RUNNING, Reason::InternalError, message)
            .about(format!("VirtualMachineInstance/{}", instance.meta.name))
            .hint("see what the message says, and the log of the virt-launcher pod"),
    )
}

/// Whether KubeVirt misses the user data (`resolveNoCloudSecrets` in its `pkg/cloud-init`).
pub(crate) fn is_of_user_data(said: &ConditionFact) -> bool {
    said.message.contains("no cloud-init data-source found")
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

fn guest_runs(instance: &VirtualMachineInstanceFact, wish: Option<&DesiredPower>) -> Condition {
    if is_true(&instance.conditions, "Paused") {
        if wish.is_none_or(DesiredPower::pauses) {
            return Condition::wished(RUNNING, Reason::Paused, "The guest is paused, as asked");
        }
        let name = &instance.meta.name;
        return Condition::bad(RUNNING, Reason::Paused, "The CPUs of the guest are stopped")
            .about(format!("VirtualMachineInstance/{name}"))
            .hint(format!(
                "virtctl unpause vm {name}, or change spec.powerState"
            ));
    }
    if instance.migrating {
        return Condition::ok(
            RUNNING,
            Reason::Migrating,
            "The guest runs, and moves to another node",
        );
    }
    Condition::ok(RUNNING, Reason::Running, "The guest runs")
}

/// Whether the guest failed before it ran, between two attempts or during the next: KubeVirt forgets it when one succeeds.
fn fails_to_start(vm: &VirtualMachineFact) -> bool {
    vm.start_failures > 0 || vm.printable_status == "CrashLoopBackOff"
}

fn crash_loop(vm: &VirtualMachineFact) -> Condition {
    Condition::bad(RUNNING, Reason::CrashLoop, format!("The guest failed {} times in a row before it ran; KubeVirt waits before it tries again", vm.start_failures.max(1)))
        .about(format!("VirtualMachine/{}", vm.meta.name))
        .hint("see the log of the virt-launcher pod")
}

/// A VM without a living guest: stopped, or not started yet.
fn without_instance(
    vm: &VirtualMachineFact,
    ended: Option<&VirtualMachineInstanceFact>,
    wish: Option<&DesiredPower>,
    has_run: bool,
) -> Condition {
    let object = format!("VirtualMachine/{}", vm.meta.name);
    if let Some(failure) =
        find_condition(&vm.conditions, "Failure").filter(|failure| failure.status == "True")
    {
        return Condition::bad(
            RUNNING,
            Reason::InternalError,
            format!("KubeVirt cannot start the VM: {}", failure.message),
        )
        .about(object)
        .hint("see what the message says");
    }
    let strategy = vm
        .run_strategy
        .as_deref()
        .and_then(|name| name.parse::<RunStrategy>().ok());
    match (vm.printable_status.as_str(), strategy) {
        ("Stopping", _) => stopping("The guest is shutting down"),
        // What KubeVirt says of a VM that nobody starts is about its disks.
        (_, Some(RunStrategy::Halted | RunStrategy::Manual)) => halted(vm, object, wish),
        ("CrashLoopBackOff", _) => crash_loop(vm),
        (_, Some(RunStrategy::Always)) if fails_to_start(vm) => crash_loop(vm),
        ("Stopped", Some(RunStrategy::Always)) => {
            starting("KubeVirt is about to start the guest again")
        }
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
        ("Stopped", _) if has_run || ended.is_some() => Condition::wished(
            RUNNING,
            Reason::Completed,
            "The guest ended, shut down from inside or by hand, and its run strategy leaves it so",
        ),
        _ => starting("KubeVirt is about to start the guest"),
    }
}

/// A VM that KubeVirt does not start by itself.
fn halted(vm: &VirtualMachineFact, object: String, wish: Option<&DesiredPower>) -> Condition {
    let as_asked = || Condition::wished(RUNNING, Reason::Halted, "The VM is stopped, as asked");
    let Some(wish) = wish else {
        return as_asked();
    };
    if wish.runs() && !wish.is_carried_out(vm) {
        return starting("The VM is about to be started");
    }
    if wish.runs() && vm.run_strategy.as_deref() == Some(RunStrategy::Halted.as_ref()) {
        return Condition::bad(
            RUNNING,
            Reason::StoppedElsewhere,
            "Somebody stopped the VM, for instance with virtctl, and the Wukong has not asked anew",
        )
        .about(object)
        .hint(format!(
            "virtctl start {}, or change spec.powerState",
            vm.meta.name
        ));
    }
    as_asked()
}

/// A VM whose pod has no node. KubeVirt's condition `PodScheduled` says so in two other cases as well: a claim is
/// missing, and, left over, after a stop or through a whole import. Only the scheduler's own words count.
fn scheduling(
    vm: &VirtualMachineFact,
    instance: &VirtualMachineInstanceFact,
    observed: &Observed,
    wukong: Option<&ValidatedWukong>,
) -> Condition {
    let name = &instance.meta.name;
    let object = format!("VirtualMachineInstance/{name}");
    if let Some(refused) = find_condition(&instance.conditions, "Synchronized")
        .filter(|synchronized| synchronized.status == "False")
    {
        return pod_refused(refused, object);
    }
    let tried = matches!(
        vm.printable_status.as_str(),
        "ErrorUnschedulable" | "Starting"
    );
    let words = find_condition(&instance.conditions, "PodScheduled")
        .filter(|scheduled| scheduled.status == "False" && scheduled.reason == "Unschedulable")
        .filter(|_| tried)
        .map(|scheduled| scheduled.message.as_str());
    let environment = &observed.world.environment;
    let explained = words.and_then(|words| {
        let check = scheduler::explain(environment, wukong, name, words, observed.now)?;
        Some(Condition {
            message: format!("{}; the scheduler says: {words}", check.message),
            ..check.into()
        })
    });
    explained.unwrap_or_else(|| {
        Condition::progressing(SCHEDULED, Reason::Scheduling, "The VM waits for its node")
            .about(object)
    })
}

/// KubeVirt cannot make the pod, or the pod cannot start.
fn pod_refused(refused: &ConditionFact, object: String) -> Condition {
    let message = format!("The VM's pod cannot start: {}", refused.message);
    if refused.reason == "FailedPvcNotFound" {
        return Condition::progressing(SCHEDULED, Reason::Scheduling, message).about(object);
    }
    if let Some((_, quota)) = refused.message.split_once("exceeded quota: ") {
        let name = quota.split(',').next().unwrap_or_default();
        return Condition::bad(SCHEDULED, Reason::QuotaExceeded, message)
            .about(format!("ResourceQuota/{name}"))
            .hint("raise the quota of the namespace: the pod needs the guest's memory and about 300 MiB more");
    }
    Condition::bad(SCHEDULED, Reason::PodNotStarted, message)
        .about(object)
        .hint("see what the message says")
}
