//! Quotas and limits of the namespace.

use serde_json::json;
use wukong_api::Reason;
use wukong_engine::diagnosis::CheckStatus::{Fail, Warn};

use super::{Case, plain};
use crate::cluster::Cluster;

pub const CASES: &[Case] = &[
    Case {
        rule: "storage-quota",
        cluster: || {
            Cluster::healthy().change("ResourceQuota", "team", |quota| {
                quota["status"]["used"]["requests.storage"] = json!("490Gi");
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::QuotaExceeded,
        words: &["20Gi of requests.storage", "team", "leaves 10Gi"],
    },
    Case {
        rule: "storage-quota",
        cluster: || {
            Cluster::healthy().change("ResourceQuota", "team", |quota| {
                quota["status"]["used"]["requests.storage"] = json!("470Gi");
            })
        },
        spec: plain,
        status: Warn,
        reason: Reason::QuotaExceeded,
        words: &["While they are filled", "40Gi", "leaves 30Gi"],
    },
    Case {
        // 2Gi and 2 vCPUs take 2344Mi (2048 + 296), as KubeVirt 1.9 requests it.
        rule: "pod-quota",
        cluster: || {
            Cluster::healthy().change("ResourceQuota", "team", |quota| {
                quota["spec"]["hard"]["requests.memory"] = json!("10831Mi");
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::QuotaExceeded,
        words: &["2344Mi of requests.memory", "leaves 2343Mi"],
    },
    Case {
        rule: "pod-limit",
        cluster: || {
            Cluster::healthy().change("LimitRange", "bounds", |range| {
                range["spec"]["limits"][0]["max"]["memory"] = json!("2Gi");
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::QuotaExceeded,
        words: &["2344Mi", "LimitRange bounds", "allows 2Gi"],
    },
];
