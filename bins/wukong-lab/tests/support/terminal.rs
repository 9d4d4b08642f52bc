//! A terminal for programs that want one.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::DEADLINE;

/// A terminal, and what was shown on it.
pub struct Terminal {
    user: OwnedFd,
    keys: File,
    shown: mpsc::UnboundedReceiver<Vec<u8>>,
    pub screen: String,
    /// How long it may take until something is shown.
    pub patience: Duration,
}

impl Terminal {
    pub fn new() -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let name = name.to_str().unwrap();
        let user = File::options().read(true).write(true).open(name).unwrap();
        let keys = File::from(keys);
        let mut screen = keys.try_clone().unwrap();
        let (sender, shown) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            user: user.into(),
            keys,
            shown,
            screen: String::new(),
            patience: DEADLINE,
        }
    }

    pub fn stdio(&self) -> Stdio {
        self.user.try_clone().unwrap().into()
    }

    pub fn modes(&self) -> LocalModes {
        tcgetattr(&self.user).unwrap().local_modes
    }

    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until it shows these words.
    pub async fn shows(&mut self, words: &str) {
        let found = async {
            while !self.screen.contains(words) {
                let bytes = self.shown.recv().await.unwrap();
                self.screen.push_str(&String::from_utf8_lossy(&bytes));
            }
        };
        let found = timeout(self.patience, found).await;
        assert!(found.is_ok(), "{words:?} is not shown:\n{}", self.screen);
    }
}
