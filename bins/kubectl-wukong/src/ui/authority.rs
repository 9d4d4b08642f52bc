//! The names under which the page is reached. A request under another name comes from a foreign page, with a name that
//! was made to lead to this machine (DNS rebinding).

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;

/// The address that the server listens on.
#[derive(Clone, Copy, Debug)]
pub struct Listening(pub SocketAddr);

impl Listening {
    /// Returns whether a request names this server in `Host`.
    pub fn is_addressed_by(self, headers: &HeaderMap) -> bool {
        host(headers).is_some_and(|host| self.is(host))
    }

    /// Returns whether the page that sent a request is ours: its `Origin` is the `Host`.
    pub fn is_origin_of(self, headers: &HeaderMap) -> bool {
        let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
        let origin = origin.and_then(|origin| origin.strip_prefix("http://"));
        self.is_addressed_by(headers) && origin == host(headers)
    }

    fn is(self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        if authority.as_str().contains('@') {
            return false;
        }
        let port = authority.port_u16().unwrap_or(80);
        let name = authority.host();
        let ip = name.trim_start_matches('[').trim_end_matches(']');
        let ip = ip.parse::<IpAddr>();
        let mine = self.0.ip();
        port == self.0.port()
            && match ip {
                // A name can be made to lead here, an address cannot.
                Ok(ip) => mine.is_unspecified() || ip == mine,
                Err(_) => mine.is_loopback() && name == "localhost",
            }
    }

    /// Returns the URL of the page.
    pub fn url(self) -> String {
        format!("http://{}/", self.0)
    }
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_our_own_names_are_ours() {
        let loopback = Listening("127.0.0.1:4711".parse().unwrap());
        for (host, ours) in [
            ("127.0.0.1:4711", true),
            ("localhost:4711", true),
            ("127.0.0.1", false),
            ("127.0.0.1:4712", false),
            ("evil.example:4711", false),
            ("localhost.evil.example:4711", false),
            ("localhost@evil.example:4711", false),
            ("10.0.0.1:4711", false),
            ("", false),
        ] {
            assert_eq!(
                loopback.is_addressed_by(&headers(host, None)),
                ours,
                "{host}"
            );
        }
        assert!(!loopback.is_addressed_by(&HeaderMap::new()));
        let six = Listening("[::1]:80".parse().unwrap());
        assert!(six.is_addressed_by(&headers("[::1]", None)));
        let all = Listening("0.0.0.0:4711".parse().unwrap());
        assert!(all.is_addressed_by(&headers("192.0.2.7:4711", None)));
        assert!(!all.is_addressed_by(&headers("evil.example:4711", None)));
    }

    #[test]
    fn an_origin_is_the_host() {
        let listening = Listening("127.0.0.1:4711".parse().unwrap());
        for (origin, ours) in [
            (Some("http://127.0.0.1:4711"), true),
            // Another name of the same server is another site to a browser.
            (Some("http://localhost:4711"), false),
            (Some("https://127.0.0.1:4711"), false),
            (Some("http://127.0.0.1:4711.evil.example"), false),
            (Some("http://127.0.0.1"), false),
            (Some("null"), false),
            (None, false),
        ] {
            let headers = headers("127.0.0.1:4711", origin);
            assert_eq!(listening.is_origin_of(&headers), ours, "{origin:?}");
        }
    }
}
