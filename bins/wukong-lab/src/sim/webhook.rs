//! The admission webhooks of KubeVirt and CDI.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::execute::api_resource;
use wukong_sim::admission::{self, ClusterConfig, Denial};
use wukong_sim::field::{Field, put};
use wukong_sim::kind::Kind;
use wukong_sim::scenario::{ANNOTATION, Scenario};

/// An empty reason and this code is how both refuse.
const REFUSED: u16 = 422;
const FAIL: &str = "Fail";

pub fn router(client: Client) -> Router {
    Router::new()
        .route("/vm/mutate", post(mutate_vm))
        .route("/vm/validate", post(validate_vm))
        .route("/migration/validate", post(validate_migration))
        .route("/datavolume/validate", post(validate_data_volume))
        .with_state(client)
}

/// The configurations that make the API server ask here.
pub fn configurations(port: u16, authority: &str) -> Vec<(&'static str, Value)> {
    let bundle = STANDARD.encode(authority);
    let hook = |name: &str,
                path: &str,
                group: &str,
                version: &str,
                resource: &str,
                operations: Value| {
        json!({
            "name": name,
            "clientConfig": {"url": format!("https://127.0.0.1:{port}{path}"), "caBundle": bundle},
            "rules": [{"apiGroups": [group], "apiVersions": [version], "resources": [resource],
                "operations": operations, "scope": "Namespaced"}],
            "failurePolicy": FAIL, "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 10,
        })
    };
    let configuration = |kind: &str, name: &str, hooks: Value| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
            "webhooks": hooks})
    };
    let vm = |name, path, operations| {
        hook(
            name,
            path,
            "kubevirt.io",
            "v1",
            "virtualmachines",
            operations,
        )
    };
    let both = || json!(["CREATE", "UPDATE"]);
    let mutate = vm("virtualmachines-mutator.kubevirt.io", "/vm/mutate", both());
    let validate = vm(
        "virtualmachine-validator.kubevirt.io",
        "/vm/validate",
        both(),
    );
    let migrate = hook(
        "migration-create-validator.kubevirt.io",
        "/migration/validate",
        "kubevirt.io",
        "v1",
        "virtualmachineinstancemigrations",
        json!(["CREATE"]),
    );
    let data_volume = hook(
        "datavolume-validate.cdi.kubevirt.io",
        "/datavolume/validate",
        "cdi.kubevirt.io",
        "v1beta1",
        "datavolumes",
        both(),
    );
    vec![
        (
            "mutatingwebhookconfigurations",
            configuration(
                "MutatingWebhookConfiguration",
                "virt-api-mutator",
                json!([mutate]),
            ),
        ),
        (
            "validatingwebhookconfigurations",
            configuration(
                "ValidatingWebhookConfiguration",
                "virt-api-validator",
                json!([validate, migrate]),
            ),
        ),
        (
            "validatingwebhookconfigurations",
            configuration(
                "ValidatingWebhookConfiguration",
                "cdi-api-datavolume-validate",
                json!([data_volume]),
            ),
        ),
    ]
}

/// What a webhook is asked.
struct Request<'a>(Field<'a>);

impl<'a> Request<'a> {
    fn of(review: &'a Value) -> Self {
        Self(Field::new("", review).child("request"))
    }

    fn object(&self) -> Value {
        let mut object = self.0.child("object").value().clone();
        // The name may be generated, and the namespace come from the address.
        if object.pointer("/metadata/namespace").is_none() {
            put(
                &mut object,
                ["metadata", "namespace"],
                self.0.child("namespace").value().clone(),
            );
        }
        object
    }

