//! `ssh`: the ssh of this machine, through KubeVirt.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use kube::ResourceExt;
use wukong_api::Wukong;

use crate::cluster::ClusterArgs;
use crate::exit::Exit;
use crate::guest::running;
use crate::output;

/// File with the host keys of guests, the same as that of virtctl.
const KNOWN_HOSTS: &str = ".ssh/kubevirt_known_hosts";

/// Log in to a VM with ssh.
///
/// Runs the ssh of this machine with its configuration and agent. The connection goes through the API server, so the VM
/// needs no address that is reachable from here. The host is vmi.NAME.NAMESPACE. Host keys are stored per VM: ssh treats
/// a VM that was recreated under the same name as a new host and does not warn of a changed key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong ssh web
  kubectl wukong ssh admin@web -i ~/.ssh/id_ed25519
  kubectl wukong ssh web -- uptime
  kubectl wukong ssh web -- -L 8080:localhost:80 -N
  kubectl wukong ssh web -o StrictHostKeyChecking=accept-new --command-only

Permissions, in addition to reading Wukongs:
  get on virtualmachineinstances of kubevirt.io
  get on virtualmachineinstances/portforward of subresources.kubevirt.io

The exit code is that of ssh: that of the remote command, or 255 if ssh fails. It is 1 if ssh does not start.")]
pub struct Args {
    /// Name of the Wukong, or USER@NAME
    #[arg(value_name = "[USER@]NAME")]
    target: String,

    /// Options of ssh, and the command to run in the guest
    #[arg(last = true, value_name = "SSH ARGUMENT")]
    rest: Vec<String>,

    /// User to log in as [default: spec.cloudInitUser.name, then the default of ssh]
    #[arg(short = 'l', long, value_name = "USER")]
    username: Option<String>,

    /// Private key file
    #[arg(short, long, value_name = "FILE")]
    identity_file: Option<PathBuf>,

    /// Port in the guest
    #[arg(short, long, default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Option of ssh, such as StrictHostKeyChecking=accept-new
    #[arg(short = 'o', long = "option", value_name = "OPTION")]
    options: Vec<String>,

    /// File with the host keys of guests [default: ~/.ssh/kubevirt_known_hosts]
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,

    /// Print the command instead of running it
    #[arg(long)]
    command_only: bool,
}

pub async fn run(args: &Args, cluster_args: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster_args.connect().await?;
    let (_, name) = args.target();
    let wukong = cluster.wukong(name).await?;
    let plugin = env::current_exe().context("cannot determine the path of this program")?;
    let arguments = args.arguments(cluster_args, &plugin, &wukong, &cluster.namespace)?;
    if args.command_only {
        let words = ["ssh"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str));
        output::print(&format!("{}\n", shlex::try_join(words)?))?;
        return Ok(Exit::Done);
    }
    running::require(&cluster, &wukong, name).await?;
    replace_by(Command::new("ssh").args(arguments))
}

impl Args {
    /// Returns user and name.
    fn target(&self) -> (Option<&str>, &str) {
        match self.target.rsplit_once('@') {
            Some((user, name)) => (Some(user), name),
            None => (None, &self.target),
        }
    }

    /// Returns the arguments of ssh.
    fn arguments(
        &self,
        cluster: &ClusterArgs,
        plugin: &Path,
        wukong: &Wukong,
        namespace: &str,
    ) -> anyhow::Result<Vec<String>> {
        let (user, name) = self.target();
        let uid = wukong.uid().unwrap_or_default();
        let mut arguments = Vec::new();
        let mut option = |text: String| arguments.extend(["-o".to_owned(), text]);
        // ssh uses the first value of an option: those of the user come before ours.
        for own in &self.options {
            option(own.clone());
        }
        option(format!(
            "ProxyCommand={}",
            self.proxy_command(cluster, plugin, name, namespace)?
        ));
        option(format!("HostKeyAlias={name}.{namespace}.{uid}"));
        if let Some(file) = self.known_hosts()? {
            option(format!("UserKnownHostsFile={file}"));
        }
        if let Some(file) = &self.identity_file {
            arguments.extend(["-i".to_owned(), utf8(file)?.to_owned()]);
        }
        let login = wukong.spec.cloud_init_user.as_ref();
        let user = user
            .or(self.username.as_deref())
            .or(login.map(|login| login.name.as_str()));
        if let Some(user) = user {
            arguments.extend(["-l".to_owned(), user.to_owned()]);
        }
        arguments.push(format!("vmi.{name}.{namespace}"));
        arguments.extend(self.rest.iter().cloned());
        Ok(arguments)
    }

