//! `expose`: a Service for ports of a guest.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::bail;
use clap::ValueEnum;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use kube::api::ObjectMeta;
use wukong_api::spec::PodNetwork;
use wukong_api::{Wukong, labels};

use crate::action;
use crate::cluster::{self, ClusterArgs};
use crate::exit::Exit;
use crate::guest::port;
use crate::output;

/// The label of virt-launcher pods, and its value. The pods that fill disks do not have it.
const LAUNCHER: (&str, &str) = ("kubevirt.io", "virt-launcher");

/// Create a Service for ports of a VM.
///
/// The Service selects the pod of the VM by its label, also after a restart or migration. It is yours: neither the
/// operator nor the deletion of the Wukong changes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong expose web 80
  kubectl wukong expose web 80:8080 443:8443 --name shop
  kubectl wukong expose dns 53/udp 53 --type LoadBalancer
  kubectl wukong expose web 22 --type NodePort --print > service.yaml

Permissions, in addition to reading Wukongs:
  create on services

Exit codes:
  0  the Service was created
  1  failed or refused")]
pub struct Args {
    /// Name of the Wukong
    wukong: String,

    /// Port of the Service, port of the guest if it is another one, and tcp (default) or udp
    #[arg(value_name = "PORT[:TARGET][/PROTOCOL]", required = true)]
    ports: Vec<Port>,

    /// Name of the Service [default: that of the Wukong]
    #[arg(long)]
    name: Option<String>,

    /// Type of the Service
    #[arg(long = "type", value_name = "TYPE", value_enum, default_value_t = ServiceType::ClusterIp)]
    kind: ServiceType,

    /// Print the manifest of the Service, and create nothing
    #[arg(long)]
    print: bool,
}

/// From where a Service is reachable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ServiceType {
    /// From inside the cluster
    #[value(name = "ClusterIP", alias = "clusterip")]
    ClusterIp,
    /// From outside, on a port of every node
    #[value(name = "NodePort", alias = "nodeport")]
    NodePort,
    /// From outside, by the load balancer of the cluster
    #[value(name = "LoadBalancer", alias = "loadbalancer")]
    LoadBalancer,
}

impl ServiceType {
    const fn name(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// A port of a Service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Port {
    port: u16,
    target: u16,
    protocol: &'static str,
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, protocol) = match text.split_once('/') {
            None => (text, "TCP"),
            Some((ports, protocol)) => match protocol.to_ascii_lowercase().as_str() {
                "tcp" => (ports, "TCP"),
                "udp" => (ports, "UDP"),
                _ => return Err(format!("{protocol:?} is neither tcp nor udp")),
            },
        };
        let (port, target) = ports.split_once(':').unwrap_or((ports, ports));
        Ok(Self {
            port: port::number(port)?,
            target: port::number(target)?,
            protocol,
        })
    }
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let wukong = cluster.wukong(&args.wukong).await?;
    refuse_unreachable(&wukong, &args.wukong)?;
    let service = service(args, &cluster.namespace);
    if args.print {
        output::print_objects(&output::to_yaml(&service)?)?;
        return Ok(Exit::Done);
    }
    let api: Api<Service> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    match api.create(&action::creation(), &service).await {
        Ok(made) => output::print(&report(&made, args))?,
        Err(kube::Error::Api(status)) if status.code == 409 => bail!(
            "Service {} exists already; choose another name with --name",
            service.metadata.name.as_deref().unwrap_or_default()
        ),
        Err(error) => return Err(cluster::readable(error)),
    }
    Ok(Exit::Done)
}

/// A Service reaches the address of the pod, which is that of the NIC on the pod network.
fn refuse_unreachable(wukong: &Wukong, name: &str) -> anyhow::Result<()> {
    let has_primary = wukong
        .spec
        .networks
        .iter()
        .any(|nic| nic.primary == Some(true));
    if wukong.spec.pod_network == Some(PodNetwork::None) && !has_primary {
        bail!(
            "{name} has no NIC on the pod network (spec.podNetwork: None), and a Service reaches no other one"
        );
    }
    Ok(())
}

fn service(args: &Args, namespace: &str) -> Service {
    let ports = args.ports.iter().map(|port| ServicePort {
        name: Some(format!("{}-{}", port.protocol.to_lowercase(), port.port)),
        port: port.port.into(),
        target_port: Some(IntOrString::Int(port.target.into())),
        protocol: Some(port.protocol.into()),
        ..ServicePort::default()
    });
    let selector = [(labels::WUKONG, args.wukong.as_str()), LAUNCHER];
    let selector = selector.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Service {
        metadata: ObjectMeta {
            name: Some(args.name.as_ref().unwrap_or(&args.wukong).clone()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            type_: Some(args.kind.name().into()),
            selector: Some(BTreeMap::from(selector)),
            ports: Some(ports.collect()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Where each port is reachable.
fn report(service: &Service, args: &Args) -> String {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let spec = service.spec.clone().unwrap_or_default();
    let address = spec.cluster_ip.unwrap_or_default();
    let mut text = format!("Service {name} created\n");
    for (port, asked) in spec.ports.iter().flatten().zip(&args.ports) {
        let Port {
            target, protocol, ..
        } = asked;
        let on_nodes = port
            .node_port
            .map(|node_port| format!(", port {node_port} of every node"))
            .unwrap_or_default();
        text.push_str(&format!(
            "  {address}:{}/{protocol}{on_nodes} -> {}:{target}\n",
            port.port, args.wukong
        ));
    }
    if args.kind == ServiceType::LoadBalancer {
        text.push_str(&format!(
            "The load balancer gives it an address: kubectl get service {name} -n {namespace} --watch\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_name_target_and_protocol() {
        let parsed = |text: &str| {
            let port = text.parse::<Port>();
            port.map(|it| (it.port, it.target, it.protocol))
        };
        assert_eq!(parsed("80"), Ok((80, 80, "TCP")));
        assert_eq!(parsed("80:8080"), Ok((80, 8080, "TCP")));
        assert_eq!(parsed("53/UDP"), Ok((53, 53, "UDP")));
        for wrong in [
            "", "http", "0", ":80", "80:", "80/sctp", "80:70000", "1:2:3",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
