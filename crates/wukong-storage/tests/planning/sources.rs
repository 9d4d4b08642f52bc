//! Every source, as a whole object.

use wukong_storage::{Existing, Made};

use crate::{object, upstream, wukong};

/// Every source with all its fields.
pub const SOURCES: [(&str, &str); 17] = [
    ("blank", "{name: data, size: 20Gi}"),
    (
        "blank-explicit",
        "{name: data, size: 20Gi, source: {blank: {}}}",
    ),
    (
        "image-web",
        "{name: root, size: 20Gi, image: 'https://images.lan/web.qcow2'}",
    ),
    (
        "image-registry",
        "{name: root, size: 20Gi, image: 'registry.lan:5000/disks/web:1'}",
    ),
    (
        "image-archive",
        "{name: root, size: 20Gi, image: 'oci-archive://images/web.tar'}",
    ),
    (
        "image-s3",
        "{name: root, size: 20Gi, image: 's3://images/web.qcow2'}",
    ),
    (
        "image-gcs",
        "{name: root, size: 20Gi, image: 'gs://images/web.qcow2'}",
    ),
    (
        "http",
        "{name: root, size: 20Gi, source: {http: {url: 'https://images.lan/web.qcow2', secretRef: login, \
         certConfigMap: authority, checksum: 'md5:0123456789abcdef0123456789abcdef'}}}",
    ),
    (
        "registry",
        "{name: root, size: 20Gi, source: {registry: {url: 'registry.lan:5000/disks/web:1', secretRef: login, \
         certConfigMap: authority, pullMethod: pod}}}",
    ),
    (
        "registry-node",
        "{name: root, size: 20Gi, source: {registry: {url: 'docker://localhost:5000/web', pullMethod: node}}}",
    ),
    (
        "s3",
        "{name: root, size: 20Gi, source: {s3: {url: 'https://minio.lan:9000/images/web.qcow2', secretRef: keys, \
         certConfigMap: authority}}}",
    ),
    (
        "gcs",
        "{name: root, size: 20Gi, source: {gcs: {url: 'gs://images/web.qcow2', secretRef: account}}}",
    ),
    (
        "pvc",
        "{name: root, size: 20Gi, source: {pvc: {name: golden}}}",
    ),
    (
        "snapshot",
        "{name: root, size: 20Gi, source: {snapshot: {name: golden}}}",
    ),
    (
        "data-source",
        "{name: root, size: 20Gi, source: {dataSource: {name: fedora}}}",
    ),
    (
        "data-source-elsewhere",
        "{name: root, size: 20Gi, source: {dataSource: {name: fedora, namespace: os-images}}}",
    ),
    (
        "everything",
        "{name: data, size: 1.5T, storageClassName: fast, accessModes: [ReadWriteMany, ReadWriteOnce], \
         volumeMode: Block, reclaimPolicy: Delete}",
    ),
];

#[test]
fn every_source_becomes_the_data_volume_that_cdi_knows() {
    for (name, disk) in SOURCES {
        let data_volume = object(&wukong(disk), true, Existing::Nothing);
        upstream::assert_valid(&data_volume);
        insta::assert_yaml_snapshot!(name, data_volume);
    }
}

#[test]
fn plain_claims() {
    for (name, disk) in [
        ("claim", "{name: data, size: 20Gi}"),
        (
            "claim-everything",
            "{name: data, size: 1.5T, storageClassName: fast, accessModes: [ReadWriteMany, ReadWriteOnce], \
             volumeMode: Block, reclaimPolicy: Delete}",
        ),
    ] {
        insta::assert_yaml_snapshot!(name, object(&wukong(disk), false, Existing::Nothing));
    }
}

/// For a claim that the spec only uses, nothing is ever applied, with any object under its name.
#[test]
fn an_existing_claim_is_left_as_it_is() {
    let wukong = wukong("{name: root, claim: uploaded}");
    let size = crate::bytes("30Gi");
    for existing in [
        Existing::Nothing,
        Existing::DataVolume {
            size,
            made: Made::default(),
        },
        Existing::Claim { size, ours: true },
        Existing::Claim { size, ours: false },
    ] {
        for cdi in [true, false] {
            assert!(object(&wukong, cdi, existing.clone()).is_null());
        }
    }
    assert_eq!(wukong.claim_name(&wukong.disks[0]), "uploaded");
    assert_eq!(
        wukong_storage::expansion(&wukong, &wukong.disks[0], size, size),
        None
    );
}
