//! The API server's own admission of pods and claims: LimitRanges and ResourceQuotas.

use std::collections::BTreeMap;

use serde_json::Value;

use super::verdict::Denial;
use crate::field::{Field, put};
use crate::kind::Kind;
use crate::quantity::Quantity;
use crate::world::World;

/// Gives containers the limits that LimitRanges set, and refuses those that ask for more.
///
/// # Errors
/// The API server's words.
pub fn limit_ranges(world: &World, pod: &mut Value) -> Result<(), Denial> {
    let namespace = Field::new("", pod)
        .at("metadata.namespace")
        .text()
        .to_owned();
    let ranges: Vec<Field<'_>> = world
        .list(Kind::LimitRange, &namespace)
        .flat_map(|range| range.at("spec.limits").items().collect::<Vec<_>>())
        .filter(|limit| limit.child("type").text() == "Container")
        .collect();
    for range in ranges {
        for resource in ["memory", "cpu"] {
            let maximum = range.child("max").child(resource);
            let default = range.child("default").child(resource);
            let default = if default.is_set() { &default } else { &maximum };
            limit_containers(pod, resource, &maximum, default)?;
        }
    }
    Ok(())
}

fn limit_containers(
    pod: &mut Value,
    resource: &str,
    maximum: &Field<'_>,
    default: &Field<'_>,
) -> Result<(), Denial> {
    let name = Field::new("", pod).child("metadata").name().to_owned();
    let containers = pod.pointer_mut("/spec/containers");
    let containers = containers.and_then(Value::as_array_mut);
    for (index, container) in containers.into_iter().flatten().enumerate() {
        let resources = Field::new("", container).child("resources").value().clone();
        let resources = Field::new("", &resources);
        let (request, limit) = (
            resources.child("requests").child(resource),
            resources.child("limits").child(resource),
        );
        if limit.is_set() && maximum.is_set() && limit.quantity() > maximum.quantity() {
            return Err(Denial(format!(
                "pods {name:?} is forbidden: maximum {resource} usage per Container is {}, but limit is {}",
                written(maximum),
                written(&limit)
            )));
        }
        if limit.is_set() || !default.is_set() {
            continue;
        }
        put(
            container,
            ["resources", "limits", resource],
            default.value().clone(),
        );
        if request.quantity() > default.quantity() {
            return Err(Denial(format!(
                "Pod {name:?} is invalid: spec.containers[{index}].resources.requests: Invalid value: {:?}: must be \
                 less than or equal to {resource} limit of {}",
                written(&request),
                written(default)
            )));
        }
    }
    Ok(())
}

/// A quantity as the API server writes it.
fn written(field: &Field<'_>) -> String {
    Quantity::canonical(field.text()).unwrap_or_else(|_| field.text().to_owned())
}

/// Refuses a pod or a claim for which a ResourceQuota leaves no room.
///
/// # Errors
/// The API server's words.
pub fn quotas(world: &World, kind: Kind, object: &Value) -> Result<(), Denial> {
    let object = Field::new("", object);
    let metadata = object.child("metadata");
    let namespace = metadata.child("namespace").text();
    let requested = needs(kind, &object);
    for quota in world.list(Kind::ResourceQuota, namespace) {
        let mut used: BTreeMap<String, Quantity> = BTreeMap::new();
        let over =
            |pod: &Field<'_>| ["Succeeded", "Failed"].contains(&pod.at("status.phase").text());
        for other in world.list(kind, namespace).filter(|other| !over(other)) {
            for (resource, amount) in needs(kind, &other) {
                let sum = used.entry(resource).or_default();
                *sum = sum.plus(amount);
            }
        }
        let exceeded: Vec<[String; 3]> = quota
            .at("spec.hard")
            .entries()
            .filter_map(|(resource, hard)| {
                let hard = Field::new("", hard);
                let requested = *requested.get(resource)?;
                let used = used.get(resource).copied().unwrap_or_default();
                let fits = used.plus(requested) <= hard.quantity();
                (!fits).then(|| {
                    [
                        format!("{resource}={}", amount(resource, requested)),
                        format!("{resource}={}", amount(resource, used)),
                        format!("{resource}={}", written(&hard)),
                    ]
                })
            })
            .collect();
        if exceeded.is_empty() {
            continue;
        }
        let [mut requested, mut used, mut limited] = [const { Vec::new() }; 3];
        for [of_requested, of_used, of_limited] in exceeded {
            requested.push(of_requested);
            used.push(of_used);
            limited.push(of_limited);
        }
        return Err(Denial(format!(
            "{} {:?} is forbidden: exceeded quota: {}, requested: {}, used: {}, limited: {}",
            kind.resource().plural,
            metadata.name(),
            quota.child("metadata").name(),
            requested.join(","),
            used.join(","),
            limited.join(","),
        )));
    }
    Ok(())
}

