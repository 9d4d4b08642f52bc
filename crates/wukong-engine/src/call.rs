//! Calls of subresources, and the time after which one is repeated.

use jiff::{SignedDuration, Timestamp};

/// How long the effect of a call may take to show before it is called again.
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
    /// Lets them go on.
    Unpause,
}

/// A call of a subresource that was accepted; its effect shows later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Called {
    /// Which.
    pub call: Call,
    /// When.
    pub at: Timestamp,
}

/// The call, unless it was made a moment ago; in that case, the time of the next reconcile.
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
