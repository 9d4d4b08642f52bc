//! CPU and memory: requests, limits, topology, huge pages, and what live update needs.
//!
//! From `vmi-create-admitter.go` and `pkg/liveupdate/memory`.

use super::config::ClusterConfig;
use super::verdict::Causes;
use crate::field::Field;
use crate::quantity::Quantity;

const GI: i64 = 1 << 30;
/// virtio-mem blocks, and those of 1Gi huge pages.
const BLOCK: i64 = 2 << 20;
const FEATURE_POLICIES: [&str; 6] = ["", "force", "require", "optional", "disable", "forbid"];

pub fn check(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    memory(vmi, config, causes);
    huge_pages(vmi, causes);
    cpu(vmi, causes);
    dedicated_cpus(vmi, causes);
}

fn resource<'a>(vmi: &Field<'a>, list: &str, name: &str) -> Field<'a> {
    vmi.at("domain.resources").child(list).child(name)
}

fn negative(field: &Field<'_>, value: i64, causes: &mut Causes) {
    causes.add_if(value < 0, || {
        format!(
            "{} '{}': must be greater than or equal to 0.",
            field.path(),
            show(field)
        )
    });
}

fn exceeds(request: &Field<'_>, limit: &Field<'_>) -> String {
    format!(
        "{} '{}' is greater than {} '{}'",
        request.path(),
        show(request),
        limit.path(),
        show(limit)
    )
}

fn show(field: &Field<'_>) -> String {
    match field.value().as_str() {
        Some(text) => text.to_owned(),
        None => field.value().to_string(),
    }
}

fn memory(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let (request, limit) = (
        resource(vmi, "requests", "memory"),
        resource(vmi, "limits", "memory"),
    );
    let (requested, limited) = (request.quantity(), limit.quantity());
    negative(&request, requested.value(), causes);
    negative(&limit, limited.value(), causes);
    causes.add_if(
        requested.value() > 0 && requested < Quantity::units(1_000_000),
        || {
            format!(
                "{} '{}': must be greater than or equal to 1M.",
                request.path(),
                show(&request)
            )
        },
    );
    causes.add_if(
        limited.value() > 0 && requested.value() > limited.value(),
        || exceeds(&request, &limit),
    );
    let guest = vmi.at("domain.memory.guest");
    let over = limited.value() != 0 && limited.value() < guest.quantity().value();
    causes.add_if(!config.live_update && over, || {
        format!(
            "{} '{}' must be equal to or less than the memory limit {} '{}'",
            guest.path(),
            show(&guest),
            limit.path(),
            show(&limit)
        )
    });
}

fn huge_pages(vmi: &Field<'_>, causes: &mut Causes) {
    let pages = vmi.at("domain.memory.hugepages");
    if !pages.is_set() {
        return;
    }
    let size = pages.child("pageSize");
    let Ok(page) = Quantity::parse(size.text()).map(Quantity::value) else {
        causes.add(format!("{} '{}': not a quantity", size.path(), size.text()));
        return;
    };
    let request = resource(vmi, "requests", "memory");
    // The message names the request even where the guest's memory is meant.
    let reported = if request.is_set() {
        show(&request)
    } else {
        "0".to_owned()
    };
    let memory = match request.quantity().value() {
        0 => vmi.at("domain.memory.guest").quantity().value(),
        requested => requested,
    };
    if memory != 0 && memory < page {
        causes.add(format!(
            "{} '{}' must be equal to or larger than page size {} '{}'",
            request.path(),
            reported,
            size.path(),
            size.text()
        ));
    // KubeVirt divides by a page size of 0, and so answers nothing.
    } else if memory.checked_rem(page) != Some(0) {
        causes.add(format!(
            "{} '{}' is not a multiple of the page size {} '{}'",
            request.path(),
            reported,
            size.path(),
            size.text()
        ));
    }
}

fn cpu(vmi: &Field<'_>, causes: &mut Causes) {
    let (request, limit) = (
        resource(vmi, "requests", "cpu"),
        resource(vmi, "limits", "cpu"),
    );
    let (requested, limited) = (request.quantity().milli(), limit.quantity().milli());
    negative(&request, requested, causes);
    negative(&limit, limited, causes);
    causes.add_if(limited > 0 && requested > limited, || {
        exceeds(&request, &limit)
    });

    let cpu = vmi.at("domain.cpu");
    let max = cpu.child("maxSockets").integer();
    causes.add_if(max != 0 && cpu.child("sockets").integer() > max, || {
        "Number of sockets in CPU topology is greater than the maximum sockets allowed".into()
    });
    for feature in cpu.child("features").items() {
        let policy = feature.child("policy").text();
        causes.add_if(!FEATURE_POLICIES.contains(&policy), || {
            format!(
                "CPU feature {} uses policy {policy} that is not supported.",
                feature.name()
            )
        });
    }
    let dedicated = cpu.child("dedicatedCpuPlacement");
    causes.add_if(
        cpu.child("isolateEmulatorThread").is_true() && !dedicated.is_true(),
        || {
            "IsolateEmulatorThread should be only set in combination with DedicatedCPUPlacement"
                .into()
        },
    );
    let passthrough = cpu.at("numa.guestMappingPassthrough");
    let realtime = cpu.child("realtime");
    for strategy in [&passthrough, &realtime] {
        causes.add_if(strategy.is_set() && !dedicated.is_true(), || {
            format!(
                "{} must be set to true when NUMA topology strategy is set in {}",
                dedicated.path(),
                strategy.path()
            )
        });
    }
    let pages = vmi.at("domain.memory.hugepages");
    causes.add_if(passthrough.is_set() && !pages.is_set(), || {
        format!(
            "{} must be requested when NUMA topology strategy is set in {}",
            pages.path(),
            passthrough.path()
        )
    });
    causes.add_if(realtime.is_set() && !passthrough.is_set(), || {
        format!(
            "{} must be defined when {} is used",
            passthrough.path(),
            realtime.path()
        )
    });
}

