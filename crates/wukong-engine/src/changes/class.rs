//! The classes of changes.

use strum::{AsRefStr, Display};

/// What a change takes, from the harmless to the dangerous.
#[derive(AsRefStr, Clone, Copy, Debug, Display, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// It takes effect while the guest runs, and the guest's devices stay as they are.
    #[strum(serialize = "in place")]
    InPlace,
    /// The running guest gets or loses a device.
    #[strum(serialize = "hot-plug")]
    HotPlug,
    /// It takes effect with the next start of the VM.
    #[strum(serialize = "needs restart")]
    NeedsRestart,
    /// It takes effect once the VM has been stopped for a while: a restart is not enough.
    #[strum(serialize = "power off")]
    PowerOff,
    /// Only a guest that boots for the first time takes it in: this one stays as it is.
    #[strum(serialize = "first boot only")]
    FirstBootOnly,
    /// The operator refuses it. While the spec has it, the operator applies nothing else of the spec either.
    #[strum(serialize = "refused")]
    Refused,
    /// It takes effect with the next start of the VM, and what the guest has written is lost.
    #[strum(serialize = "destroys data")]
    DestroysData,
}
