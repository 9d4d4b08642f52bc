//! What requests and other writers do to the stored objects.

use jiff::Timestamp;
use serde_json::{Value, json};
use wukong_api::{Bytes, FIELD_MANAGER, labels, names};
use wukong_apiserver::server::{ApiServer, NAMESPACE};
use wukong_apiserver::simulator;
use wukong_engine::facts::Meta;
use wukong_engine::{Expect, FailureKind};

use crate::request::{Act, Batch};
use crate::state::Promise;
use crate::world::Edit;

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The hash of our fields as stored, for applies; or the rejection.
    pub result: Result<Option<String>, (FailureKind, String)>,
    /// The kind and the name of the object that the answer contains.
    pub object: Option<(&'static str, String)>,
    pub broken: Option<Promise>,
}

impl Answer {
    fn refused(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            result: Err((kind, message.into())),
            object: None,
            broken: None,
        }
    }
}

/// Executes a request.
pub fn execute(
    server: &mut ApiServer,
    batch: &Batch,
    index: usize,
    wukong: &str,
    now: Timestamp,
) -> Answer {
    match &batch.requests[index].act {
        Act::Apply {
            target,
            expect,
            body,
            ..
        } => {
            let kind: &str = target.kind.as_ref();
            let known = server.get(kind, &target.name);
            if let Some(refused) = expect.as_ref().and_then(|it| unmet(it, known.as_ref())) {
                return refused;
            }
            let mut broken = known.as_ref().and_then(|known| {
                (!is_ours(known, &batch.uid, wukong)).then_some(Promise::OnlyOurs)
            });
            if body["metadata"]["namespace"] != json!(NAMESPACE) {
                broken = Some(Promise::OwnNamespace);
            }
            match server.apply(FIELD_MANAGER, body, simulator::admit) {
                Ok(object) => Answer {
                    result: Ok(Meta::project(&object)
                        .owned_hash
                        .map(|hash| hash.to_string())),
                    object: Some((kind_name(kind), target.name.clone())),
                    broken,
                },
                Err(denial) => Answer::refused(FailureKind::Denied, denial.to_string()),
            }
        }
        Act::Expand { expand, exact } => {
            let (kind, name) = ("PersistentVolumeClaim", &expand.target.name);
            let known = server.get(kind, name);
            let same = |claim: &Value| !exact || claim["metadata"]["uid"] == json!(expand.uid);
            let Some(claim) = known.filter(same) else {
                return Answer::refused(FailureKind::Gone, "not found");
            };
            let ours = is_ours(&claim, &batch.uid, wukong);
            server.update(FIELD_MANAGER, kind, name, |claim| {
                claim["spec"]["resources"]["requests"]["storage"] = json!(expand.to.to_string());
                claim["metadata"]["annotations"][labels::GUEST_SIZE] =
                    json!(expand.guest_size.to_string());
            });
            Answer {
                result: Ok(None),
                object: Some((kind, name.clone())),
                broken: (!ours).then_some(Promise::OnlyOurs),
            }
        }
        Act::Call(call) => {
            let Some(vm) = server.get("VirtualMachine", wukong) else {
                return Answer::refused(FailureKind::Gone, "not found");
            };
            let ours = is_ours(&vm, &batch.uid, wukong);
            simulator::call(server, call.as_ref(), wukong, now);
            Answer {
                result: Ok(None),
                object: None,
                broken: (!ours).then_some(Promise::OnlyOurs),
            }
        }
        Act::Prune { prune, exact } => {
            let kind: &str = prune.target.kind.as_ref();
            let name = &prune.target.name;
            let Some(object) = server.get(kind, name) else {
                return Answer::refused(FailureKind::Stale, "not found");
            };
            let meta = Meta::project(&object);
            let same = meta.uid == prune.uid && meta.resource_version == prune.resource_version;
            if *exact && !same {
                return Answer::refused(FailureKind::Stale, "the object has been modified");
            }
            let broken = match kind {
                "NetworkAttachmentDefinition" => {
                    (!meta.is_controlled_by(&batch.uid)).then_some(Promise::OnlyOurs)
                }
                _ => Some(Promise::NoDataAtRisk),
            };
            server.delete(kind, name);
            Answer {
                result: Ok(None),
                object: None,
                broken,
            }
        }
        Act::Status(status) => {
            let stored = server.get("Wukong", wukong);
            if stored.is_none_or(|stored| stored["metadata"]["uid"] != json!(batch.uid)) {
                return Answer::refused(FailureKind::Gone, "not found");
            }
            server.update_status(FIELD_MANAGER, "Wukong", wukong, status.clone());
            Answer {
                result: Ok(None),
                object: Some(("Wukong", wukong.to_owned())),
                broken: None,
            }
        }
    }
}

fn kind_name(kind: &str) -> &'static str {
    let all = crate::state::KINDS.into_iter();
    all.chain(["Secret"]).find(|known| *known == kind).unwrap()
}

