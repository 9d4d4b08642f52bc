//! Objects that the objects of a survey name: the namespace, PersistentVolumes, webhooks and what serves them.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;
use wukong_api::{Wukong, names};
use wukong_engine::facts::{ClaimFact, WebhookConfigurationFact};
use wukong_engine::store::Presence;

use super::source::{
    DEPLOYMENT, MUTATING, MUTATING_WEBHOOK, NAMESPACE, SERVICE, Source, VALIDATING,
    VALIDATING_WEBHOOK, VOLUME,
};
use super::{AT_ONCE, Part, Survey, name, namespace, values};
use crate::cluster::{Cluster, denied, readable};

/// Labels that the Deployments of KubeVirt, CDI and the operator have.
const CONTROL_PLANE: [&str; 3] = [
    "kubevirt.io",
    "cdi.kubevirt.io",
    "app.kubernetes.io/name=wukong-operator",
];

/// Some objects of a kind.
enum Wanted {
    /// The one of this name, in a namespace or in none.
    One(Option<String>, String),
    /// Those of a namespace.
    In(String),
    /// Those with a label.
    Labelled(&'static str),
}

impl Survey {
    /// Reads the objects that the Wukong and the objects of the survey name.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub(super) async fn read_named(
        &mut self,
        cluster: &Cluster,
        wukong: &Wukong,
    ) -> anyhow::Result<()> {
        let one = |name| Wanted::One(None, name);
        let namespace = vec![one(cluster.namespace.clone())];
        let volumes: Vec<Wanted> = self.volumes(wukong).into_iter().map(one).collect();
        let (namespace, volumes, validating, mutating) = futures::join!(
            read(cluster, &NAMESPACE, namespace),
            read(cluster, &VOLUME, volumes),
            super::read(cluster, &VALIDATING_WEBHOOK),
            super::read(cluster, &MUTATING_WEBHOOK),
        );
        self.parts
            .extend([namespace?, volumes?, validating?, mutating?]);

        let services = self.webhook_services();
        let mut namespaces: BTreeSet<String> = services
            .iter()
            .map(|(namespace, _)| namespace.clone())
            .collect();
        let wanted = services
            .into_iter()
            .map(|(namespace, name)| Wanted::One(Some(namespace), name));
        let labelled = CONTROL_PLANE.map(Wanted::Labelled).into();
        let (services, labelled) = futures::join!(
            read(cluster, &SERVICE, wanted.collect()),
            read(cluster, &DEPLOYMENT, labelled),
        );
        let mut deployments = labelled?;
        self.parts.push(services?);
        if deployments.presence == Presence::Forbidden {
            namespaces.extend(self.kubevirt_namespaces());
        }
        let wanted = namespaces.into_iter().map(Wanted::In).collect();
        let others = read(cluster, &DEPLOYMENT, wanted).await?;
        if others.presence == Presence::Served {
            deployments.presence = Presence::Served;
        }
        for deployment in others.objects {
            let known =
                |other: &Value| (namespace_and_name(other)) == namespace_and_name(&deployment);
            if !deployments.objects.iter().any(known) {
                deployments.objects.push(deployment);
            }
        }
        self.parts.push(deployments);
        Ok(())
    }

    /// Returns the names of the PersistentVolumes of the Wukong's claims.
    pub(super) fn volumes(&self, wukong: &Wukong) -> BTreeSet<String> {
        let claims = claims(wukong);
        let (namespace, _) = identity(wukong);
        let of_wukong = self.facts::<ClaimFact>("persistentvolumeclaims", |claim| {
            claims.contains(name(claim)) && super::namespace(claim) == namespace
        });
        of_wukong
            .into_iter()
            .filter_map(|claim| claim.volume)
            .collect()
    }

    /// Returns namespace and name of the Services that answer for webhooks on objects of VMs.
    pub(super) fn webhook_services(&self) -> BTreeSet<(String, String)> {
        let configurations = [VALIDATING, MUTATING]
            .into_iter()
            .flat_map(|plural| self.facts::<WebhookConfigurationFact>(plural, super::any));
        configurations
            .flat_map(|configuration| configuration.webhooks)
            .filter_map(|webhook| webhook.service)
            .collect()
    }

    fn kubevirt_namespaces(&self) -> impl Iterator<Item = String> {
        let kubevirts = self.part("kubevirts").into_iter();
        kubevirts
            .flat_map(|part| &part.objects)
            .map(|kubevirt| namespace(kubevirt).to_owned())
    }
}

