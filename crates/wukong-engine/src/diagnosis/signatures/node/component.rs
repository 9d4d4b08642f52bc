//! Signatures of node errors: component.

use wukong_api::ConditionType::EnvironmentReady;
use wukong_api::Reason;

use crate::diagnosis::evidence::Source;
use crate::diagnosis::signature::Permanence::Person;
use crate::diagnosis::signature::Signature;

pub(super) const ROWS: &[Signature] = &[Signature {
    id: "node-component-inotify",
    sources: &[Source::Component],
    reasons: &[],
    needle: "too many open files",
    pattern: "",
    condition: EnvironmentReady,
    reason: Reason::VirtHandlerNotReady,
    detail: "",
    message: "a component cannot watch files: the inotify limits of its node are used up",
    hint: "raise fs.inotify.max_user_instances (512) and fs.inotify.max_user_watches (524288) on the node",
    platforms: &[],
    permanence: Person,
    source: "KubeVirt 1.9",
    doc: "Each program that watches files uses an inotify instance, and the kernel limits their number.",
}];
