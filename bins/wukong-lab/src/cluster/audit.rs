//! The API server's audit log: each request with its user. Tests use it to bound the requests of the operator.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde::Deserialize;

const POLL: Duration = Duration::from_millis(50);

/// The audit log of a lab.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

/// A moment in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file: one JSON object a line, of kind `audit.k8s.io/v1` Event.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark(self.path.metadata().map_or(0, |file| file.len()))
    }

    /// Returns all logged requests.
    pub fn all(&self) -> Result<Requests> {
        self.since(Mark(0))
    }

    /// Returns the requests since `mark`.
    pub fn since(&self, mark: Mark) -> Result<Requests> {
        Ok(self.read(mark)?.0)
    }

    /// Returns the requests since `mark`, and moves it behind them.
    pub fn read_on(&self, mark: &mut Mark) -> Result<Requests> {
        let (requests, next) = self.read(*mark)?;
        *mark = next;
        Ok(requests)
    }

    /// Waits until no request that `counts` was logged for `quiet`, and returns the requests since `mark` that count. Errors
    /// with those requests if that takes longer than `deadline`.
    pub async fn wait_quiet(
        &self,
        mark: Mark,
        quiet: Duration,
        deadline: Duration,
        counts: impl Fn(&Request) -> bool,
    ) -> Result<Requests> {
        let end = Instant::now() + deadline;
        let mut last_change = Instant::now();
        let mut position = mark;
        let mut seen = Requests(Vec::new());
        loop {
            let (new, next) = self.read(position)?;
            position = next;
            let new = new.filter(&counts);
            if !new.0.is_empty() {
                last_change = Instant::now();
                seen.0.extend(new.0);
            }
            if last_change.elapsed() >= quiet {
                return Ok(seen);
            }
            if Instant::now() >= end {
                bail!("not quiet for {quiet:?} within {deadline:?}:\n{seen}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn read(&self, mark: Mark) -> Result<(Requests, Mark)> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(mark.0.saturating_sub(1)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (lines, taken) = whole_lines(&bytes, mark.0 > 0);
        let requests = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| Ok(serde_json::from_slice::<Event>(line)?.into()))
            .collect::<Result<_>>()?;
        Ok((
            Requests(requests),
            Mark((mark.0.saturating_sub(1) + taken as u64).max(mark.0)),
        ))
    }
}

/// The whole lines of `bytes`, and how many bytes go to their end. The API server may still be writing the last line. It may
/// have been writing one at the mark too: that request is from before the mark. With `behind`, `bytes` start with the byte
/// before the mark, and what is up to the first end of a line is left out.
fn whole_lines(bytes: &[u8], behind: bool) -> (&[u8], usize) {
    let is_end = |byte: &u8| *byte == b'\n';
    let start = if behind {
        bytes.iter().position(is_end).map(|end| end + 1)
    } else {
        Some(0)
    };
    let end = bytes.iter().rposition(is_end).map_or(0, |end| end + 1);
    let lines = start.and_then(|start| bytes.get(start..end));
    lines.map_or((&[], 0), |lines| (lines, end))
}

/// One line of the log.
#[derive(Debug, Clone)]
pub struct Request {
    /// The user, such as [`super::operator::USER`].
    pub user: String,
    /// The user agent of the client.
    pub user_agent: String,
    /// get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: String,
    /// Plural of the kind; empty for what is not about an object, such as discovery.
    pub resource: String,
    /// status, scale, token, ...
    pub subresource: String,
    /// API group; empty for core.
    pub group: String,
    /// Empty for what is cluster-scoped.
    pub namespace: String,
    /// Empty for lists and watches.
    pub name: String,
    /// Path and query.
    pub uri: String,
    /// HTTP status.
    pub code: u16,
    /// Whether this is the end of the request. A watch logs its start, and its end much later.
    pub complete: bool,
    /// When the API server got it.
    pub received: Timestamp,
    /// When this line was decided: for a complete request, when the answer was out.
    pub logged: Timestamp,
}

impl Request {
    /// Whether it changes an object (or would change it).
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    /// Whether it is a watch.
    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    /// Whether it is about the lease of a leader election.
    pub fn is_lease(&self) -> bool {
        self.resource == "leases"
    }

    /// Whether it is about Kubernetes events.
    pub fn is_event(&self) -> bool {
        self.resource == "events"
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} ({})",
            self.logged, self.user, self.verb, self.uri, self.code
        )
    }
}

