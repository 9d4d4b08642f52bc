//! Failed writes: their cause and their back-off.

use std::time::Duration;

use http::StatusCode;
use kube::core::Status;
use wukong_engine::FailureKind;
use wukong_engine::facts::bounded;

use crate::backoff::Backoff;

/// A write that failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct WriteError {
    /// Cause.
    pub cause: Cause,
    /// Message of the API server, bounded; or our own if there was no response.
    pub message: String,
    /// Pause that the API server requests (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// Rejected fields.
    pub fields: Vec<String>,
}

/// Cause of a failed write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The API server is unreachable or overloaded. No object in particular is the cause.
    Outage,
    /// The API server or a webhook is broken.
    Broken,
    /// The object has changed since we observed it.
    Stale,
    /// The object does not exist any more, or another object has its name.
    Gone,
    /// A foreign object has the name.
    NameTaken,
    /// The `test` of a JSON patch failed.
    TestFailed,
    /// A quota is exhausted.
    Quota,
    /// The operator lacks the permission, or the API server has just started and has not loaded the roles yet.
    Unauthorized,
    /// Admission or validation rejected the object.
    Denied,
}

impl Cause {
    /// Returns the kind of the failure for the engine.
    pub fn kind(self) -> FailureKind {
        match self {
            Self::Outage | Self::Broken => FailureKind::Transient,
            Self::Stale => FailureKind::Stale,
            Self::Gone | Self::TestFailed => FailureKind::Gone,
            Self::NameTaken => FailureKind::NameTaken,
            Self::Quota => FailureKind::Quota,
            Self::Denied | Self::Unauthorized => FailureKind::Denied,
        }
    }

    /// Returns the back-off.
    ///
    /// After an outage all writes can continue, so its pauses are short (the number of concurrent requests is bounded
    /// anyway). A cause that only a user can fix has long pauses: a change of the Wukong triggers a retry at once.
    pub fn backoff(self) -> Backoff {
        let (first, limit) = match self {
            Self::Outage => (Duration::from_millis(250), Duration::from_secs(4)),
            Self::Stale => (Duration::from_millis(50), Duration::from_secs(4)),
            Self::Gone | Self::TestFailed => (Duration::from_millis(250), Duration::from_secs(30)),
            Self::Broken | Self::Unauthorized => (Duration::from_secs(1), Duration::from_secs(120)),
            Self::Quota => (Duration::from_secs(5), Duration::from_secs(300)),
            Self::NameTaken | Self::Denied => (Duration::from_secs(5), Duration::from_secs(1200)),
        };
        Backoff::new(first, limit)
    }
}

impl WriteError {
    /// Creates an error without a response.
    pub fn outage(message: impl Into<String>) -> Self {
        Self {
            cause: Cause::Outage,
            message: message.into(),
            retry_after: None,
            fields: Vec::new(),
        }
    }

    /// Returns the pause before the next attempt, after `attempts` failures in a row, including this one.
    pub fn pause(&self, attempts: u32) -> Duration {
        let own = self.cause.backoff().pause(attempts);
        self.retry_after.map_or(own, |requested| requested.max(own))
    }

    /// Creates an error from a response that is not a success. `retry_after` is the header of that name.
    pub fn from_answer(code: StatusCode, status: &Status, retry_after: Option<Duration>) -> Self {
        let details = status.details.as_ref();
        let in_body = details
            .map(|details| u64::from(details.retry_after_seconds))
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        Self {
            cause: cause(code, status),
            message: if status.message.is_empty() {
                format!("the API server responded with {code}")
            } else {
                bounded(&status.message).to_string()
            },
            retry_after: retry_after.or(in_body),
            fields: fields(status),
        }
    }

    /// Replaces the message if it could repeat rejected content.
    pub fn without_content(self, object: &str) -> Self {
        if self.cause != Cause::Denied || self.fields.is_empty() {
            return self;
        }
        let message = format!("{object} is invalid in {}", self.fields.join(", "));
        Self {
            message: bounded(&message).to_string(),
            ..self
        }
    }
}

/// Returns the rejected fields, without their values.
fn fields(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.map(|cause| cause.field.clone()).collect()
}

