//! Rules about the namespace, and about the Deployments and webhooks of the control plane.

use std::collections::BTreeMap;

use wukong_api::validated::Source;

use super::{Finding, RuleInput};
use crate::environment::Environment;
use crate::facts::words::listed;
use crate::facts::{
    ConditionFact, DeploymentFact, Presence, Store, Text, WebhookConfigurationFact, WebhookFact,
    all_hold,
};

/// CDI's Deployments without which no disk is filled.
const CDI: [&str; 2] = ["cdi-deployment", "cdi-apiserver"];

/// The namespace of the Wukong is being deleted. Where namespaces are not known, the rejected writes tell.
pub(super) fn namespace(input: &RuleInput) -> Finding {
    let namespaces = &input.environment.namespaces;
    let name = input.wukong.map(|wukong| &wukong.identity.namespace);
    let Some(namespace) = name.and_then(|name| namespaces.get("", name).present()) else {
        return Finding::Irrelevant;
    };
    if !namespace.meta.deleting {
        return Finding::holds();
    }
    let name = &namespace.meta.name;
    let remains = namespace
        .conditions
        .iter()
        .filter(|condition| condition.status == "True" && !condition.message.is_empty());
    let remains: Vec<&ConditionFact> = remains.collect();
    let words: Vec<&str> = remains
        .iter()
        .map(|condition| condition.message.trim_end_matches('.'))
        .collect();
    let message =
        format!("Namespace {name} is being deleted (terminating): nothing can be created there");
    let message = match words.is_empty() {
        true => message,
        false => format!("{message}. {}", words.join("; ")),
    };
    Finding::found(message)
        .about(format!("Namespace/{name}"))
        .hint(Some(format!(
            "create the Wukong in another namespace; if the deletion hangs, check the controllers that own the remaining objects and finalizers: kubectl get namespace {name} -o yaml"
        )))
        .evidence(
            remains
                .iter()
                .map(|condition| {
                    format!("{}: {}: {}", condition.type_, condition.reason, condition.message)
                })
                .collect(),
        )
}

/// What a Deployment without an available pod says, in words.
pub(in crate::diagnosis) fn down(deployment: &DeploymentFact) -> String {
    let name = &deployment.meta.name;
    let namespace = &deployment.meta.namespace;
    if deployment.replicas == 0 {
        return format!("Deployment {name} in namespace {namespace} is scaled to 0 replicas");
    }
    let of_type = |type_: &str, status: &str| {
        let mut conditions = deployment.conditions.iter();
        conditions.find(|condition| {
            condition.type_ == type_ && condition.status == status && !condition.message.is_empty()
        })
    };
    let reported = of_type("ReplicaFailure", "True")
        .or_else(|| of_type("Progressing", "False"))
        .or_else(|| of_type("Available", "False"));
    let reported = reported.map_or_else(String::new, |reported| {
        format!(" ({}: {})", reported.reason, reported.message)
    });
    format!(
        "Deployment {name} in namespace {namespace} has no available pod, of {} wanted{reported}",
        deployment.replicas
    )
}

/// The command that shows why a Deployment has no pods.
pub(in crate::diagnosis) fn look_at(deployment: &DeploymentFact) -> String {
    let name = &deployment.meta.name;
    let namespace = &deployment.meta.namespace;
    if deployment.replicas == 0 {
        return format!("kubectl scale deployment {name} -n {namespace} --replicas=1");
    }
    let labels: Vec<String> = deployment
        .labels
        .iter()
        .filter(|(key, _)| matches!(key.as_str(), "kubevirt.io" | "cdi.kubevirt.io" | "app"))
        .take(1)
        .map(|(key, value)| format!("; kubectl get pods -n {namespace} -l {key}={value}"))
        .collect();
    format!(
        "kubectl describe deployment {name} -n {namespace}{}",
        labels.concat()
    )
}

/// One of KubeVirt's Deployments without which no VM starts, and that has no available pod.
pub(super) fn kubevirt_down<'a>(
    environment: &'a Environment,
    namespace: &str,
) -> Option<&'a DeploymentFact> {
    let deployments = &environment.deployments;
    ["virt-api", "virt-controller"].iter().find_map(|name| {
        let deployment = deployments.get(namespace, name).present();
        deployment.filter(|deployment| deployment.is_down())
    })
}

