//! Evidence in any order, and of two failures at once.

use proptest::prelude::*;
use wukong_api::ConditionType;

use crate::reported;
use crate::scenario::Scenario;

/// Cases in which pods and events tell the cause.
fn reported_by_events() -> Vec<std::path::PathBuf> {
    let events = |case: &std::path::PathBuf| {
        let scenario = reported::scenario(case);
        scenario
            .objects
            .iter()
            .any(|object| object["kind"] == "Event")
    };
    reported::all().into_iter().filter(events).collect()
}

fn blocker(scenario: &Scenario) -> Option<(String, String, String)> {
    let blocker = scenario.decision().status.blocker?;
    Some((blocker.condition, blocker.reason, blocker.message))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.min(64), ..ProptestConfig::default() })]

    /// The order in which objects arrive does not matter.
    #[test]
    fn any_order_gives_the_same_blocker(case in prop::sample::select(reported_by_events()), seed in any::<u64>()) {
        let scenario = reported::scenario(&case);
        let expected = blocker(&scenario);
        let mut shuffled = reported::scenario(&case);
        let count = shuffled.objects.len();
        for index in (1..count).rev() {
            let other = (seed.rotate_left(index as u32) as usize) % (index + 1);
            shuffled.objects.swap(index, other);
        }
        prop_assert_eq!(blocker(&shuffled), expected);
    }

    /// Of two failures of one VM, the blocker is the one with the earlier condition.
    #[test]
    fn of_two_failures_the_earlier_is_named(
        one in prop::sample::select(reported_by_events()),
        other in prop::sample::select(reported_by_events()),
    ) {
        let first = reported::scenario(&one);
        let mut both = reported::scenario(&one);
        let added = reported::scenario(&other).objects.into_iter().filter(|object| object["kind"] == "Event");
        for (index, mut event) in added.enumerate() {
            event["metadata"]["name"] = format!("added-{index}").into();
            both.objects.push(event);
        }
        let place = |name: &str| name.parse::<ConditionType>().unwrap();
        let (alone, merged) = (blocker(&first), blocker(&both));
        if let (Some(alone), Some(merged)) = (alone, merged) {
            prop_assert!(place(&merged.0) <= place(&alone.0), "{} then {}", alone.0, merged.0);
        }
    }
}
