//! The summary at the end of a demo.

use std::fmt::Write;
use std::time::Duration;

use super::super::state::State;
use super::login::Login;
use super::picture::Picture;

pub(super) struct Took {
    pub cluster: Duration,
    pub machine: Duration,
}

/// The VM runs.
pub(super) fn running(
    picture: &Picture,
    took: &Took,
    login: Option<&Login>,
    state: &State,
    keep: bool,
) -> String {
    let status = &picture.status;
    let node = status.node_name.as_deref().unwrap_or("an unknown node");
    let mut text = format!(
        "\n{} runs on {node}, with an address on every NIC.\n\
         The cluster took {:.1} s, the machine {:.1} s from its manifest.\n\n",
        picture.name,
        took.cluster.as_secs_f64(),
        took.machine.as_secs_f64(),
    );
    for network in &status.networks {
        let address = network.ip_address.as_deref().unwrap_or("no address");
        let _ = writeln!(text, "  {:<20}{address}", network.name);
    }
    text += &blocker(picture);
    if let Some(Login { command, shown }) = login {
        let _ = writeln!(
            text,
            "\nThe guest booted, and this command logs in to it:\n  {command}\n\nWhat it showed inside:"
        );
        for line in shown.lines() {
            let _ = writeln!(text, "  {line}");
        }
        text.push_str(
            "\nThe API server, its controllers, the operator and the guest are real: a QEMU process from exactly the \
             objects\nabove. KubeVirt, CDI and the node were simulated.\n",
        );
    } else {
        text.push_str(
            "\nThe API server, its controllers and the operator are real.\n\
             KubeVirt, CDI and the node were simulated: no image was downloaded, no guest booted.\n",
        );
    }
    text + &epilogue(picture, state, keep)
}

/// The VM does not run in time.
pub(super) fn blocked(picture: &Picture, deadline: Duration, state: &State, keep: bool) -> String {
    let phase = picture
        .status
        .phase
        .map_or_else(|| "no phase yet".to_owned(), |phase| phase.to_string());
    let mut text = format!(
        "\n{} does not run with all its addresses after {} s: {phase}.\n",
        picture.name,
        deadline.as_secs()
    );
    if picture.status.blocker.is_none() {
        text.push_str("  The operator names no blocker; its log may.\n");
    }
    text += &blocker(picture);
    text + &epilogue(picture, state, keep)
}

/// The blocker, with its hint.
fn blocker(picture: &Picture) -> String {
    let Some(blocker) = &picture.status.blocker else {
        return String::new();
    };
    let object = blocker.object.as_deref().unwrap_or("the Wukong");
    let hint = blocker
        .hint
        .as_ref()
        .map(|hint| format!("  {hint}\n"))
        .unwrap_or_default();
    format!(
        "\n  {} is False, {}: {object}: {}\n{hint}",
        blocker.condition, blocker.reason, blocker.message
    )
}

fn epilogue(picture: &Picture, state: &State, keep: bool) -> String {
    let name = &picture.name;
    let kubeconfig = state.kubeconfig.display();
    let kubectl = state.kubectl.display();
    if keep {
        return format!(
            "\n{}\nLook around in another terminal:\n  export KUBECONFIG={kubeconfig}\n  alias kubectl={kubectl}\n  \
             kubectl get wukong,vm,vmi,dv,pvc\n  kubectl describe wukong {name}\n  \
             kubectl patch wukong {name} --type merge -p '{{\"spec\":{{\"powerState\":\"Stopped\"}}}}'\n\n\
             Ctrl-C ends the cluster.",
            state.hints()
        );
    }
    format!(
        "\nThe cluster ends with the demo. To look around in one that stays:\n  \
         cargo lab demo --keep   stays until Ctrl-C and names its kubeconfig\n  \
         cargo lab up            a cluster in the background, until `cargo lab down`\n\
         The kubectl to use: {kubectl}"
    )
}
