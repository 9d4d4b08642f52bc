//! The classes of changes.

use strum::{AsRefStr, Display};

/// What a change needs to take effect, from the harmless to the dangerous.
#[derive(AsRefStr, Clone, Copy, Debug, Display, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// It takes effect while the guest runs, and the guest's devices stay as they are.
    #[strum(serialize = "in place")]
    InPlace,
    /// The running guest gets a device.
    #[strum(serialize = "hot-plug")]
    HotPlug,
    /// The running guest loses a device: a file system that is mounted from it fails.
    #[strum(serialize = "hot-unplug")]
    HotUnplug,
    /// It takes effect with the next start of the VM.
    #[strum(serialize = "needs restart")]
    NeedsRestart,
    /// It takes effect once the VM has been stopped for a while: a restart is not enough.
    #[strum(serialize = "power off")]
    PowerOff,
    /// It takes effect only in a guest that boots for the first time: the present guest stays as it is.
    #[strum(serialize = "first boot only")]
    FirstBootOnly,
    /// The operator cannot apply it. While it is in the spec, the operator applies no other change of the spec.
    #[strum(serialize = "refused")]
    Refused,
    /// It takes effect with the next start of the VM, and what the guest has written is lost.
    #[strum(serialize = "destroys data")]
    DestroysData,
}
