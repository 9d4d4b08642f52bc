//! Who may use the page: the first browser with the token of the printed URL.

use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;
use http::HeaderMap;
use http::header::COOKIE;
use rustls::crypto::SecureRandom;

/// Length of a secret in bytes.
const BYTES: usize = 32;

/// A secret of this process, as hexadecimal text.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Draws a secret from the operating system.
    pub fn random() -> anyhow::Result<Self> {
        let random: &dyn SecureRandom = rustls::crypto::ring::default_provider().secure_random;
        let mut bytes = [0; BYTES];
        random
            .fill(&mut bytes)
            .map_err(|_| anyhow!("the operating system has no random numbers"))?;
        Ok(Self(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }

    /// Returns whether the text is the secret, in a time that does not depend on where they differ.
    fn is(&self, text: &str) -> bool {
        let (mine, theirs) = (self.0.as_bytes(), text.as_bytes());
        mine.len() == theirs.len()
            && mine
                .iter()
                .zip(theirs)
                .fold(0, |differs, (one, other)| differs | (one ^ other))
                == 0
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The session of the one browser.
pub struct Session {
    /// The token of the URL, until it is used.
    token: Mutex<Option<Secret>>,
    cookie: Secret,
    /// Name of the cookie. It has the port, so that two plugins on one host do not replace each other's cookie.
    name: String,
}

impl Session {
    /// Creates a session and returns it with the token of its URL.
    pub fn new(port: u16) -> anyhow::Result<(Self, Secret)> {
        let token = Secret::random()?;
        let session = Self {
            token: Mutex::new(Some(token.clone())),
            cookie: Secret::random()?,
            name: format!("wukong-ui-{port}"),
        };
        Ok((session, token))
    }

    /// Exchanges the token for a `Set-Cookie` header. It works once.
    pub fn exchange(&self, token: &str) -> Option<String> {
        let mut known = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.is(token))?;
        *known = None;
        Some(format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict",
            self.name, self.cookie.0
        ))
    }

    /// Returns whether a request has the cookie.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).into_iter();
        cookies
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == self.name && self.cookie.is(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_once_and_gives_a_cookie_that_scripts_cannot_read() {
        let (session, token) = Session::new(4711).unwrap();
        assert_eq!(session.exchange("no"), None);
        assert_eq!(session.exchange(&"0".repeat(64)), None);
        let cookie = session.exchange(token.text()).unwrap();
        assert!(cookie.starts_with("wukong-ui-4711="), "{cookie}");
        for attribute in ["HttpOnly", "SameSite=Strict"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert_eq!(session.exchange(token.text()), None);

        let admits = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, value.parse().unwrap());
            session.admits(&headers)
        };
        let pair = cookie.split(';').next().unwrap();
        assert!(admits(&format!("other=1; {pair}")));
        assert!(!admits(&pair.replace("4711", "4712")));
        assert!(!admits("wukong-ui-4711="));
        assert!(!session.admits(&HeaderMap::new()));
    }
}
