//! Every field of a disk that concerns storage changes what is planned.

use std::collections::HashMap;

use wukong_storage::Existing;

use crate::{object, wukong};

fn all_differ(cdi: bool, disks: &[&str]) {
    let mut seen = HashMap::new();
    for disk in disks {
        let object = object(&wukong(disk), cdi, Existing::Nothing).to_string();
        if let Some(same) = seen.insert(object, disk) {
            panic!("{disk} and {same} get the same object");
        }
    }
}

#[test]
fn of_the_disk() {
    let disks = [
        "{name: data, size: 20Gi}",
        "{name: other, size: 20Gi}",
        "{name: data, size: 21Gi}",
        "{name: data, size: 20Gi, storageClassName: fast}",
        "{name: data, size: 20Gi, storageClassName: slow}",
        "{name: data, size: 20Gi, accessModes: [ReadWriteMany]}",
        "{name: data, size: 20Gi, accessModes: [ReadWriteMany, ReadWriteOnce]}",
        "{name: data, size: 20Gi, accessModes: [ReadWriteOncePod]}",
        "{name: data, size: 20Gi, accessModes: [ReadOnlyMany]}",
        "{name: data, size: 20Gi, volumeMode: Block}",
        "{name: data, size: 20Gi, volumeMode: Filesystem}",
        "{name: data, size: 20Gi, reclaimPolicy: Delete}",
    ];
    all_differ(true, &disks);
    all_differ(false, &disks);
}

#[test]
fn of_the_source() {
    let sources = [
        "blank: {}",
        "pvc: {name: a}",
        "pvc: {name: b}",
        "snapshot: {name: a}",
        "snapshot: {name: b}",
        "dataSource: {name: a}",
        "dataSource: {name: b}",
        "dataSource: {name: a, namespace: images}",
        "http: {url: 'http://h.lan/b/a'}",
        "http: {url: 'https://h.lan/b/a'}",
        "http: {url: 'http://h.lan/b/a', secretRef: s}",
        "http: {url: 'http://h.lan/b/a', certConfigMap: s}",
        "http: {url: 'http://h.lan/b/a', checksum: 'md5:0123456789abcdef0123456789abcdef'}",
        "registry: {url: h/b/a}",
        "registry: {url: h/b/b}",
        "registry: {url: h/b/a, secretRef: s}",
        "registry: {url: h/b/a, certConfigMap: s}",
        "registry: {url: h/b/a, pullMethod: node}",
        "registry: {url: h/b/a, pullMethod: pod}",
        "s3: {url: 'https://h.lan/b/a'}",
        "s3: {url: 's3://h.lan/b/a'}",
        "s3: {url: 'https://h.lan/b/a', secretRef: s}",
        "s3: {url: 'https://h.lan/b/a', certConfigMap: s}",
        "gcs: {url: 'https://h.lan/b/a'}",
        "gcs: {url: 'gs://h.lan/b/a'}",
        "gcs: {url: 'https://h.lan/b/a', secretRef: s}",
    ];
    let disks: Vec<String> = sources
        .iter()
        .map(|source| format!("{{name: root, size: 20Gi, source: {{{source}}}}}"))
        .collect();
    let mut disks: Vec<&str> = disks.iter().map(String::as_str).collect();
    disks.push("{name: root, size: 20Gi, image: h/b/c}");
    all_differ(true, &disks);
}