/// Requests in the order of the log. `Display` lists them, for messages of failed tests.
#[derive(Debug, Clone, Default)]
pub struct Requests(Vec<Request>);

impl Requests {
    /// Keeps the requests that fit.
    pub fn filter(mut self, fits: impl Fn(&Request) -> bool) -> Self {
        self.0.retain(|request| fits(request));
        self
    }

    /// Keeps the requests of a user.
    pub fn of_user(self, user: &str) -> Self {
        self.filter(|request| request.user == user)
    }

    /// Keeps the requests of clients with a user agent that starts with `prefix`.
    pub fn of_agent(self, prefix: &str) -> Self {
        self.filter(|request| request.user_agent.starts_with(prefix))
    }

    /// Keeps the requests in a namespace.
    pub fn in_namespace(self, namespace: &str) -> Self {
        self.filter(|request| request.namespace == namespace)
    }

    /// Keeps the requests with a verb.
    pub fn verb(self, verb: &str) -> Self {
        self.filter(|request| request.verb == verb)
    }

    /// Keeps the requests for a resource (plural).
    pub fn resource(self, resource: &str) -> Self {
        self.filter(|request| request.resource == resource)
    }

    /// Keeps the lines at the end of a request: each request once.
    pub fn complete(self) -> Self {
        self.filter(|request| request.complete)
    }

    /// Keeps complete writes.
    pub fn writes(self) -> Self {
        self.filter(|request| request.complete && request.is_write())
    }

    /// Keeps complete GETs of single objects.
    pub fn gets(self) -> Self {
        self.verb("get").complete()
    }

    /// Number of requests.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no requests.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The requests in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Request> {
        self.0.iter()
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|request| writeln!(f, "{request}"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    api_group: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl From<Event> for Request {
    fn from(event: Event) -> Self {
        let ObjectRef {
            resource,
            subresource,
            api_group,
            namespace,
            name,
        } = event.object_ref;
        Self {
            user: event.user.username,
            user_agent: event.user_agent,
            verb: event.verb,
            resource,
            subresource,
            group: api_group,
            namespace,
            name,
            uri: event.request_uri,
            code: event.response_status.code,
            complete: event.stage == "ResponseComplete",
            received: event.request_received_timestamp,
            logged: event.stage_timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_in_the_middle_of_a_line_is_behind_that_line() {
        let line = |uri: &str| {
            format!(
                "{{\"stage\":\"ResponseComplete\",\"verb\":\"get\",\"requestURI\":\"{uri}\",\"user\":{{}},\
                 \"requestReceivedTimestamp\":\"2026-01-01T00:00:00Z\",\"stageTimestamp\":\"2026-01-01T00:00:00Z\"}}\n"
            )
        };
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::new(dir.path().join("audit.log"));
        let (first, second) = (line("/first"), line("/second"));
        for written in 0..=first.len() {
            std::fs::write(log.path(), &first[..written]).unwrap();
            let mut mark = log.mark();
            assert!(log.since(mark).unwrap().is_empty());
            std::fs::write(log.path(), format!("{first}{second}")).unwrap();
            let uris = |requests: &Requests| -> Vec<_> {
                requests.iter().map(|request| request.uri.clone()).collect()
            };
            let expected: &[_] = if written == 0 {
                &["/first", "/second"]
            } else {
                &["/second"]
            };
            assert_eq!(uris(&log.read_on(&mut mark).unwrap()), expected);
            assert!(log.read_on(&mut mark).unwrap().is_empty());
        }
    }
}
