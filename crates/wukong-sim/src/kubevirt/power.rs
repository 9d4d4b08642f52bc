//! What the subresources start, stop and restart do to a VirtualMachine.

use serde_json::{Value, json};

use super::object::{is_deleting, is_final, phase, run_strategy};
use crate::field::Field;

/// What is written to the VM.
#[derive(Debug, PartialEq)]
pub enum Power {
    /// Another run strategy.
    RunStrategy(&'static str),
    /// State change requests in the status.
    Requests(Value),
}

/// Decides a call. The error is an HTTP code with a message.
pub fn power(call: &str, vm: &Field<'_>, vmi: Option<&Field<'_>>) -> Result<Power, (u16, String)> {
    let strategy = run_strategy(vm);
    let alive = vmi.filter(|vmi| !is_final(vmi) && !is_deleting(vmi));
    let pending = vm.at("status.stateChangeRequests").count() > 0;
    let conflict = |message: String| Err((409, message));
    let request = |requests: Value| {
        if pending {
            return Err((
                500,
                "unable to complete request: stop/start already underway".to_owned(),
            ));
        }
        Ok(Power::Requests(requests))
    };
    let stop = |vmi: &Field<'_>| json!({"action": "Stop", "uid": vmi.at("metadata.uid").text()});
    let start = json!({"action": "Start"});
    match (call, strategy) {
        ("start", _) if alive.is_some() => conflict("VM is already running".into()),
        ("start", "Halted") => Ok(Power::RunStrategy("Always")),
        ("start", "Always" | "Once" | "WaitAsReceiver") => {
            conflict(format!("{strategy} does not support manual start requests"))
        }
        ("start", "RerunOnFailure") if vmi.is_some_and(|vmi| phase(vmi) == "Failed") => {
            conflict("RerunOnFailure does not support starting VM from failed state".into())
        }
        ("start", _) => match vmi {
            Some(over) => request(json!([stop(over), start])),
            None => request(json!([start])),
        },
        ("stop", "Halted") if vmi.is_none() => conflict("VM is not running".into()),
        ("stop", "Always" | "Once") => Ok(Power::RunStrategy("Halted")),
        ("stop", _) => match alive {
            Some(vmi) => request(json!([stop(vmi)])),
            None => conflict("VM is not running".into()),
        },
        ("restart", "Halted" | "Once") => conflict(format!(
            "{strategy} does not support manual restart requests"
        )),
        ("restart", _) => match alive {
            Some(vmi) => request(json!([stop(vmi), start])),
            None => conflict("VM is not running".into()),
        },
        (other, _) => Err((404, format!("no subresource {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_strategy_answers_in_its_own_way() {
        let vmi = json!({"metadata": {"uid": "u"}, "status": {"phase": "Running"}});
        let failed = json!({"metadata": {"uid": "u"}, "status": {"phase": "Failed"}});
        let vmi = Field::new("", &vmi);
        let failed = Field::new("", &failed);
        let requests = |requests: Value| Ok(Power::Requests(requests));
        let conflict = |message: &str| Err((409, message.to_owned()));
        let stop = || json!({"action": "Stop", "uid": "u"});
        for (call, strategy, instance, expected) in [
            ("start", "Halted", None, Ok(Power::RunStrategy("Always"))),
            (
                "start",
                "Always",
                Some(&vmi),
                conflict("VM is already running"),
            ),
            (
                "start",
                "Manual",
                None,
                requests(json!([{"action": "Start"}])),
            ),
            (
                "start",
                "RerunOnFailure",
                Some(&failed),
                conflict("RerunOnFailure does not support starting VM from failed state"),
            ),
            (
                "stop",
                "Always",
                Some(&vmi),
                Ok(Power::RunStrategy("Halted")),
            ),
            ("stop", "Once", Some(&vmi), Ok(Power::RunStrategy("Halted"))),
            ("stop", "Manual", Some(&vmi), requests(json!([stop()]))),
            (
                "stop",
                "RerunOnFailure",
                Some(&vmi),
                requests(json!([stop()])),
            ),
            ("stop", "Halted", None, conflict("VM is not running")),
            ("stop", "Manual", None, conflict("VM is not running")),
            (
                "restart",
                "Always",
                Some(&vmi),
                requests(json!([stop(), {"action": "Start"}])),
            ),
        ] {
            let vm = json!({"spec": {"runStrategy": strategy}});
            assert_eq!(
                power(call, &Field::new("", &vm), instance),
                expected,
                "{call} {strategy}"
            );
        }
        let underway =
            json!({"spec": {"runStrategy": "Manual"}, "status": {"stateChangeRequests": [stop()]}});
        let (code, _) = power("start", &Field::new("", &underway), None).unwrap_err();
        assert_eq!(code, 500);
    }
}