/// An amount of a resource as the API server writes it.
fn amount(resource: &str, amount: Quantity) -> String {
    match amount.milli() {
        milli if resource.ends_with("cpu") && milli % 1000 != 0 => format!("{milli}m"),
        _ => amount.to_binary(),
    }
}

/// What an object takes out of a quota, by the quota's names.
fn needs(kind: Kind, object: &Field<'_>) -> BTreeMap<String, Quantity> {
    if kind == Kind::Claim {
        let storage = object.at("spec.resources.requests.storage").quantity();
        let class = object.at("spec.storageClassName").text();
        return BTreeMap::from([
            ("requests.storage".to_owned(), storage),
            ("persistentvolumeclaims".to_owned(), Quantity::units(1)),
            (
                format!("{class}.storageclass.storage.k8s.io/requests.storage"),
                storage,
            ),
        ]);
    }
    let mut needs = BTreeMap::from([("pods".to_owned(), Quantity::units(1))]);
    for part in ["requests", "limits"] {
        for resource in ["memory", "cpu"] {
            let of = |container: &Field<'_>| {
                container
                    .child("resources")
                    .child(part)
                    .child(resource)
                    .quantity()
            };
            let sidecar =
                |container: &Field<'_>| container.child("restartPolicy").text() == "Always";
            let side_by_side = object
                .at("spec.containers")
                .items()
                .chain(object.at("spec.initContainers").items().filter(sidecar))
                .map(|container| of(&container))
                .fold(Quantity::default(), Quantity::plus);
            let alone = object
                .at("spec.initContainers")
                .items()
                .filter(|container| !sidecar(container))
                .map(|container| of(&container))
                .max()
                .unwrap_or_default();
            needs.insert(format!("{part}.{resource}"), side_by_side.max(alone));
        }
    }
    for resource in ["memory", "cpu"] {
        if let Some(amount) = needs.get(&format!("requests.{resource}")).copied() {
            needs.insert(resource.to_owned(), amount);
        }
    }
    needs
}

/// Refuses a VirtualMachine when the API server cannot ask KubeVirt's webhooks: the scenario `webhook-expired` or
/// `webhook-down` of the KubeVirt resource.
///
/// # Errors
/// The API server's words.
pub fn reachable(world: &World) -> Result<(), Denial> {
    match crate::installation::webhook_failure(world) {
        Some(failure) => Err(Denial(format!(
            "Internal error occurred: failed calling webhook \"virtualmachines-mutator.kubevirt.io\": failed to call \
             webhook: Post \"https://virt-api.kubevirt.svc:443/virtualmachines-mutate?timeout=10s\": {failure}"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotas_count_sidecars_and_what_is_there() {
        let pod = |name: &str| {
            json!({"metadata": {"name": name, "namespace": "a"}, "spec": {
            "containers": [{"resources": {"requests": {"memory": "544Mi"}}}],
            "initContainers": [
                {"restartPolicy": "Always", "resources": {"requests": {"memory": "35M"}}},
                {"resources": {"requests": {"memory": "1M"}}},
            ]}})
        };
        let mut world = World::default();
        let quota = json!({"metadata": {"name": "team", "namespace": "a"}, "spec": {"hard": {"requests.memory": "600Mi"}}});
        world.insert(
            crate::kind::Ref::new(Kind::ResourceQuota, "a", "team"),
            quota,
        );
        assert_eq!(quotas(&world, Kind::Pod, &pod("p")), Ok(()));
        world.insert(crate::kind::Ref::new(Kind::Pod, "a", "p"), pod("p"));
        assert_eq!(
            quotas(&world, Kind::Pod, &pod("q")).unwrap_err().0,
            "pods \"q\" is forbidden: exceeded quota: team, requested: requests.memory=605425344, used: \
             requests.memory=605425344, limited: requests.memory=600Mi"
        );
    }

    #[test]
    fn a_default_limit_below_the_request_makes_a_pod_invalid() {
        let mut world = World::default();
        let range = json!({"metadata": {"name": "r", "namespace": "a"}, "spec": {"limits": [
            {"type": "Container", "max": {"memory": "200Mi"}}]}});
        world.insert(crate::kind::Ref::new(Kind::LimitRange, "a", "r"), range);
        let pod = |resources: Value| json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {"containers": [{"resources": resources}]}});
        let refused = |resources| limit_ranges(&world, &mut pod(resources)).unwrap_err().0;
        assert_eq!(
            refused(json!({"requests": {"memory": "544Mi"}})),
            "Pod \"p\" is invalid: spec.containers[0].resources.requests: Invalid value: \"544Mi\": must be less than or \
             equal to memory limit of 200Mi"
        );
        assert_eq!(
            refused(json!({"limits": {"memory": "600M"}})),
            "pods \"p\" is forbidden: maximum memory usage per Container is 200Mi, but limit is 600M"
        );
    }
}
