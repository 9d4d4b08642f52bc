//! Growing a claim.

use wukong_api::validated::Disk;
use wukong_api::{Bytes, ValidatedWukong};

/// Growth of a claim, as an action of its own: a merge patch of the claim's `spec.resources.requests.storage`, together
/// with the annotation [`GUEST_SIZE`](wukong_api::labels::GUEST_SIZE). The DataVolume stays as it is, because CDI
/// refuses every change of its spec.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expansion {
    /// Name of the disk.
    pub disk: String,
    /// Name of the claim.
    pub claim: String,
    /// What the claim requests now.
    pub from: Bytes,
    /// What it is to request.
    pub to: Bytes,
    /// The size, as the guest sees it, that `to` stands for: the value of the annotation.
    pub guest_size: Bytes,
}

/// Returns the growth that a claim needs, if any.
///
/// `claim_request` is what the claim requests. `stands_for` is the size, as the guest sees it, behind that request: the
/// claim's annotation `GUEST_SIZE`, else the size that the DataVolume or the claim was created with. The request
/// is larger where CDI added the overhead of a file system, and stays larger in proportion.
///
/// A disk that is smaller in the spec than it is changes nothing: claims cannot shrink.
pub fn expansion(
    wukong: &ValidatedWukong,
    disk: &Disk,
    claim_request: Bytes,
    stands_for: Bytes,
) -> Option<Expansion> {
    // A disk on an existing claim has size 0, so it never grows.
    (disk.size > stands_for).then(|| Expansion {
        disk: disk.name.clone(),
        claim: wukong.claim_name(disk),
        from: claim_request,
        to: in_proportion(disk.size, claim_request, stands_for),
        guest_size: disk.size,
    })
}

/// `guest_size * request / stands_for`, rounded up: at least `guest_size` and `request`, at most what a quantity holds.
fn in_proportion(guest_size: Bytes, request: Bytes, stands_for: Bytes) -> Bytes {
    let product = u128::from(guest_size.0) * u128::from(request.0);
    let scaled = product.div_ceil(u128::from(stands_for.0.max(1)));
    let scaled = scaled.min(u128::from(i64::MAX.unsigned_abs()));
    let scaled = u64::try_from(scaled).unwrap_or(u64::MAX);
    Bytes(scaled.max(guest_size.0).max(request.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use wukong_api::{Wukong, WukongSpec};

    use super::*;

    const MOST: u64 = i64::MAX as u64;

    fn wukong(size: &str) -> ValidatedWukong {
        let spec: WukongSpec = serde_json::from_value(
            json!({"cpu": 1, "memory": "1Gi", "disks": [{"name": "data", "size": size}]}),
        )
        .unwrap();
        ValidatedWukong::try_from(&Wukong::new("web", spec)).unwrap()
    }

    fn grown(size: &str, claim_request: &str, stands_for: &str) -> Option<(String, u64)> {
        let wukong = wukong(size);
        let bytes = |text| Bytes::parse(text).unwrap();
        let expansion = expansion(
            &wukong,
            &wukong.disks[0],
            bytes(claim_request),
            bytes(stands_for),
        )?;
        assert_eq!(
            (&*expansion.disk, &*expansion.claim, expansion.from),
            ("data", "web.data", bytes(claim_request))
        );
        Some((expansion.guest_size.to_string(), expansion.to.0))
    }

    #[test]
    fn the_overhead_of_a_file_system_grows_along() {
        // What CDI requests for 1Gi on a file system: 1.06 times as much, rounded up.
        assert_eq!(
            grown("2Gi", "1138166334", "1Gi"),
            Some(("2Gi".into(), 2_276_332_668))
        );
        assert_eq!(grown("3Gi", "1Gi", "1Gi"), Some(("3Gi".into(), 3 << 30)));
        assert_eq!(grown("1Gi", "1138166334", "1Gi"), None);
        assert_eq!(grown("1Gi", "2Gi", "2Gi"), None, "claims cannot shrink");
        assert_eq!(
            grown("2Gi", "512Mi", "1Gi"),
            Some(("2Gi".into(), 2 << 30)),
            "a claim that is smaller than its content"
        );
    }

    proptest! {
        #[test]
        fn the_new_request_holds_the_disk_and_never_shrinks(
            guest_size in 1..=1u64 << 60, request in 0..=MOST, stands_for in 0..=MOST,
        ) {
            let to = in_proportion(Bytes(guest_size), Bytes(request), Bytes(stands_for));
            prop_assert!(to.0 >= guest_size && to.0 >= request && to.0 <= MOST);
            prop_assert_eq!(Bytes::parse(&to.to_string()), Some(to));
        }

        #[test]
        fn a_larger_disk_never_gets_a_smaller_request(
            a in 1..=1u64 << 60, b in 1..=1u64 << 60, request in 0..=MOST, stands_for in 1..=MOST,
        ) {
            let (small, large) = (a.min(b), a.max(b));
            let to = |size| in_proportion(Bytes(size), Bytes(request), Bytes(stands_for));
            prop_assert!(to(small) <= to(large));
        }

        #[test]
        fn what_was_grown_is_not_grown_again(
            mebibytes in 1..=1u64 << 40, request in 1..=MOST, stands_for in 1..=MOST,
        ) {
            let wukong = wukong(&format!("{mebibytes}Mi"));
            let disk = &wukong.disks[0];
            match expansion(&wukong, disk, Bytes(request), Bytes(stands_for)) {
                Some(done) => {
                    prop_assert!(disk.size > Bytes(stands_for));
                    prop_assert_eq!(expansion(&wukong, disk, done.to, done.guest_size), None);
                }
                None => prop_assert!(disk.size <= Bytes(stands_for)),
            }
        }

        /// The overhead is neither lost nor piled up by growing in steps: each rounds up by less than a byte, which
        /// later steps scale.
        #[test]
        fn growing_in_steps_ends_where_one_step_ends(
            first in 1u64..1 << 20, more in proptest::collection::vec(1u64..1 << 20, 1..8), per_mille in 0u64..1000,
        ) {
            let sizes: Vec<u64> = more.iter().scan(first, |size, step| { *size += step; Some(*size << 20) }).collect();
            let (start, last) = (Bytes(first << 20), Bytes(*sizes.last().unwrap()));
            let request = Bytes(start.0 + start.0 * per_mille / 1000);
            let direct = in_proportion(last, request, start);
            let (stepped, _) = sizes.iter().fold((request, start), |(request, size), next| {
                (in_proportion(Bytes(*next), request, size), Bytes(*next))
            });
            prop_assert!(stepped >= direct);
            let slack = sizes.len() as u64 * last.0.div_ceil(start.0);
            prop_assert!(stepped.0 - direct.0 <= slack, "{stepped} is more than {direct} by over {slack} bytes");
        }
    }
}