    fn old(&self) -> Option<&'a Value> {
        let old = self.0.child("oldObject");
        old.is_set().then(|| old.value())
    }

    fn is_creation(&self) -> bool {
        self.0.child("operation").text() == "CREATE"
    }

    fn answer(&self, response: Value) -> Json<Value> {
        let mut response = response;
        put(&mut response, ["uid"], self.0.child("uid").value().clone());
        Json(
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}),
        )
    }

    fn verdict(&self, verdict: Result<(), Denial>) -> Json<Value> {
        match verdict {
            Ok(()) => self.answer(json!({"allowed": true})),
            Err(denial) => self.answer(json!({"allowed": false,
                "status": {"code": REFUSED, "reason": "", "message": denial.to_string()}})),
        }
    }
}

/// Answers nothing while the KubeVirt resource has the scenario `webhook-down`: the API server says the rest.
async fn answers(client: Client) -> Result<(), StatusCode> {
    let found = Api::<DynamicObject>::all_with(client, &api_resource(Kind::KubeVirt))
        .list_metadata(&ListParams::default())
        .await;
    let down = found
        .into_iter()
        .flat_map(|list| list.items)
        .any(|kubevirt| {
            let annotations = kubevirt.metadata.annotations.unwrap_or_default();
            let scenario = annotations.get(ANNOTATION).map(String::as_str);
            Scenario::parse(scenario.unwrap_or_default()).has("webhook-down")
        });
    if down {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    Ok(())
}

async fn mutate_vm(
    State(client): State<Client>,
    Json(review): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    answers(client).await?;
    Ok(mutated(&review))
}

fn mutated(review: &Value) -> Json<Value> {
    let request = Request::of(review);
    let mut object = request.object();
    if let Err(denial) = admission::decode_vm(&object) {
        return request.verdict(Err(denial));
    }
    let requested = object.clone();
    admission::canonicalize_vm(&mut object);
    if request.is_creation() {
        admission::default_vm(&mut object, request.0.child("uid").text());
    }
    if object == requested {
        return request.verdict(Ok(()));
    }
    let patch = json!([{"op": "replace", "path": "/spec", "value": object.get("spec")}]);
    request.answer(json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch.to_string())}))
}

async fn validate_vm(Json(review): Json<Value>) -> Json<Value> {
    let request = Request::of(&review);
    request.verdict(admission::admit_vm(
        &request.object(),
        request.old(),
        &ClusterConfig::default(),
    ))
}

async fn validate_migration(
    State(client): State<Client>,
    Json(review): Json<Value>,
) -> Json<Value> {
    let request = Request::of(&review);
    let migration = request.object();
    let field = Field::new("", &migration);
    let name = field.at("spec.vmiName").text();
    let vmi = stored(&client, Kind::Vmi, &migration, name).await;
    let others = Api::<DynamicObject>::namespaced_with(
        client,
        field.at("metadata.namespace").text(),
        &api_resource(Kind::Migration),
    );
    let others = others.list(&ListParams::default()).await;
    let others: Vec<Value> = others
        .into_iter()
        .flat_map(|list| list.items)
        .filter_map(|other| serde_json::to_value(other).ok())
        .collect();
    request.verdict(admission::admit_migration(
        &migration,
        vmi.as_ref(),
        &others,
    ))
}

async fn validate_data_volume(
    State(client): State<Client>,
    Json(review): Json<Value>,
) -> Json<Value> {
    let request = Request::of(&review);
    let object = request.object();
    let claim = if request.is_creation() {
        let field = Field::new("", &object);
        stored(
            &client,
            Kind::Claim,
            &object,
            field.child("metadata").name(),
        )
        .await
    } else {
        None
    };
    let verdict = admission::admit_data_volume(&object, request.old(), claim.as_ref());
    // CDI's own prefix ends in a second space.
    request.verdict(verdict.map_err(|denial| Denial(format!(" {denial}"))))
}

/// The object of another kind in the same namespace, as the real webhooks look it up.
async fn stored(client: &Client, kind: Kind, object: &Value, name: &str) -> Option<Value> {
    let namespace = Field::new("", object).at("metadata.namespace").text();
    let objects: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &api_resource(kind));
    serde_json::to_value(objects.get_opt(name).await.ok()??).ok()
}