    /// Returns the ProxyCommand. ssh expands `%` in it, and a shell parses it.
    fn proxy_command(
        &self,
        cluster: &ClusterArgs,
        plugin: &Path,
        name: &str,
        namespace: &str,
    ) -> anyhow::Result<String> {
        let (port, vmi) = (self.port.to_string(), format!("vmi/{name}"));
        let mut words = vec![utf8(plugin)?, "port-forward", "--stdio", "--namespace"];
        words.push(namespace);
        if let Some(context) = &cluster.context {
            words.extend(["--context", context]);
        }
        if let Some(file) = &cluster.kubeconfig {
            words.extend(["--kubeconfig", utf8(file)?]);
        }
        words.extend([vmi.as_str(), port.as_str()]);
        Ok(shlex::try_join(words)?.replace('%', "%%"))
    }

    /// Returns the file of known hosts in the quotes of ssh; `None` without a home directory, where the default of ssh applies.
    fn known_hosts(&self) -> anyhow::Result<Option<String>> {
        let file = match &self.known_hosts {
            Some(file) => file.clone(),
            None => match env::home_dir() {
                Some(home) => home.join(KNOWN_HOSTS),
                None => return Ok(None),
            },
        };
        Ok(Some(format!("\"{}\"", utf8(&file)?.replace('%', "%%"))))
    }
}

fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not valid UTF-8", path.display()))
}

/// Replaces this process by the command.
#[cfg(unix)]
fn replace_by(command: &mut Command) -> anyhow::Result<Exit> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).context("cannot start ssh; is it installed?")
}

/// Runs the command and exits with its code.
#[cfg(not(unix))]
fn replace_by(command: &mut Command) -> anyhow::Result<Exit> {
    let status = command
        .status()
        .context("cannot start ssh; is it installed?")?;
    std::process::exit(status.code().unwrap_or(255))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
        #[command(flatten)]
        cluster: ClusterArgs,
    }

    /// The arguments of ssh for a command line, with `/k` as the file of known hosts.
    fn called(line: &[&str], user: Option<&str>) -> Vec<String> {
        let line = [&["ssh", "--known-hosts", "/k"], line].concat();
        let Line { args, cluster } = Line::parse_from(line);
        let login = user.map_or(String::new(), |user| {
            format!(", cloudInitUser: {{name: {user}}}")
        });
        let wukong = serde_saphyr::from_str(&format!(
            "{{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {{name: web, uid: 7a-1}}, \
             spec: {{cpu: 1, memory: 1Gi{login}}}}}"
        ))
        .unwrap();
        let plugin = Path::new("/opt/my tools/kubectl-wukong");
        args.arguments(&cluster, plugin, &wukong, "shop").unwrap()
    }

    #[test]
    fn ssh_connects_through_this_program_and_stores_the_host_key_per_vm() {
        assert_eq!(
            called(&["web"], Some("wukong")),
            [
                "-o",
                "ProxyCommand='/opt/my tools/kubectl-wukong' port-forward --stdio --namespace shop vmi/web 22",
                "-o",
                "HostKeyAlias=web.shop.7a-1",
                "-o",
                "UserKnownHostsFile=\"/k\"",
                "-l",
                "wukong",
                "vmi.web.shop",
            ]
        );
    }

    #[test]
    fn options_of_the_user_win() {
        let called = called(
            &[
                "admin@web",
                "-l",
                "other",
                "-i",
                "id",
                "-p",
                "2222",
                "-o",
                "StrictHostKeyChecking=no",
                "--context",
                "50%",
                "--kubeconfig",
                "a b",
                "--",
                "uname",
                "-a",
            ],
            Some("wukong"),
        );
        assert_eq!(called[..2], ["-o", "StrictHostKeyChecking=no"]);
        assert_eq!(
            called[3],
            "ProxyCommand='/opt/my tools/kubectl-wukong' port-forward --stdio --namespace shop --context '50%%' --kubeconfig 'a b' vmi/web 2222"
        );
        assert_eq!(
            called[8..],
            ["-i", "id", "-l", "admin", "vmi.web.shop", "uname", "-a"]
        );
    }

    #[test]
    fn without_a_user_the_default_of_ssh_applies() {
        assert!(!called(&["web"], None).contains(&"-l".to_owned()));
    }
}