fn identity(wukong: &Wukong) -> (&str, &str) {
    let metadata = &wukong.metadata;
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

fn namespace_and_name(object: &Value) -> (&str, &str) {
    (namespace(object), name(object))
}

/// Returns the names of the claims of a Wukong's disks.
pub(super) fn claims(wukong: &Wukong) -> BTreeSet<String> {
    let (_, name) = identity(wukong);
    let disks = wukong.spec.disks.iter();
    disks
        .map(|disk| match &disk.claim {
            Some(claim) => claim.clone(),
            None => names::claim(name, &disk.name),
        })
        .collect()
}

/// Reads some objects of a kind. What does not exist is left out. Where some may not be read, those that may are known;
/// without any wanted, nothing is.
async fn read(
    cluster: &Cluster,
    source: &'static Source,
    wanted: Vec<Wanted>,
) -> anyhow::Result<Part> {
    let answers: Vec<Result<Vec<DynamicObject>, kube::Error>> = stream::iter(wanted)
        .map(|wanted| request(cluster, source, wanted))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut part = Part {
        plural: source.plural,
        presence: Presence::Unknown,
        objects: Vec::new(),
    };
    for answer in answers {
        match answer {
            Ok(objects) => {
                part.presence = Presence::Served;
                part.objects.extend(values(source, objects)?);
            }
            Err(error) => {
                let presence = denied(&error).ok_or_else(|| readable(error))?;
                if part.presence == Presence::Unknown {
                    part.presence = presence;
                }
            }
        }
    }
    Ok(part)
}

async fn request(
    cluster: &Cluster,
    source: &Source,
    wanted: Wanted,
) -> Result<Vec<DynamicObject>, kube::Error> {
    let resource = source.api_resource();
    let client = || cluster.client.clone();
    let everywhere = || Api::<DynamicObject>::all_with(client(), &resource);
    let inside =
        |namespace: &str| Api::<DynamicObject>::namespaced_with(client(), namespace, &resource);
    match wanted {
        Wanted::One(namespace, name) => {
            let api = namespace.as_deref().map_or_else(everywhere, inside);
            Ok(api.get_opt(&name).await?.into_iter().collect())
        }
        Wanted::In(namespace) => super::list(inside(&namespace)).await,
        Wanted::Labelled(label) => {
            let labelled = ListParams::default().labels(label);
            Ok(everywhere().list(&labelled).await?.items)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response, StatusCode};
    use kube::Client;
    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::survey::source::{DEPLOYMENTS, NAMED, NAMESPACES, SERVICES, VOLUMES};

    /// A cluster with an API server that answers by the path of a request, and the paths that were requested.
    fn cluster(answer: fn(&str) -> Option<Value>) -> (Cluster, Arc<Mutex<Vec<String>>>) {
        let requested = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requested);
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().to_string();
            let answer = answer(&path);
            seen.lock().unwrap().push(path);
            let (status, body) = match answer {
                Some(body) => (StatusCode::OK, body),
                None => (
                    StatusCode::FORBIDDEN,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "forbidden", "reason": "Forbidden", "code": 403}),
                ),
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            let response = Response::builder().status(status).body(body);
            async move { response }
        });
        let cluster = Cluster {
            client: Client::new(service, "shop"),
            namespace: "shop".into(),
        };
        (cluster, requested)
    }

    fn wukong() -> Wukong {
        serde_json::from_value(json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"cpu": 1, "memory": "1Gi", "disks": [{"name": "root", "size": "1Gi"}, {"name": "data", "claim": "old-data"}]},
        }))
        .unwrap()
    }

    /// A survey with these claims, each with the name of its volume.
    fn survey(claims: &[(&str, &str)]) -> Survey {
        let claim = |(name, volume): &(&str, &str)| {
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "shop"}, "spec": {"volumeName": volume}})
        };
        let mut survey = Survey::of_objects(&claims.iter().map(claim).collect::<Vec<_>>());
        let named: Vec<&str> = NAMED.iter().map(|source| source.plural).collect();
        survey.parts.retain(|part| !named.contains(&part.plural));
        survey
    }

    #[tokio::test]
    async fn only_what_is_named_is_read() {
        let (cluster, requested) = cluster(|path| {
            let object = |kind: &str, name: &str| {
                Some(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}))
            };
            let list = |items: Value| {
                Some(json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}))
            };
            match path.rsplit('/').next().unwrap().split('?').next().unwrap() {
                "shop" => object("Namespace", "shop"),
                "pv-1" => object("PersistentVolume", "pv-1"),
                "pv-2" => object("PersistentVolume", "pv-2"),
                "guard-api" => object("Service", "guard-api"),
                VALIDATING => list(json!([{"metadata": {"name": "guard"}, "webhooks": [{
                    "name": "vms.guard.example", "clientConfig": {"service": {"namespace": "guard", "name": "guard-api"}},
                    "rules": [{"apiGroups": ["kubevirt.io"], "operations": ["CREATE"], "resources": ["virtualmachines"]}],
                }]}])),
                DEPLOYMENTS => list(json!([{"metadata": {"name": "guard", "namespace": "guard"}}])),
                _ => list(json!([])),
            }
        });
        let mut survey = survey(&[
            ("web.root", "pv-1"),
            ("old-data", "pv-2"),
            ("other", "pv-3"),
        ]);
        survey.read_named(&cluster, &wukong()).await.unwrap();
        let mut paths = requested.lock().unwrap().clone();
        paths.sort();
        assert_eq!(
            paths,
            [
                "/api/v1/namespaces/guard/services/guard-api",
                "/api/v1/namespaces/shop",
                "/api/v1/persistentvolumes/pv-1",
                "/api/v1/persistentvolumes/pv-2",
                "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations?",
                "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations?",
                "/apis/apps/v1/deployments?&labelSelector=app.kubernetes.io%2Fname%3Dwukong-operator",
                "/apis/apps/v1/deployments?&labelSelector=cdi.kubevirt.io",
                "/apis/apps/v1/deployments?&labelSelector=kubevirt.io",
                "/apis/apps/v1/namespaces/guard/deployments?",
            ]
        );
        let world = survey.world();
        assert_eq!(world.volumes.len(), 2);
        assert_eq!(world.environment.deployments.len(), 1);
    }

    #[tokio::test]
    async fn what_may_not_be_read_is_forbidden_and_no_error() {
        let (cluster, _) = cluster(|_| None);
        let mut survey = survey(&[("web.root", "pv-1")]);
        survey.read_named(&cluster, &wukong()).await.unwrap();
        for plural in [NAMESPACES, VOLUMES, VALIDATING, MUTATING, DEPLOYMENTS] {
            assert_eq!(survey.presence(plural), Presence::Forbidden, "{plural}");
        }
        // No webhook is known, so no Service is requested.
        assert_eq!(survey.presence(SERVICES), Presence::Unknown);
    }
}
