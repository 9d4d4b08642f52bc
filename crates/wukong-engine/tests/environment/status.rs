//! The status of a Wukong agrees with the rules.

use wukong_api::ConditionType;
use wukong_api::status::WukongStatus;
use wukong_engine::diagnosis::{Check, CheckStatus};
use wukong_engine::facts::Fact;
use wukong_engine::world::World;
use wukong_engine::{Memory, Observed, Presence, Store, decide};

use crate::cases::{Case, cases};
use crate::cluster::{NOW, manifest};

/// The status of a Wukong without any objects.
fn status(case: &Case) -> WukongStatus {
    fn none<F: Fact>(store: &mut Store<F>, presence: Presence) {
        match presence {
            Presence::Served => store.replace(Vec::new()),
            presence => store.clear(presence),
        };
    }
    let mut world = World {
        environment: (case.cluster)().environment(),
        ..World::default()
    };
    none(
        &mut world.virtual_machines,
        world.environment.virtual_machines,
    );
    none(&mut world.data_volumes, world.environment.data_volumes);
    none(&mut world.nads, world.environment.nads);
    none(&mut world.instances, Presence::Served);
    none(&mut world.claims, Presence::Served);
    none(&mut world.snapshots, Presence::Served);
    none(&mut world.data_sources, Presence::Served);
    let (mut memory, settings) = (Memory::default(), (case.cluster)().settings);
    // Provisioners are not watched, but queried.
    memory.queried.children.provisioners = world.environment.provisioner_pods.clone();
    let wukong = manifest((case.spec)());
    decide(&Observed {
        wukong: &wukong,
        world: &world,
        memory: &memory,
        settings: &settings,
        now: NOW.parse().unwrap(),
    })
    .status
}

#[test]
fn a_check_and_the_condition_that_it_decides_agree() {
    for case in cases() {
        let wukong = (case.cluster)().wukong((case.spec)());
        let check: Check = (case.cluster)().check(case.rule, Some(&wukong));
        let status = status(case);
        let found = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == check.condition.as_ref());
        let advisory = check.condition == ConditionType::LiveMigratable;
        let shown = match check.condition {
            ConditionType::EnvironmentReady
            | ConditionType::NodeNetworkReady
            | ConditionType::ProvisioningReady
            | ConditionType::LiveMigratable => true,
            // Preflight reports the warnings of the others before.
            _ => check.status == CheckStatus::Fail,
        };
        let rule = case.rule;
        if !shown {
            continue;
        }
        let found = found.unwrap_or_else(|| panic!("{rule}: {status:#?}"));
        assert_eq!(found.reason, check.reason.as_ref(), "{rule}: {status:#?}");
        let good = check.status == CheckStatus::Warn && !advisory;
        assert_eq!(found.status == "True", good, "{rule}: {status:#?}");
    }
}

#[test]
fn the_blocker_is_the_first_check_that_fails() {
    for case in cases() {
        let wukong = (case.cluster)().wukong((case.spec)());
        let checks = (case.cluster)().checks(Some(&wukong));
        let first = checks
            .iter()
            .find(|check| check.status == CheckStatus::Fail);
        let blocker = status(case).blocker.unwrap();
        match first {
            // Disks are being made before a node is looked for.
            Some(first) if first.condition < ConditionType::Created => {
                assert_eq!(blocker.reason, first.reason.as_ref(), "{}", case.rule);
                assert_eq!(blocker.condition, first.condition.as_ref(), "{}", case.rule);
            }
            _ => assert!(
                ["Pending", "DegradedToPodNetwork", "Creating"].contains(&blocker.reason.as_str()),
                "{}: {blocker:#?}",
                case.rule
            ),
        }
    }
}