fn unmet(expect: &Expect, known: Option<&Value>) -> Option<Answer> {
    let meta = known.map(Meta::project);
    let (kind, message) = match (expect, &meta) {
        (Expect::Absent | Expect::AbsentOrControlledBy(_), None) => return None,
        (Expect::AbsentOrControlledBy(uid), Some(meta)) if meta.is_controlled_by(uid) => {
            return None;
        }
        (Expect::Absent | Expect::AbsentOrControlledBy(_), Some(_)) => {
            (FailureKind::NameTaken, "already exists")
        }
        (Expect::Present { .. }, None) => (FailureKind::Gone, "not found"),
        (
            Expect::Present {
                uid,
                resource_version,
            },
            Some(meta),
        ) => {
            let version = resource_version.as_ref();
            let same = meta.uid == *uid && version.is_none_or(|it| meta.resource_version == *it);
            if same {
                return None;
            }
            (FailureKind::Stale, "the object has been modified")
        }
    };
    Some(Answer::refused(kind, message))
}

/// Whether a Wukong may write an object: it controls the object, or the object is a disk that was retained, or the claim
/// of one of its DataVolumes.
fn is_ours(object: &Value, uid: &str, wukong: &str) -> bool {
    let meta = Meta::project(object);
    let kind = object["kind"].as_str().unwrap();
    let owner = meta.controller.as_ref().map(|owner| owner.kind.as_str());
    let of_disk = matches!(
        (kind, owner),
        ("DataVolume" | "PersistentVolumeClaim", None)
            | ("PersistentVolumeClaim", Some("DataVolume"))
    );
    meta.is_controlled_by(uid) || of_disk && meta.wukong.as_deref() == Some(wukong)
}

/// The uids of the claims of these names, or of all.
pub fn claims(server: &ApiServer, names: Option<&[String]>) -> Vec<String> {
    let claims = server.all("PersistentVolumeClaim").map(Meta::project);
    let named = |meta: &Meta| names.is_none_or(|names| names.iter().any(|it| meta.name == *it));
    let claims = claims.filter(named);
    claims.map(|meta| meta.uid.to_string()).collect()
}

/// Whether a Wukong has more than one VM.
pub fn has_twins(server: &ApiServer) -> bool {
    let mut owners: Vec<String> = server
        .all("VirtualMachine")
        .filter_map(|vm| Some(Meta::project(vm).controller?.uid.to_string()))
        .collect();
    owners.sort();
    owners.windows(2).any(|pair| pair[0] == pair[1])
}

/// Does what a user wants. Returns whether it was possible.
pub fn edit(server: &mut ApiServer, edit: &Edit, now: Timestamp) -> bool {
    const USER: &str = "kubectl";
    match edit {
        Edit::Apply(name, spec) if shrinks(server, name, spec) => return false,
        Edit::Apply(name, spec) if server.has("Wukong", name) => {
            let deleting = server.get("Wukong", name).unwrap();
            if !deleting["metadata"]["deletionTimestamp"].is_null() {
                return false;
            }
            server.update(USER, "Wukong", name, |wukong| wukong["spec"] = spec.clone());
        }
        Edit::Apply(name, spec) => {
            server.create(
                USER,
                json!({
                    "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
                    "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
                }),
            );
        }
        Edit::Delete(kind, name) => {
            if !server.has(kind, name) {
                return false;
            }
            server.delete(kind, name);
        }
        Edit::Merge(kind, name, patch) => {
            if !server.has(kind, name) {
                return false;
            }
            server.merge("kubectl-edit", kind, name, false, patch);
        }
        Edit::Virtctl(call, name) => {
            if !server.has("VirtualMachine", name) {
                return false;
            }
            simulator::call(server, call, name, now);
        }
        Edit::Create(object) => {
            let (kind, name) = (object["kind"].as_str(), object["metadata"]["name"].as_str());
            if server.has(kind.unwrap(), name.unwrap()) {
                return false;
            }
            server.create(USER, object.clone());
        }
    }
    true
}

/// Whether a spec has a smaller disk than the spec before or the claims.
fn shrinks(server: &ApiServer, wukong: &str, spec: &Value) -> bool {
    let stored = server.get("Wukong", wukong).unwrap_or_default();
    let bytes = |size: &Value| size.as_str().and_then(Bytes::parse).unwrap_or_default();
    let disks = spec["disks"].as_array().into_iter().flatten();
    let mut sizes = disks.map(|disk| (&disk["name"], bytes(&disk["size"])));
    sizes.any(|(name, size)| {
        let mut known = stored["spec"]["disks"].as_array().into_iter().flatten();
        let known = known.find(|disk| disk["name"] == *name);
        let claim = names::claim(wukong, name.as_str().unwrap());
        let claim = server
            .get("PersistentVolumeClaim", &claim)
            .unwrap_or_default();
        let has = &claim["metadata"]["annotations"][labels::GUEST_SIZE];
        size < known.map_or(Bytes(0), |disk| bytes(&disk["size"])) || size < bytes(has)
    })
}
