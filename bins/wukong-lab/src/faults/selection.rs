//! Which faults are tried at which requests.

use fastrand::Rng;

use super::fault::{At, Fault, Kind};

/// All single faults of a golden run. `watches`: also those of watches, with which every process begins alike.
pub(super) fn all(trace: &[At], watches: bool) -> Vec<Fault> {
    let relevant = trace.iter().filter(|at| watches || verb(at) != "watch");
    relevant
        .flat_map(|at| {
            kinds(at).map(|kind| Fault {
                kind,
                at: at.clone(),
            })
        })
        .collect()
}

/// One fault for each request, with the kinds in turn.
pub(super) fn part(trace: &[At], watches: bool, random: &mut Rng) -> Vec<Fault> {
    let mut order = Kind::ALL;
    random.shuffle(&mut order);
    let mut waiting: Vec<Kind> = Vec::new();
    let mut faults = Vec::new();
    for at in trace.iter().filter(|at| watches || verb(at) != "watch") {
        let fits = |waiting: &[Kind]| waiting.iter().position(|kind| kind.applies_to(verb(at)));
        if fits(&waiting).is_none() {
            waiting.extend(order);
        }
        if let Some(place) = fits(&waiting) {
            let kind = waiting.remove(place);
            faults.push(Fault {
                kind,
                at: at.clone(),
            });
        }
    }
    faults
}

/// So many pairs of faults at different requests.
pub(super) fn pairs(trace: &[At], count: usize, random: &mut Rng) -> Vec<Vec<Fault>> {
    let faults = all(trace, false);
    let mut pairs = Vec::new();
    for _ in 0..count {
        let (Some(one), Some(other)) = (random.choice(&faults), random.choice(&faults)) else {
            break;
        };
        if one.at != other.at {
            pairs.push(vec![one.clone(), other.clone()]);
        }
    }
    pairs
}

fn verb(at: &At) -> &str {
    at.request.split(' ').next().unwrap_or_default()
}

fn kinds(at: &At) -> impl Iterator<Item = Kind> {
    let verb = verb(at);
    Kind::ALL
        .into_iter()
        .filter(move |kind| kind.applies_to(verb))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn trace() -> Vec<At> {
        let at = |request: &str| At {
            request: request.into(),
            number: 1,
        };
        let writes = (0..30).map(|number| at(&format!("patch secrets/{number}")));
        writes.chain([at("watch nodes"), at("list pods")]).collect()
    }

    #[test]
    fn a_part_has_each_request_once_and_each_kind() {
        let part = part(&trace(), true, &mut Rng::with_seed(1));
        let requests: BTreeSet<_> = part.iter().map(|fault| &fault.at).collect();
        assert_eq!((part.len(), requests.len()), (32, 32));
        let kinds: BTreeSet<_> = part.iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds.len(), Kind::ALL.len());
        assert!(
            part.iter()
                .all(|fault| fault.kind.applies_to(verb(&fault.at)))
        );
    }

    #[test]
    fn a_seed_always_selects_the_same() {
        let select = |seed| {
            (
                part(&trace(), true, &mut Rng::with_seed(seed)),
                pairs(&trace(), 5, &mut Rng::with_seed(seed)),
            )
        };
        assert_eq!(select(3), select(3));
        assert_ne!(select(3), select(4));
    }

    #[test]
    fn all_faults_of_a_write_are_those_that_can_happen_to_a_write() {
        assert_eq!(all(&trace(), false).len(), 30 * 12 + 8);
    }
}
