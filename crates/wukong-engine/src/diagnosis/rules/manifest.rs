//! Rules about the spec.

use wukong_api::spec::EvictionStrategy;
use wukong_api::validated::{Login, Password};

use super::{Finding, RuleInput};

/// Whether the spec requires that the VM migrates when its node is drained.
pub(super) fn wants_migration(input: &RuleInput) -> bool {
    input.wukong.is_some_and(|wukong| {
        matches!(
            wukong.placement.eviction_strategy,
            EvictionStrategy::LiveMigrate | EvictionStrategy::LiveMigrateIfPossible
        )
    })
}

pub(super) fn plain_text_password(input: &RuleInput) -> Finding {
    let Some(Login::User(user)) = input.wukong.map(|wukong| &wukong.login) else {
        return Finding::Irrelevant;
    };
    match &user.password {
        Some(Password::Plain(_)) => Finding::found(format!(
            "The password of user {} is in the manifest in plain text: every user with permission to read the Wukong can read it",
            user.name
        )),
        Some(Password::Hash(_)) | None => Finding::Irrelevant,
    }
}
