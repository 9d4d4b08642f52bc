//! `restart` and `migrate`: calls of KubeVirt, because neither is a state that the spec can hold.

use anyhow::bail;

use super::{ActionArgs, Goal};
use crate::cluster::ClusterArgs;
use crate::exit::Exit;
use crate::kubevirt;
use crate::subresource::{self, On, Outcome};

/// Restarts the guest.
pub async fn restart(args: &ActionArgs, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    cluster.wukong(&args.name).await?;
    let before = kubevirt::instance(&cluster, &args.name).await?;
    let Some(before) = before else {
        bail!(
            "{} does not run; start it: kubectl wukong start {}",
            args.name,
            args.name
        )
    };
    match subresource::call(&cluster, On::Machine, &args.name, "restart").await? {
        Outcome::Accepted => {
            args.finish(
                &cluster,
                Goal::OtherInstance { than: before.uid },
                "restart requested",
            )
            .await
        }
        Outcome::Conflict(why) => bail!("KubeVirt cannot restart {}: {why}", args.name),
    }
}

/// Migrates the running guest to another node.
pub async fn migrate(args: &ActionArgs, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    cluster.wukong(&args.name).await?;
    let Some(before) = kubevirt::instance(&cluster, &args.name).await? else {
        bail!("{} does not run: only a running VM can migrate", args.name)
    };
    let goal = Goal::Migrated {
        from: before.node.unwrap_or_default(),
        earlier: before.migration.map(|migration| migration.uid),
    };
    match subresource::call(&cluster, On::Machine, &args.name, "migrate").await? {
        Outcome::Accepted => args.finish(&cluster, goal, "migration requested").await,
        Outcome::Conflict(why) => bail!("KubeVirt cannot migrate {}: {why}", args.name),
    }
}
