//! Objects that the objects of a survey name: the namespace, PersistentVolumes, webhooks and what serves them.

use std::collections::BTreeSet;

use wukong_api::{Wukong, names};
use wukong_engine::facts::{ClaimFact, Presence, WebhookConfigurationFact};

use super::Survey;
use super::about::{any, identity, name, namespace};
use super::children::generations;
use super::read::{Wanted, read};
use super::scope::{CLAIMS, DEPLOYMENTS, MUTATING, NAMESPACES, SERVICES, VALIDATING, VOLUMES};
use crate::cluster::Cluster;
use crate::items::Selection;

/// Labels that the Deployments of KubeVirt, CDI and the operator have.
const CONTROL_PLANE: [&str; 3] = [
    "kubevirt.io",
    "cdi.kubevirt.io",
    "app.kubernetes.io/name=wukong-operator",
];

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
        let all = || vec![Wanted::List(Selection::default())];
        let namespace = vec![one(cluster.namespace.clone())];
        let volumes = self.volumes(wukong).into_iter().map(one).collect();
        let (namespace, volumes, validating, mutating) = futures::join!(
            read(cluster, NAMESPACES, namespace, any),
            read(cluster, VOLUMES, volumes, any),
            read(cluster, VALIDATING, all(), any),
            read(cluster, MUTATING, all(), any),
        );
        for part in [namespace?, volumes?, validating?, mutating?] {
            self.put(part);
        }

        let services = self.webhook_services();
        let mut namespaces: BTreeSet<String> = services
            .iter()
            .map(|(namespace, _)| namespace.clone())
            .collect();
        let wanted = services
            .into_iter()
            .map(|(namespace, name)| Wanted::One(Some(namespace), name));
        let list = |namespace, labels| {
            Wanted::List(Selection {
                namespace,
                labels,
                ..Selection::default()
            })
        };
        let labelled = CONTROL_PLANE.map(|label| list(None, Some(label.into())));
        let (services, labelled) = futures::join!(
            read(cluster, SERVICES, wanted.collect(), any),
            read(cluster, DEPLOYMENTS, labelled.into(), any),
        );
        let deployments = labelled?;
        self.put(services?);
        if deployments.presence == Presence::Forbidden {
            namespaces.extend(self.kubevirt_namespaces());
        }
        let wanted = namespaces.into_iter();
        let wanted = wanted.map(|namespace| list(Some(namespace), None));
        let mut others = read(cluster, DEPLOYMENTS, wanted.collect(), any).await?;
        if others.presence != Presence::Served {
            others.presence = deployments.presence;
        }
        self.put(others);
        self.add(deployments);
        Ok(())
    }

    /// Returns the names of the PersistentVolumes of the Wukong's claims.
    pub(super) fn volumes(&self, wukong: &Wukong) -> BTreeSet<String> {
        let claims = claims(wukong);
        let (here, _) = identity(wukong);
        let of_wukong = self.facts::<ClaimFact>(CLAIMS, |claim| {
            claims.contains(name(claim)) && namespace(claim) == here
        });
        of_wukong
            .into_iter()
            .filter_map(|claim| Some(claim.volume?.into()))
            .collect()
    }

    /// Returns namespace and name of the Services that answer for webhooks on objects of VMs.
    pub(super) fn webhook_services(&self) -> BTreeSet<(String, String)> {
        let configurations = [VALIDATING, MUTATING]
            .into_iter()
            .flat_map(|plural| self.facts::<WebhookConfigurationFact>(plural, any));
        configurations
            .flat_map(|configuration| configuration.webhooks)
            .filter_map(|webhook| webhook.service)
            .map(|(namespace, name)| (namespace.into(), name.into()))
            .collect()
    }

    fn kubevirt_namespaces(&self) -> impl Iterator<Item = String> {
        let kubevirts = self.objects("kubevirts");
        kubevirts.map(|kubevirt| namespace(kubevirt).to_owned())
    }
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
        .chain(generations(wukong))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response, StatusCode};
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

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
        survey.parts.retain(|part| part.plural == CLAIMS);
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
