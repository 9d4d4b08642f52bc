//! The scheduler's messages, as schedulers wrote them. What each phrase means is a case of the table of signatures.

use wukong_engine::diagnosis::scheduler::parse;

#[test]
fn a_message_is_taken_apart_per_phrase() {
    let text = "0/6 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) didn't match Pod's node affinity/selector, 2 node(s) were unschedulable. preemption: 0/6 nodes are available: 1 No preemption victims found for incoming pod, 5 Preemption is not helpful for scheduling.";
    let parsed = parse(text).unwrap();
    assert_eq!((parsed.available, parsed.total), (0, 6));
    let phrases: Vec<(u32, &str)> = parsed
        .phrases
        .iter()
        .map(|phrase| (phrase.nodes, phrase.text.as_str()))
        .collect();
    assert_eq!(
        phrases,
        [
            (1, "Insufficient memory"),
            (
                1,
                "had untolerated taint {node-role.kubernetes.io/control-plane: }"
            ),
            (2, "didn't match Pod's node affinity/selector"),
            (2, "were unschedulable"),
        ]
    );
    let all = parse(
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
    )
    .unwrap();
    assert_eq!(all.phrases[0].nodes, 0);
}

#[test]
fn other_texts_are_not_taken_for_the_schedulers() {
    for text in [
        "",
        "PVC default/web.root does not exist, waiting for it to appear",
        "nodes are available",
        "x/y nodes are available: z",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(
        parse("no nodes available to schedule pods").unwrap().total,
        0
    );
}
