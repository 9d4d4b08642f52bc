//! Rules about KubeVirt as a whole.

use super::{Finding, RuleInput, control_plane, gap};
use crate::facts::{
    DeploymentFact, KubeVirtFact, PodFact, Presence, Text, find_condition, is_true,
};

/// The binding plugin that planned VMs name for NICs of type `macvlan`.
const MACVTAP: &str = "macvtap";
/// The feature gate of binding plugins, and the version since which there is none.
const BINDING_PLUGINS: (&str, (u32, u32)) = ("NetworkBindingPlugins", (1, 5));

fn subject(kubevirt: &KubeVirtFact) -> String {
    format!("KubeVirt/{}", kubevirt.meta.name)
}

fn is_available(kubevirt: &KubeVirtFact) -> bool {
    is_true(&kubevirt.conditions, "Available")
}

pub(super) fn installed(input: &RuleInput) -> Finding {
    let environment = input.environment;
    if let Some(gap) = gap(environment.virtual_machines, "VirtualMachine") {
        return gap;
    }
    if environment.virtual_machines == Presence::Served {
        return Finding::holds();
    }
    match environment.kubevirt() {
        // KubeVirt installs its kinds with its deployment, so the deployment is the cause.
        Some(kubevirt) if !is_available(kubevirt) => Finding::holds(),
        Some(kubevirt) => Finding::found(
            "The cluster has no kind VirtualMachine, although KubeVirt reports that it is deployed",
        )
        .about(subject(kubevirt)),
        None if environment.kubevirts.presence() == Presence::Served => Finding::found(
            "The cluster has no kind VirtualMachine: KubeVirt's operator is installed, but no KubeVirt resource asks it to deploy KubeVirt",
        ),
        None => Finding::found("The cluster has no kind VirtualMachine: KubeVirt is not installed"),
    }
}

pub(super) fn available(input: &RuleInput) -> Finding {
    let environment = input.environment;
    if let Some(gap) = gap(environment.kubevirts.presence(), "KubeVirt") {
        return gap;
    }
    if environment.kubevirts.presence() == Presence::Missing {
        // VMs can be made, so KubeVirt was installed by other means than its operator.
        return Finding::Irrelevant;
    }
    let Some(kubevirt) = environment.kubevirt() else {
        return Finding::found(
            "There is no KubeVirt resource, so nothing deploys and configures KubeVirt",
        );
    };
    let down = control_plane::kubevirt_down(environment, &kubevirt.meta.namespace);
    // KubeVirt's own condition lags, and stays as it is while virt-operator does not run.
    if let Some(deployment) = down.filter(|_| is_available(kubevirt)) {
        return not_running(deployment);
    }
    if is_available(kubevirt) {
        let version = kubevirt.version.as_deref().unwrap_or("of unknown version");
        return Finding::Holds(vec![format!("{} is {version}", subject(kubevirt))]);
    }
    let failing = |handler: bool| {
        environment.kubevirt_pods.iter().filter_map(move |pod| {
            let of_kind = (pod.component == "virt-handler") == handler;
            Some((pod, pod.failure().filter(|_| of_kind)?))
        })
    };
    let evidence = |(pod, failure): (&PodFact, Text)| format!("Pod/{}: {failure}", pod.meta.name);
    if let Some((pod, failure)) = failing(false).next() {
        let component = &pod.component;
        return Finding::found(format!(
            "KubeVirt is not available: {component} does not run, {failure}"
        ))
        .about(format!("Pod/{}", pod.meta.name))
        .evidence(failing(false).map(evidence).collect());
    }
    if let Some(deployment) = down {
        return not_running(deployment);
    }
    if let Some(refused) = refused(kubevirt) {
        return Finding::found(format!(
            "KubeVirt is not available: virt-operator cannot deploy it, {refused}"
        ))
        .about(subject(kubevirt));
    }
    // KubeVirt waits for virt-handler before its phase is `Deployed`.
    if kubevirt.phase == "Deploying" && failing(true).next().is_some() {
        return Finding::Consequence("virt-handler");
    }
    let reported = find_condition(&kubevirt.conditions, "Available")
        .or_else(|| find_condition(&kubevirt.conditions, "Degraded"))
        .filter(|condition| !condition.message.is_empty());
    let reported = reported.map_or_else(
        || "its conditions give no reason".to_owned(),
        |reported| format!("{}: {}", reported.reason, reported.message),
    );
    let phase = match kubevirt.phase.as_str() {
        "" => "without a phase".to_owned(),
        phase => format!("in phase {phase}"),
    };
    Finding::found(format!(
        "KubeVirt is not available; it is {phase} ({reported})"
    ))
    .about(subject(kubevirt))
}

/// What virt-operator cannot write (`UpdateConditionsFailedError` in its `pkg/virt-operator/util`), without the object that
/// it prints before the error.
fn refused(kubevirt: &KubeVirtFact) -> Option<&str> {
    let condition = find_condition(&kubevirt.conditions, "Synchronized")?;
    let message = Some(condition.message.as_str()).filter(|message| !message.is_empty())?;
    let words = message.rsplit("}: ").next().unwrap_or(message);
    (condition.status == "False").then_some(words)
}

fn not_running(deployment: &DeploymentFact) -> Finding {
    Finding::found(format!(
        "KubeVirt is not available: {}",
        control_plane::down(deployment)
    ))
    .about(format!("Deployment/{}", deployment.meta.name))
    .hint(Some(control_plane::look_at(deployment)))
}

pub(super) fn feature_gate(input: &RuleInput) -> Finding {
    let Some(kubevirt) = macvtap_needed(input) else {
        return Finding::Irrelevant;
    };
    let (gate, ungated) = BINDING_PLUGINS;
    let on = kubevirt.feature_gates.iter().any(|known| known == gate);
    match kubevirt.minor_version() {
        Some(version) if version < ungated && !on => Finding::found(format!(
            "NICs of type macvlan need KubeVirt's feature gate {gate}, which is off"
        ))
        .about(subject(kubevirt)),
        _ => Finding::holds(),
    }
}

pub(super) fn binding(input: &RuleInput) -> Finding {
    let Some(kubevirt) = macvtap_needed(input) else {
        return Finding::Irrelevant;
    };
    if kubevirt
        .network_bindings
        .iter()
        .any(|binding| binding == MACVTAP)
    {
        return Finding::holds();
    }
    Finding::found(format!(
        "NICs of type macvlan need the network binding plugin {MACVTAP}, which is not registered in KubeVirt"
    ))
    .about(subject(kubevirt))
}

fn macvtap_needed<'a>(input: &RuleInput<'a>) -> Option<&'a KubeVirtFact> {
    let needed = input.wukong?.nics.iter().any(|nic| nic.kind.is_macvtap());
    input.environment.kubevirt().filter(|_| needed)
}

pub(super) fn emulation(input: &RuleInput) -> Finding {
    match input.environment.kubevirt() {
        Some(kubevirt) if kubevirt.use_emulation => Finding::found(
            "KubeVirt emulates processors in software: VMs run without hardware virtualization, many times slower",
        )
        .about(subject(kubevirt)),
        _ => Finding::Irrelevant,
    }
}
