//! Signatures of admission errors: pod.

use wukong_api::ConditionType::{Scheduled, SpecValid};
use wukong_api::Reason;

use crate::diagnosis::signature::Permanence::Person;
use crate::diagnosis::signature::REJECTIONS;
use crate::diagnosis::signature::Signature;

pub(super) const ROWS: &[Signature] = &[
    Signature {
        id: "admission-pod-labels",
        sources: REJECTIONS,
        reasons: &[
            "FailedCreate",
            "FailedDataVolumeCreate",
            "ErrStartingPod",
            "FailedUpdate",
            "ErrClaimNotValid",
        ],
        needle: "must be no more than",
        pattern: r#"(?<field>metadata\.[A-Za-z]+|spec\.[A-Za-z0-9_.\[\]]+): Invalid value: \\?"(?<value>[^"\\]*)\\?": must be no more than (?<limit>\d+) (?:characters|bytes)"#,
        condition: SpecValid,
        reason: Reason::InvalidSpec,
        detail: "Pod",
        message: "{field} is longer than {limit} characters: {value}",
        hint: "shorten the value that sets {field} (name, host name, label, or the Secret that a volume takes its name from)",
        platforms: &[],
        permanence: Person,
        source: "k8s.io/apimachinery/pkg/util/validation; kubevirt-observed 3.5; kubevirt#16277",
        doc: "Names and labels of pods have limits: 63 characters for labels and host names, 253 for names.",
    },
    Signature {
        id: "admission-pod-invalid",
        sources: REJECTIONS,
        reasons: &[
            "FailedCreate",
            "FailedDataVolumeCreate",
            "ErrStartingPod",
            "FailedUpdate",
            "ErrClaimNotValid",
        ],
        needle: "is invalid: ",
        pattern: r#"Pod \\?"(?<podname>[^"\\]+)\\?" is invalid: \[?(?<field>[A-Za-z0-9_.\[\]"()-]+): (?<cause>.+)"#,
        condition: Scheduled,
        reason: Reason::PodNotStarted,
        detail: "Pod",
        message: "the API server refuses the pod: {field}: {cause}",
        hint: "correct the field of the Wukong (node selector, tolerations, host name, labels) that sets {field}",
        platforms: &[],
        permanence: Person,
        source: "k8s.io/kubernetes/pkg/apis/core/validation",
        doc: "KubeVirt does not check node selectors, tolerations and subdomains of a VM; the API server does when the pod is made.",
    },
];
