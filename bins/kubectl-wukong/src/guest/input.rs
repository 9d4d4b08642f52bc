//! What is typed, or piped in.

use std::io::Read;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

/// Ctrl-], which leaves a console, as telnet and virtctl have it.
const ESCAPE: u8 = 0x1d;

/// Standard input.
///
/// It is read by a thread of its own, because a read cannot be cancelled: tokio's own standard input would keep the
/// process until the next key.
pub fn stdin() -> impl Stream<Item = Bytes> {
    let (sender, mut receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut stdin = std::io::stdin().lock();
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let read = buffer.get(..count).unwrap_or_default();
                    if sender.blocking_send(Bytes::copy_from_slice(read)).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

/// What comes before the escape character.
pub fn until_escape(input: impl Stream<Item = Bytes> + Unpin) -> impl Stream<Item = Bytes> {
    stream::unfold(Some(input), |input| async {
        let mut input = input?;
        let bytes = input.next().await?;
        match bytes.iter().position(|byte| *byte == ESCAPE) {
            Some(at) => Some((bytes.slice(..at), None)),
            None => Some((bytes, Some(input))),
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// What gets through of these chunks, and whether the stream ended at once although its input did not.
    fn through(chunks: &[&'static str]) -> (String, bool) {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Bytes::from(*chunk)).collect();
        let input = stream::iter(chunks).chain(stream::pending());
        let mut output = Box::pin(until_escape(input));
        let mut seen = Vec::new();
        loop {
            match output.next().now_or_never() {
                Some(Some(bytes)) => seen.extend_from_slice(&bytes),
                ended => return (String::from_utf8(seen).unwrap(), ended.is_some()),
            }
        }
    }

    #[test]
    fn the_escape_ends_it_wherever_it_stands() {
        assert_eq!(through(&["root\r", "ls\r"]), ("root\rls\r".into(), false));
        assert_eq!(through(&["\u{1d}"]), (String::new(), true));
        assert_eq!(through(&["ls\r", "\u{1d}", "rm"]), ("ls\r".into(), true));
        assert_eq!(through(&["ab\u{1d}cd", "ef"]), ("ab".into(), true));
    }
}