/// CDI's controller and API server. Where Deployments are not known, the CDI resource tells.
pub(super) fn cdi_runs(input: &RuleInput) -> Finding {
    let fills = input
        .wukong
        .is_none_or(|wukong| wukong.disks.iter().any(|disk| disk.source != Source::Blank));
    let deployments = || {
        let all = input.environment.deployments.iter();
        all.filter(|deployment| CDI.contains(&deployment.meta.name.as_str()))
    };
    if !fills || deployments().next().is_none() {
        return Finding::Irrelevant;
    }
    let Some(deployment) = deployments().find(|deployment| deployment.is_down()) else {
        return Finding::holds();
    };
    Finding::found(format!("CDI does not run: {}", down(deployment)))
        .about(format!("Deployment/{}", deployment.meta.name))
        .hint(Some(look_at(deployment)))
}

/// A webhook that has to answer before the API server takes an object of a VM, and that no pod serves.
pub(super) fn webhooks(input: &RuleInput) -> Finding {
    let environment = input.environment;
    let known = |store: &Store<WebhookConfigurationFact>| store.presence() == Presence::Served;
    let configurations = [
        (
            "ValidatingWebhookConfiguration",
            &environment.validating_webhooks,
        ),
        (
            "MutatingWebhookConfiguration",
            &environment.mutating_webhooks,
        ),
    ];
    if !configurations.iter().any(|(_, store)| known(store)) || environment.deployments.is_empty() {
        return Finding::Irrelevant;
    }
    for (kind, store) in configurations {
        for configuration in store.iter() {
            for webhook in &configuration.webhooks {
                let kinds = called_for(input, webhook);
                let served = serving(environment, webhook);
                let (false, Some((service, deployment))) = (kinds.is_empty(), served) else {
                    continue;
                };
                let name = &configuration.meta.name;
                return Finding::found(format!(
                    "The API server rejects new {}: no pod answers webhook {} of {kind} {name} (Service {service}): {}",
                    listed(kinds.iter().copied()),
                    webhook.name,
                    down(deployment)
                ))
                .about(format!("{kind}/{name}"))
                .hint(Some(format!(
                    "{}; if its program was removed, delete the leftover: kubectl delete {} {name}",
                    look_at(deployment),
                    kind.to_lowercase()
                )))
                .evidence(vec![format!("Deployment/{}: {}", deployment.meta.name, down(deployment))]);
            }
        }
    }
    Finding::holds()
}

/// The kinds of objects of this VM that a webhook has to admit. None, where it is not known whether it is called.
fn called_for(input: &RuleInput, webhook: &WebhookFact) -> Vec<&'static str> {
    let labels = |name: &String| {
        let namespace = input.environment.namespaces.get("", name).present()?;
        Some(&namespace.labels)
    };
    let called = match input.wukong.map(|wukong| &wukong.identity.namespace) {
        Some(name) => labels(name).and_then(|labels| all_hold(&webhook.namespaces, labels)),
        None => None,
    };
    let everywhere = webhook.namespaces.as_ref().is_some_and(Vec::is_empty);
    if !webhook.required || webhook.narrowed || !(everywhere || called == Some(true)) {
        return Vec::new();
    }
    let has_disks = input.wukong.is_none_or(|wukong| !wukong.disks.is_empty());
    let has_nics = input.wukong.is_none_or(|wukong| !wukong.nics.is_empty());
    webhook
        .kinds
        .iter()
        .copied()
        .filter(|kind| match *kind {
            "datavolumes" | "persistentvolumeclaims" => has_disks,
            "network-attachment-definitions" => has_nics,
            _ => true,
        })
        .collect()
}

/// The Service of a webhook, and a Deployment of it that has no available pod, where no other Deployment serves it.
fn serving<'a>(
    environment: &'a Environment,
    webhook: &WebhookFact,
) -> Option<(String, &'a DeploymentFact)> {
    let (namespace, name) = webhook.service.as_ref()?;
    let service = environment.services.get(namespace, name).present()?;
    let selects = |labels: &BTreeMap<Text, Text>| {
        !service.selector.is_empty()
            && service
                .selector
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    };
    let mut serving = environment
        .deployments
        .in_namespace(namespace)
        .filter(|deployment| selects(&deployment.labels));
    let first = serving.next()?;
    let down = first.is_down() && serving.all(DeploymentFact::is_down);
    down.then(|| (format!("{namespace}/{name}"), first))
}