fn dedicated_cpus(vmi: &Field<'_>, causes: &mut Causes) {
    let cpu = vmi.at("domain.cpu");
    if !cpu.child("dedicatedCpuPlacement").is_true() {
        return;
    }
    let (request, limit) = (
        resource(vmi, "requests", "cpu"),
        resource(vmi, "limits", "cpu"),
    );
    for (field, list) in [(&request, "requests"), (&limit, "limits")] {
        let whole = field.quantity().value().saturating_mul(1000) == field.quantity().milli();
        causes.add_if(!whole, || {
            format!("provided resources CPU {list} must be an interger")
        });
    }
    let (requested, limited) = (request.quantity().value(), limit.quantity().value());
    let vcpus = vcpus(&cpu);
    causes.add_if(requested == 0 && limited == 0 && vcpus == 0, || {
        format!(
            "either {} or {} or cores must be provided when DedicatedCPUPlacement is true",
            request.path(),
            limit.path()
        )
    });
    causes.add_if(requested > 0 && limited > 0 && requested != limited, || {
        format!(
            "{} or {} must be equal when DedicatedCPUPlacement is true ",
            request.path(),
            limit.path()
        )
    });
    let given = requested > 0 || limited > 0;
    causes.add_if(given && vcpus > 0 && requested != vcpus && limited != vcpus, || {
        format!(
            "{} or {} must not be provided at the same time with cores when DedicatedCPUPlacement is true ",
            request.path(),
            limit.path()
        )
    });
    let threads = cpu.child("threads").integer();
    let arm = vmi.child("architecture").text() == "arm64";
    causes.add_if(threads > if arm { 1 } else { 2 }, || {
        format!(
            "Not more than two threads must be provided at {}.threads (got {threads})",
            cpu.path()
        )
    });

    let (request, limit) = (
        resource(vmi, "requests", "memory"),
        resource(vmi, "limits", "memory"),
    );
    let (requested, limited) = (request.quantity().value(), limit.quantity().value());
    causes.add_if(requested > 0 && limited > 0 && requested != limited, || {
        format!("{} must be equal to {}", request.path(), limit.path())
    });
    let memory = vmi.at("domain.memory");
    let sized = memory.child("hugepages").is_set() || memory.child("guest").quantity().value() != 0;
    causes.add_if(requested == 0 && limited == 0 && !sized, || {
        format!(
            "{}, {} or {} should be provided",
            request.path(),
            limit.path(),
            memory.path()
        )
    });
}

/// Sockets times cores times threads, where zero means "not given".
fn vcpus(cpu: &Field<'_>) -> i64 {
    ["cores", "sockets", "threads"]
        .map(|part| cpu.child(part).integer())
        .into_iter()
        .filter(|count| *count != 0)
        .reduce(i64::saturating_mul)
        .unwrap_or_default()
}

/// Checks memory hot-plug, when `maxGuest` is set. Reports only the first cause.
pub fn check_live_update(vmi: &Field<'_>, causes: &mut Causes) {
    let max = vmi.at("domain.memory.maxGuest");
    if max.is_set()
        && let Some(cause) = memory_hotplug_problem(vmi, max.quantity())
    {
        causes.add(cause);
    }
}

/// Why the guest's memory cannot grow up to `max`, if so.
pub fn memory_hotplug_problem(vmi: &Field<'_>, max: Quantity) -> Option<String> {
    let (cpu, memory) = (vmi.at("domain.cpu"), vmi.at("domain.memory"));
    let (block, aligned) = match memory.at("hugepages.pageSize").text() {
        "1Gi" => (GI, "1Gi"),
        _ => (BLOCK, "2Mi"),
    };
    let guest = memory.child("guest");
    let cause = if cpu.child("realtime").is_set() {
        "Memory hotplug is not compatible with realtime VMs".into()
    } else if cpu.at("numa.guestMappingPassthrough").is_set() {
        "Memory hotplug is not compatible with guest mapping passthrough".into()
    } else if vmi.at("domain.launchSecurity").is_set() {
        "Memory hotplug is not compatible with encrypted VMs".into()
    } else if !guest.is_set() {
        "Guest memory must be configured when memory hotplug is enabled".into()
    } else if guest.quantity() > max {
        "Guest memory is greater than the configured maxGuest memory".into()
    } else if guest.quantity().value() % block != 0 {
        format!("Guest memory must be {aligned} aligned")
    } else if max.value() % block != 0 {
        format!("MaxGuest must be {aligned} aligned")
    } else if !["amd64", "arm64"].contains(&vmi.child("architecture").text()) {
        "Memory hotplug is only available for x86_64 and arm64 VMs".into()
    } else if guest.quantity().value() < GI {
        "Memory hotplug is only available for VMs with at least 1Gi of guest memory".into()
    } else {
        return None;
    };
    Some(cause)
}
