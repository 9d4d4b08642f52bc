//! Where passwords are, of all that is made and said.

use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use crate::support::cluster::Cluster;

/// The objects that hold a text, by `Kind/name`; of the Wukong itself only what its user did not write counts.
fn holders(cluster: &Cluster, canary: &str) -> Vec<String> {
    let holds = |name: &String| {
        let (kind, own) = name.split_once('/').unwrap();
        let mut object = cluster.server.get(kind, own).unwrap();
        match kind {
            "Wukong" => drop(object["spec"].take()),
            "Secret" => {
                let secret: Secret = serde_json::from_value(object.clone()).unwrap();
                let data = secret.data.unwrap_or_default().into_values();
                let texts = data.map(|bytes| String::from_utf8(bytes.0).unwrap());
                object = texts.collect::<Value>();
            }
            _ => {}
        }
        object.to_string().contains(canary)
    };
    let mut names = cluster.server.names();
    names.retain(holds);
    names
}

#[test]
fn a_password_is_in_the_secret_and_in_no_other_object_status_or_event() {
    for (field, canary) in [
        ("password", "canary-plain"),
        ("passwordHash", "$6$salt$canary"),
    ] {
        let fields = |password: &str| {
            format!(
                "cloudInitUser: {{name: ada, {field}: '{password}'}}, networks: [{{name: lan, type: bridge}}],
                 disks: [{{name: root, size: 1Gi, image: h/x}}, {{name: data, size: 1Gi}}]"
            )
        };
        let mut cluster = Cluster::new(&fields(canary));
        let mut reported = vec![cluster.decide(), cluster.live()];
        // One that only a first boot would heed, and one that is refused.
        for password in [
            format!("{canary}-next"),
            format!("{canary}:{}", "x".repeat(300)),
        ] {
            cluster.edit(&fields(&password));
            reported.push(cluster.live());
        }
        assert_eq!(cluster.status().blocker.unwrap().reason, "InvalidSpec");
        assert_eq!(holders(&cluster, canary), ["Secret/web.cloud-init"]);
        for decision in reported {
            let reported = format!(
                "{:?} {:?} {:?}",
                decision.status, decision.events, decision.findings
            );
            assert!(!reported.contains("canary"), "{reported}");
        }
    }
}
