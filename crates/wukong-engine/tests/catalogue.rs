//! The catalogue of watched kinds agrees with the cache, with the kinds that the operator makes, and with its roles.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)] // Roles are files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use wukong_engine::catalogue::{self, Objects, Reader, Role, StoreOf, Visitor, Watched};
use wukong_engine::facts::Fact;
use wukong_engine::{Kind, World};

/// Group and plural.
type Name = (String, String);

/// What the role of a manifest grants: kinds, each with a verb.
fn rights(manifest: &str) -> Vec<(Name, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let text = std::fs::read_to_string(path.join(manifest)).unwrap();
    let role = text.split("\n---").next().unwrap();
    let role: Value = serde_saphyr::from_str(role).unwrap();
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().unwrap().iter();
        items.map(|item| item.as_str().unwrap().into()).collect()
    };
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for plural in texts(&rule["resources"]) {
                let verbs = texts(&rule["verbs"]).into_iter();
                rights.extend(verbs.map(|verb| ((group.clone(), plural.clone()), verb)));
            }
        }
    }
    rights
}

/// The kinds for which the role of a manifest grants a verb.
fn granted(manifest: &str, verb: &str) -> BTreeSet<Name> {
    let rights = rights(manifest).into_iter();
    rights
        .filter(|(_, granted)| granted == verb)
        .map(|(name, _)| name)
        .collect()
}

fn names(keep: impl Fn(&Watched) -> bool) -> BTreeSet<Name> {
    let rows = catalogue::all(Reader::Operator).into_iter();
    let rows = rows.filter(|row| keep(row));
    rows.map(|row| (row.group.into(), row.plural.into()))
        .collect()
}

#[test]
fn each_role_lets_the_operator_watch_its_kinds_and_no_others() {
    for role in Role::ALL {
        let watched = names(|row| row.role == Some(role));
        assert_eq!(granted(role.manifest(), "watch"), watched, "{role:?}");
    }
}

/// Of pods, the role for diagnosis grants lists anyway.
#[test]
fn where_lists_are_needed_everything_that_is_watched_can_be_listed() {
    let listed = names(|row| row.plural != "pods");
    let manifest = "lists/cluster-role.yaml";
    assert_eq!(granted(manifest, "list"), listed);
    assert!(rights(manifest).iter().all(|(_, verb)| verb == "list"));
}

#[test]
fn the_kinds_that_the_operator_makes_are_watched_but_for_secrets() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Secret) {
        let rows = catalogue::all(Reader::Operator).into_iter();
        let row = rows.filter(|row| row.api_resource() == kind.api_resource());
        let namespaced: Vec<bool> = row.map(|row| row.namespaced).collect();
        assert_eq!(namespaced, [kind.is_namespaced()], "{kind}");
    }
}

#[test]
fn secrets_have_no_row_and_no_kind_has_two() {
    let rows = catalogue::all(Reader::Plugin);
    assert!(rows.iter().all(|row| row.plural != "secrets"));
    let plurals: BTreeSet<&str> = rows.iter().map(|row| row.plural).collect();
    assert_eq!(plurals.len(), rows.len());
}

/// The operator queries the pods of provisioners and takes the addresses from the Wukongs, as the plugin does.
#[test]
fn every_store_of_the_cache_has_a_row() {
    struct Listed(World);

    impl Visitor for Listed {
        fn kind<F: Fact>(&mut self, _: &'static Watched, store: StoreOf<F>) {
            store(&mut self.0).replace(Vec::new());
        }
    }

    let mut listed = Listed(World::default());
    catalogue::visit(Reader::Plugin, &mut listed);
    let Listed(mut world) = listed;
    world.update_environment();
    let environment = &mut world.environment;
    environment.provisioner_pods.replace(Vec::new());
    environment.addresses.replace::<wukong_api::Wukong>([]);
    let shown = format!("{world:?}");
    assert!(!shown.contains("Unknown"), "{shown}");
}

#[test]
fn a_request_selects_what_a_dump_keeps() {
    let rows = catalogue::all(Reader::Operator);
    let of = |plural| rows.iter().find(|row| row.plural == plural).unwrap();
    let pods = of("pods");
    assert_eq!(
        pods.objects.label_selector().unwrap(),
        "kubevirt.io in (virt-api,virt-controller,virt-handler,virt-operator)"
    );
    let labelled =
        |value: &str| serde_json::json!({"metadata": {"labels": {"kubevirt.io": value}}});
    assert!(pods.objects.has(&labelled("virt-api")));
    assert!(!pods.objects.has(&labelled("virt-launcher")));
    assert!(Objects::All.field_selector().is_none());
    let definitions = of("customresourcedefinitions").objects;
    assert_eq!(
        definitions.field_selector().unwrap(),
        "metadata.name=wukongs.vm.novasphere.dev"
    );
}
