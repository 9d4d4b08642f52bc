//! A state of the model, and the actions that lead to the next.

/// Most operators and most Wukongs of a world.
pub const OPERATORS: usize = 2;
pub const WUKONGS: usize = 2;

/// The kinds that the operator watches, in this order.
pub const KINDS: [&str; 6] = [
    "Wukong",
    "VirtualMachine",
    "VirtualMachineInstance",
    "DataVolume",
    "PersistentVolumeClaim",
    "NetworkAttachmentDefinition",
];

/// A state. Numbers stand for values in the pools of the [`Cluster`](crate::cluster::Cluster); equal values have equal
/// numbers, and uids, versions and times are normalised before. So two states are equal if no actor can distinguish them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct State {
    /// The stored objects.
    pub server: u32,
    pub operators: [Operator; OPERATORS],
    /// The operator that the Lease names.
    pub holder: u8,
    /// What users and other administrators may still do.
    pub edits: u8,
    /// How many faults may still happen.
    pub faults: u8,
    /// Whether the power of a VM was last decided by hand.
    pub by_hand: bool,
    /// The promise that the last action broke.
    pub broken: Option<Promise>,
}

/// One replica of the operator.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Operator {
    /// Whether its term as the leader lasts, by its own clock.
    pub leads: bool,
    /// Its cache, by kind: the objects as last reported. 0: not listed yet.
    pub views: [u32; KINDS.len()],
    pub work: [Work; WUKONGS],
}

/// What a replica remembers of a Wukong, and the requests of the decision that it executes. 0: none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Work {
    pub memory: u32,
    pub requests: u32,
}

/// The promises about every write.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Ord, PartialOrd)]
pub enum Promise {
    /// Nothing without our controller uid is changed or deleted.
    OnlyOurs,
    /// Never two VMs for one Wukong.
    OneVm,
    /// No claim, DataVolume or VM is deleted, and none is made under the name of a claim that still has data of another.
    NoDataAtRisk,
    /// A retained disk survives.
    RetainedSurvives,
    /// Only the holder of the Lease begins a write.
    OneWriter,
    /// No write if everything is as planned.
    NoIdleWrite,
    /// No request leaves the namespace.
    OwnNamespace,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// It is executed, but the answer is lost.
    AnswerLost,
    /// It is not executed.
    Failed,
}

/// One step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The watch of a kind reports to an operator all that changed. Events between are merged; an event that comes again
    /// changes nothing.
    Report { operator: u8, kind: u8 },
    /// An operator decides about a Wukong.
    Decide { operator: u8, wukong: u8 },
    /// A request of that decision reaches the API server, or is lost.
    Request {
        operator: u8,
        wukong: u8,
        index: u8,
        fate: Fate,
    },
    /// Another controller takes a step.
    Controller(u8),
    /// The garbage collector deletes an object.
    Collect(u8),
    /// A user does something.
    User(u8),
    /// Back-offs end.
    TimePasses,
    /// The operator restarts, with lists from an API server that is as far behind as its last reports.
    RestartStale { operator: u8 },
    /// The operator restarts, and has no list yet.
    Restart { operator: u8 },
    /// The leader is cut off or frozen until its term ends. Requests on the wire still arrive.
    TermEnds { operator: u8 },
    /// An operator takes the Lease that is not renewed any more.
    TakeOver { operator: u8 },
}
