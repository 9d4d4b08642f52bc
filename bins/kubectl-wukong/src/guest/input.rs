//! Standard input for a guest.

use std::io::Read;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

/// Ctrl-], which disconnects from a console as in telnet and virtctl.
const ESCAPE: u8 = 0x1d;

/// Returns standard input as a stream.
///
/// A separate thread reads it, because a read cannot be cancelled: with tokio's standard input, the process would wait for
/// the next key before it ends.
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

/// Ends the stream before the escape character.
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

    /// Returns the output for these chunks, and whether the stream ended before its input.
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
    fn the_escape_character_ends_the_stream_at_any_position() {
        assert_eq!(through(&["root\r", "ls\r"]), ("root\rls\r".into(), false));
        assert_eq!(through(&["\u{1d}"]), (String::new(), true));
        assert_eq!(through(&["ls\r", "\u{1d}", "rm"]), ("ls\r".into(), true));
        assert_eq!(through(&["ab\u{1d}cd", "ef"]), ("ab".into(), true));
    }
}
