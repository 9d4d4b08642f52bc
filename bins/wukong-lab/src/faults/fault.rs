//! A fault: what goes wrong, and at which request.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, bail};

/// What goes wrong at a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The operator crashes before it sends the request.
    CrashBefore,
    /// The operator crashes when the API server has stored the write, before it reads the response.
    CrashAfter,
    /// The same, and the next process starts with lists from before the write.
    CrashStale,
    /// The API server executes the request, and the connection ends before the response.
    Lost,
    /// The API server executes the request, and the connection ends in the middle of the response.
    Reset,
    /// The response is 409, and nothing is executed.
    Conflict,
    /// The response is 429 with `Retry-After`, and nothing is executed.
    Throttled,
    /// The response is 500, and nothing is executed.
    Internal,
    /// The response is 503, and nothing is executed.
    Unavailable,
    /// The response is 504, and nothing is executed.
    GatewayTimeout,
    /// There is no response until the operator's deadline, and nothing is executed.
    Hang,
    /// From this request on, the events of all watches are late.
    Lag,
    /// The response to a watch is 410: its version is too old.
    Expired,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::CrashStale,
        Self::Lost,
        Self::Reset,
        Self::Conflict,
        Self::Throttled,
        Self::Internal,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::Hang,
        Self::Lag,
        Self::Expired,
    ];

    /// Name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::CrashStale => "crash-stale",
            Self::Lost => "lost",
            Self::Reset => "reset",
            Self::Conflict => "409",
            Self::Throttled => "429",
            Self::Internal => "500",
            Self::Unavailable => "503",
            Self::GatewayTimeout => "504",
            Self::Hang => "hang",
            Self::Lag => "lag",
            Self::Expired => "410",
        }
    }

    /// Whether a request with this verb can fail so. Without an effect on a stored object, a crash after it is a crash before
    /// the next one.
    pub fn applies_to(self, verb: &str) -> bool {
        match (self, verb) {
            (Self::CrashAfter | Self::CrashStale | Self::Conflict | Self::Lag, "get" | "list") => {
                false
            }
            (Self::CrashAfter | Self::CrashStale | Self::Conflict | Self::Lag, "watch") => false,
            (Self::Expired, verb) => verb == "watch",
            _ => true,
        }
    }
}

/// A request of a run: what it is about, and how many of this kind came before it.
///
/// Requests of one Wukong are concurrent, so their order differs between runs. This identifies them in every run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At {
    /// Verb and object, such as `patch datavolumes/web.root` or `watch nodes`.
    pub request: String,
    /// Number of the request among those about the same, from 1.
    pub number: u32,
}

/// A fault at a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// The request.
    pub at: At,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.request, self.number)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind.name(), self.at)
    }
}

impl FromStr for Fault {
    type Err = Error;

    /// Parses what `Display` writes, such as `crash-after@patch virtualmachines/web#1`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let form = "a fault has the form KIND@VERB OBJECT#NUMBER";
        let (name, at) = text.split_once('@').context(form)?;
        let (request, number) = at.rsplit_once('#').context(form)?;
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
            let names = Kind::ALL.map(Kind::name).join(", ");
            bail!("no kind of fault is called {name}; there are {names}");
        };
        Ok(Self {
            kind,
            at: At {
                request: request.to_owned(),
                number: number.parse().context(form)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_fault_is_read_again() {
        for kind in Kind::ALL {
            let fault = Fault {
                kind,
                at: At {
                    request: "patch datavolumes/web.root".into(),
                    number: 2,
                },
            };
            assert_eq!(fault.to_string().parse::<Fault>().unwrap(), fault);
        }
        assert!("lost@patch x".parse::<Fault>().is_err());
        assert!("late@patch x#1".parse::<Fault>().is_err());
    }
}
