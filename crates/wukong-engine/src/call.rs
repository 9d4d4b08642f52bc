//! Calls of subresources, and the time after which one is repeated.

use jiff::{SignedDuration, Timestamp};

/// Time in which the effect of a call should show. After it, the call is repeated.
const CALL_SETTLES: SignedDuration = SignedDuration::from_secs(30);

/// A subresource of the VirtualMachine or its instance.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, strum::AsRefStr, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Call {
    /// Starts a VM of strategy `Manual`.
    Start,
    /// Restarts the VM.
    Restart,
    /// Stops the CPUs of the guest.
    Pause,
    /// Continues the CPUs of the guest.
    Unpause,
}

/// A call of a subresource that was accepted; its effect shows later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Called {
    /// The subresource.
    pub call: Call,
    /// Time of the call.
    pub at: Timestamp,
}

/// Returns the call, or the time to decide again if the same call was made less than [`CALL_SETTLES`] ago.
pub(crate) fn not_twice(
    call: Call,
    called: Option<&Called>,
    now: Timestamp,
) -> Result<Call, Timestamp> {
    match called {
        Some(last) if last.call == call && now < last.at + CALL_SETTLES => {
            Err(last.at + CALL_SETTLES)
        }
        _ => Ok(call),
    }
}
