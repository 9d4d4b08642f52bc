//! Tests of the number of lists over time, and of the age of their results.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::time::{sleep, sleep_until};
use wukong_api::Wukong;
use wukong_engine::World;

use super::*;
use crate::applier::Applier;
use crate::leader::Leadership;
use crate::metrics::Metrics;

/// Lists, each with the second in which it began.
type Lists = Arc<parking_lot::Mutex<Vec<(u64, String)>>>;

/// Queries against an API server that takes its time for each list. It counts the lists by their second.
fn queries(delay: Duration) -> (Queries, Lists) {
    let lists = Lists::default();
    let (log, started) = (Arc::clone(&lists), Instant::now());
    let service = tower::service_fn(move |request: Request<Body>| {
        let second = started.elapsed().as_secs();
        log.lock().push((second, request.uri().to_string()));
        async move {
            sleep(delay).await;
            let list = json!({"metadata": {}, "items": []}).to_string();
            Ok::<_, Infallible>(Response::new(Body::from(list.into_bytes())))
        }
    });
    let client = Client::new(service, "default");
    let leadership = Leadership::always();
    let applier = Applier::new(client, 32, leadership, "me".into(), Metrics::default());
    (Queries::new(Arc::new(applier)), lists)
}

fn subject(number: usize) -> Subject {
    Subject {
        namespace: "shop".into(),
        name: format!("vm-{number}"),
        uid: number.to_string(),
    }
}

fn related(subject: &Subject) -> RelatedNames {
    let wukong: Wukong = serde_json::from_value(json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
        "metadata": {"name": subject.name, "namespace": subject.namespace},
        "spec": {"cpu": 1, "memory": "1Gi", "disks": [{"name": "root", "size": "1Gi"}]},
    }))
    .unwrap();
    RelatedNames::of(&wukong, &World::default())
}

/// A Wukong that waits: its queries are due after ten seconds, and then with growing pauses. Returns how late each was.
async fn wait(queries: &Queries, number: usize, has_vm: bool, until: Instant) -> Vec<Duration> {
    let subject = subject(number);
    let related = related(&subject);
    // They begin to wait within five seconds.
    let mut due = Instant::now() + Duration::from_millis(10_000 + 17 * number as u64 % 5000);
    let mut pause = Duration::from_secs(10);
    let mut late = Vec::new();
    while due < until {
        sleep_until(due).await;
        let asked = Asked {
            subject: &subject,
            related: &related,
            has_vm,
            due,
        };
        let at = loop {
            match queries.children(&asked).await {
                Ok((_, at)) => break at,
                Err(pause) => sleep(pause).await,
            }
        };
        assert!(at >= due, "the result is older than the query was due");
        late.push(due.elapsed());
        pause *= 3;
        due = at + pause;
    }
    late
}

/// Lets 300 Wukongs of one namespace wait. Returns the lists.
async fn waiting(has_vm: bool, delay: Duration) -> Vec<(u64, String)> {
    let (queries, lists) = queries(delay);
    let until = Instant::now() + Duration::from_secs(90);
    let all = (0..300).map(|number| wait(&queries, number, has_vm, until));
    let late = join_all(all).await;
    assert!(late.iter().all(|late| late.len() >= 2), "each is served");
    let longest = late.into_iter().flatten().max().unwrap();
    assert!(longest <= INTERVAL + 3 * BUSY, "{longest:?}");
    lists.lock().clone()
}

#[tokio::test(start_paused = true)]
async fn many_waiting_imports_cost_less_than_a_list_a_second() {
    let lists = waiting(false, Duration::from_millis(20)).await;
    // Ten queries in 90 s at most, each with the importers and the events.
    assert!(lists.len() <= 20, "{} lists for 300 imports", lists.len());
    let seconds = lists.iter().map(|(second, _)| *second);
    let last = seconds.max().unwrap();
    for second in 0..=last {
        let in_ten = |at: u64| (second..second + 10).contains(&at);
        let number = lists.iter().filter(|(at, _)| in_ten(*at)).count();
        assert!(number <= 10, "{number} lists from second {second} on");
    }
}

#[tokio::test(start_paused = true)]
async fn many_vms_that_wait_to_be_scheduled_share_their_queries() {
    let lists = waiting(true, Duration::from_millis(200)).await;
    assert!(lists.len() <= 30, "{} lists for 300 VMs", lists.len());
    assert!(lists[0].1.contains("in%20%28vm-0%29"), "alone, by its name");
    let of_all = |(_, uri): &(u64, String)| uri.contains("vm.kubevirt.io%2Fname&");
    assert!(lists.iter().any(of_all), "more than 100 at once");
}

#[tokio::test(start_paused = true)]
async fn no_reconcile_waits_for_the_query_of_another() {
    let (queries, lists) = queries(Duration::from_secs(5));
    let waited = AtomicUsize::new(0);
    let first = async {
        let subject = subject(0);
        let (related, due) = (related(&subject), Instant::now());
        let asked = Asked {
            subject: &subject,
            related: &related,
            has_vm: false,
            due,
        };
        assert!(queries.children(&asked).await.is_ok());
    };
    let others = join_all((1..100).map(|number| {
        let (queries, waited) = (&queries, &waited);
        async move {
            sleep(Duration::from_millis(1)).await;
            let subject = subject(number);
            let related = related(&subject);
            let asked = Asked {
                subject: &subject,
                related: &related,
                has_vm: false,
                due: Instant::now(),
            };
            let started = Instant::now();
            assert_eq!(queries.children(&asked).await.err(), Some(BUSY));
            assert_eq!(started.elapsed(), Duration::ZERO);
            waited.fetch_add(1, Ordering::Relaxed);
        }
    }));
    tokio::join!(first, others);
    assert_eq!(waited.load(Ordering::Relaxed), 99);
    assert_eq!(lists.lock().len(), 2);
}
