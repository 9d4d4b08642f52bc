//! The blocker, as three places report it.

use serde_json::Value;

use crate::support::plugin::{doctor, run};
use crate::support::{Space, condition};

/// The expected blocker.
#[derive(Clone, Copy)]
pub struct Blocker {
    pub condition: &'static str,
    pub reason: &'static str,
    /// The object that is named, `NAME` being the Wukong's name; `*` for any.
    pub object: &'static str,
    /// Of the message.
    pub part: &'static str,
}

pub fn blocker(
    condition: &'static str,
    reason: &'static str,
    object: &'static str,
    part: &'static str,
) -> Blocker {
    Blocker {
        condition,
        reason,
        object,
        part,
    }
}

impl Blocker {
    fn assert_is(&self, name: &str, place: &str, found: &Value) {
        let field = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        let named = (field("condition"), field("reason"), field("object"));
        let object = match self.object {
            "*" => field("object"),
            object => object.replace("NAME", name),
        };
        let wanted = (self.condition.to_owned(), self.reason.to_owned(), object);
        assert_eq!(named, wanted, "{name}, {place}: {found:#}");
        assert!(
            field("message").contains(self.part),
            "{name}, {place}: {found:#}"
        );
        assert!(!field("hint").is_empty(), "{name}, {place}: {found:#}");
    }

    /// Waits until the operator's status names this blocker, and sees that `doctor` names the same one, from the cluster
    /// and from a bundle.
    pub async fn is_named(&self, space: &Space<'_>, name: &str) {
        let what = format!("blocked by {}: {}", self.reason, self.part);
        let stored = space
            .wukong(name, &what, |wukong| {
                let blocker = &wukong["status"]["blocker"];
                let message = blocker["message"].as_str().unwrap_or_default();
                blocker["reason"] == self.reason && message.contains(self.part)
            })
            .await;
        let named = &stored["status"]["blocker"];
        self.assert_is(name, "status", named);
        let (status, reason, _) = condition(&stored, "Ready");
        assert_eq!((status, reason), ("False", self.reason), "{name}");

        let live = doctor(space, &[name]).await;
        self.assert_is(name, "doctor", &live["blocker"]);

        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("bundle.tar.gz");
        let archive = archive.to_str().unwrap();
        let (code, _, err) = run(space, &["bundle", name, "-o", archive]).await;
        assert_eq!(code, 0, "{err}");
        let offline = doctor(space, &["--from", archive]).await;
        self.assert_is(name, "bundle", &offline["blocker"]);
    }
}
