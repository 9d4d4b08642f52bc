//! Guests that are only a kernel with one program: it tells what hardware it sees and does what the user data says, seconds
//! after its start.

use serde_json::{Value, json};
use wukong_lab::cluster::wait::eventually;

use crate::inside::image;
use crate::support::{self, Space};

/// A machine that starts the probe, with an order and what `spec` says.
pub async fn probe(space: &Space<'_>, name: &str, order: &str, spec: Value) {
    let secret = format!("{name}-orders");
    space
        .apply(
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret},
            "stringData": {"userdata": format!("#cloud-config\n# probe: {order}\n")}}),
        )
        .await;
    let mut object = support::wukong(
        name,
        json!({
            "memory": "192Mi",
            "osImage": image("probe.qcow2"),
            "disks": [{"name": "root", "size": "64Mi"}],
            "userDataSecret": secret,
            "terminationGracePeriodSeconds": 1,
        }),
    );
    support::merge(&mut object["spec"], spec);
    space.apply(&object).await;
}

/// The uid of the present instance, and what its guest has told, once that has all these words.
pub async fn console_with(space: &Space<'_>, name: &str, words: &[&str]) -> (String, String) {
    let what = format!("{name} tells {words:?}");
    let console_with = eventually(&what, space.patience, async || {
        let guest = space.lab.guest(&space.name, name).await;
        let console_with = guest.map(|guest| (guest.uid.clone(), guest.console()));
        match console_with {
            Ok((uid, console)) if words.iter().all(|word| console.contains(word)) => {
                Ok((uid, console))
            }
            other => {
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                Err(format!("{other:?}"))
            }
        }
    });
    console_with.await.unwrap()
}
