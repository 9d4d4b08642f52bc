//! How many bytes the cache keeps for each Wukong. The objects are those of a VM that ran on a real node.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;
use wukong_engine::catalogue::{self, Reader, StoreOf, Visitor, Watched};
use wukong_engine::facts::Fact;
use wukong_operator::cluster::{Cluster, Part};
use wukong_operator::projection::Project;
use wukong_operator::stored_wukong::StoredWukong;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// A Wukong with its VirtualMachine, instance, network, and two disks.
const OBJECTS: &str = include_str!("objects/running-vm.json");
/// How many Wukongs are added.
const COUNT: usize = 50;

/// The objects of one of many VMs.
fn objects(number: usize) -> Value {
    let text = OBJECTS
        .replace("vm-00000", &format!("vm-{number:05}"))
        .replace("\"00000000-", &format!("\"{number:08x}-"));
    serde_json::from_str(&text).unwrap()
}

/// Puts the objects of a VM into the cache, as the watches do.
struct Put<'a> {
    cluster: &'a Cluster,
    objects: Value,
}

impl Visitor for Put<'_> {
    fn kind<F: Fact>(&mut self, watched: &'static Watched, store: StoreOf<F>) {
        let part = Part::of(watched, store);
        for object in self.objects[watched.plural]
            .as_array()
            .into_iter()
            .flatten()
        {
            self.cluster.updated(part, F::project(object));
        }
    }
}

fn add(cluster: &Cluster, number: usize) {
    let objects = objects(number);
    let wukong = objects["wukongs"][0].clone();
    catalogue::visit(Reader::Operator, &mut Put { cluster, objects });
    cluster.wukong_updated(StoredWukong::project(wukong));
}

#[test]
fn a_wukong_and_its_seven_objects_take_less_than_ten_kibibytes() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let cluster = Cluster::default();
    add(&cluster, COUNT);
    let before = dhat::HeapStats::get();
    for number in 0..COUNT {
        add(&cluster, number);
    }
    let after = dhat::HeapStats::get();
    let bytes = (after.curr_bytes - before.curr_bytes) / COUNT;
    let blocks = (after.curr_blocks - before.curr_blocks) / COUNT;
    println!("{bytes} bytes in {blocks} blocks");
    assert!(bytes < 10 << 10, "{bytes} bytes in {blocks} blocks");
}
