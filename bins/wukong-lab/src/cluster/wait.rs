//! Waiting for facts instead of for time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything that the control plane itself does may take on a busy machine.
pub(crate) const CONTROL_PLANE_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Polls `look` until it returns `Ok`. `Err` holds what was seen instead; when the deadline is over, the
/// last of it is in the error.
///
/// ```no_run
/// # async fn f(count: impl AsyncFn() -> usize) -> anyhow::Result<()> {
/// use std::time::Duration;
/// wukong_lab::cluster::wait::eventually("three claims exist", Duration::from_secs(10), async || match count().await {
///     3 => Ok(()),
///     other => Err(other),
/// })
/// .await
/// # }
/// ```
pub async fn eventually<T, Seen: Debug>(
    what: &str,
    deadline: Duration,
    mut observe: impl AsyncFnMut() -> Result<T, Seen>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        let seen = match observe().await {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if Instant::now() >= end {
            bail!("not within {deadline:?}: {what}; last seen: {seen:#?}");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Awaits something that the control plane does.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> Result<F::Output> {
    match tokio::time::timeout(CONTROL_PLANE_DEADLINE, future).await {
        Ok(output) => Ok(output),
        Err(_) => bail!("not within {} s: {what}", CONTROL_PLANE_DEADLINE.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_what_was_seen_last() {
        let mut seen = 0;
        let error = eventually("the number is seven", Duration::ZERO, async || {
            seen += 1;
            Err::<(), _>(seen)
        })
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "not within 0ns: the number is seven; last seen: 1"
        );
    }

    #[tokio::test]
    async fn returns_the_fact() {
        let mut seen = 0;
        let found = eventually("the number is seven", Duration::from_secs(5), async || {
            seen += 1;
            if seen == 7 { Ok(seen) } else { Err(seen) }
        })
        .await;
        assert_eq!(found.unwrap(), 7);
    }
}