fn cause(code: StatusCode, status: &Status) -> Cause {
    let causes = status
        .details
        .as_ref()
        .map_or(&[][..], |details| &details.causes);
    match code {
        // 401: a token was rotated.
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::UNAUTHORIZED => Cause::Outage,
        _ if code.is_server_error() => Cause::Broken,
        StatusCode::NOT_FOUND => Cause::Gone,
        // "uid mismatch: the provided object specified uid .., and no existing object was found"
        StatusCode::CONFLICT if status.message.contains("no existing object was found") => {
            Cause::Gone
        }
        StatusCode::CONFLICT if status.reason == "AlreadyExists" => Cause::NameTaken,
        StatusCode::CONFLICT | StatusCode::GONE => Cause::Stale,
        // An apply with another uid than the object's is rejected as a change of an immutable field.
        StatusCode::UNPROCESSABLE_ENTITY
            if causes.iter().any(|cause| cause.field == "metadata.uid") =>
        {
            Cause::Gone
        }
        // This is the response of apimachinery to a failed test.
        StatusCode::UNPROCESSABLE_ENTITY
            if causes.is_empty() && status.message.contains("error in our request") =>
        {
            Cause::TestFailed
        }
        StatusCode::FORBIDDEN if status.message.contains("exceeded quota") => Cause::Quota,
        // "create not allowed while custom resource definition is terminating": the kind is being removed.
        StatusCode::FORBIDDEN if status.message.contains("definition is terminating") => {
            Cause::Gone
        }
        // `secrets "a" is forbidden: User "u" cannot patch resource "secrets" in API group "" in the namespace "b"`
        StatusCode::FORBIDDEN
            if status.message.contains(" cannot ") && status.message.contains(" resource ") =>
        {
            Cause::Unauthorized
        }
        _ => Cause::Denied,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(code: u16, status: serde_json::Value) -> WriteError {
        let status = serde_json::from_value(status).unwrap();
        WriteError::from_answer(StatusCode::from_u16(code).unwrap(), &status, None)
    }

    /// The responses are those of a kube-apiserver 1.36.
    #[test]
    fn each_response_has_its_cause() {
        let uid = json!({"reason": "Invalid", "message": "Wukong \"w\" is invalid: metadata.uid: Invalid value: field is immutable",
                         "details": {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]}});
        let mismatch = json!({"reason": "Conflict", "message": "Operation cannot be fulfilled on secrets \"c\": uid mismatch: the provided object specified uid 1, and no existing object was found"});
        let modified = json!({"reason": "Conflict", "message": "Operation cannot be fulfilled on secrets \"a\": the object has been modified; please apply your changes to the latest version and try again"});
        let quota = json!({"reason": "Forbidden", "message": "persistentvolumeclaims \"a\" is forbidden: exceeded quota: q, requested: persistentvolumeclaims=1, used: 1, limited: 1"});
        let rbac = json!({"reason": "Forbidden", "message": "secrets \"a\" is forbidden: User \"system:serviceaccount:wukong-system:wukong-operator\" cannot patch resource \"secrets\" in API group \"\" in the namespace \"shop\""});
        let terminating = json!({"reason": "Forbidden", "message": "network-attachment-definitions.k8s.cni.cncf.io \"a\" is forbidden: create not allowed while custom resource definition is terminating"});
        let webhook = json!({"reason": "InternalError", "message": "Internal error occurred: failed calling webhook \"x\": connection refused"});
        for (code, answer, cause) in [
            (429, json!({"reason": "TooManyRequests"}), Cause::Outage),
            (503, json!({}), Cause::Outage),
            (504, json!({"reason": "Timeout"}), Cause::Outage),
            (500, webhook, Cause::Broken),
            (409, modified, Cause::Stale),
            (409, mismatch, Cause::Gone),
            (409, json!({"reason": "AlreadyExists"}), Cause::NameTaken),
            (422, uid, Cause::Gone),
            (404, json!({"reason": "NotFound"}), Cause::Gone),
            (403, quota, Cause::Quota),
            (403, terminating, Cause::Gone),
            (403, rbac, Cause::Unauthorized),
            (403, json!({"reason": "Forbidden"}), Cause::Denied),
            (422, json!({"reason": "Invalid"}), Cause::Denied),
            (
                422,
                json!({"reason": "Invalid", "message": "the server rejected our request due to an error in our request"}),
                Cause::TestFailed,
            ),
            (400, json!({"reason": "BadRequest"}), Cause::Denied),
        ] {
            assert_eq!(error(code, answer.clone()).cause, cause, "{code} {answer}");
        }
    }

    /// At most one retry a second for 1,000 Wukongs, after the first retries.
    #[test]
    fn what_only_a_user_can_fix_is_retried_rarely() {
        const DAYS: u64 = 10;
        for cause in [Cause::NameTaken, Cause::Denied] {
            let mut left = Duration::from_secs(DAYS * 24 * 3600);
            let mut tries = 0;
            while let Some(rest) = left.checked_sub(cause.backoff().pause(tries + 1)) {
                (left, tries) = (rest, tries + 1);
            }
            let rare = DAYS * 24 * 3600 / 1000;
            assert!(
                u64::from(tries) <= rare,
                "{cause:?}: {tries} tries in {DAYS} days"
            );
        }
    }

    #[test]
    fn the_retry_after_of_the_server_is_respected() {
        let requested = error(
            429,
            json!({"message": "slow down", "details": {"retryAfterSeconds": 9}}),
        );
        assert_eq!(requested.pause(1), Duration::from_secs(9));
        let header = WriteError::from_answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &Status::default(),
            Some(Duration::from_secs(7)),
        );
        assert_eq!(header.pause(1), Duration::from_secs(7));
    }

    #[test]
    fn external_messages_are_bounded_and_on_one_line() {
        let message = error(
            422,
            json!({"message": format!("a\n\u{1b}[31mb{}", "x".repeat(5000))}),
        )
        .message;
        assert!(message.chars().count() < 1100 && !message.chars().any(char::is_control));
    }
}
