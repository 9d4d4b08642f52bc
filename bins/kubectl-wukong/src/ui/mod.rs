//! `ui`: a page with every VM, served by this process on loopback with the rights of the user.

mod activity;
mod app;
mod assets;
mod authority;
mod browser;
mod cluster_view;
mod diagnosis;
mod edit;
mod guard;
mod guest;
mod list;
mod one;
mod power;
mod problem;
mod protection;
mod routes;
mod rows;
mod schema;
mod secrets;
mod session;
mod timeline;
mod viewers;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::SignedDuration;
use tokio::net::TcpListener;

use crate::bundle::Bundle;
use crate::cluster::ClusterArgs;
use crate::exit::Exit;
use crate::guest::terminal;
use crate::manifest::SettingsArgs;
use crate::output;
use app::{App, Source};
use authority::Listening;
use browser::Redirect;
use session::Session;

/// Show the VMs in a browser: why one does not run, its boot, its consoles, and what a change will do.
///
/// The plugin serves the page on this machine, with the permissions of the kubeconfig; nothing is installed in the
/// cluster. The printed URL works once, in one browser. The command ends with Ctrl-C, or some time after the last page
/// was closed or hidden.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong ui
  kubectl wukong ui -A --no-open --port 8080
  kubectl wukong ui --from web-bundle.tar.gz    # without a cluster")]
pub struct Args {
    /// Show the Wukongs of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Port of the page [default: a free one]
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    port: u16,

    /// Address to listen on. On another than loopback, the session crosses the network in the clear
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,

    /// Only print the URL, do not open a browser
    #[arg(long)]
    no_open: bool,

    /// Bundle to show, instead of a cluster
    #[arg(long, value_name = "BUNDLE")]
    from: Option<PathBuf>,

    /// End after this time without a visible page, such as 30m
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    idle: SignedDuration,

    #[command(flatten)]
    settings: SettingsArgs,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let source = match &args.from {
        Some(file) => Source::Bundle(Box::new(Bundle::read(file)?)),
        None => Source::Cluster {
            cluster: cluster.connect().await?,
            all_namespaces: args.all_namespaces,
        },
    };
    let wanted = SocketAddr::new(args.address, args.port);
    let listener = TcpListener::bind(wanted)
        .await
        .with_context(|| format!("cannot listen on {wanted}"))?;
    let listening = Listening(listener.local_addr()?);
    if !args.address.is_loopback() {
        output::note(&format!(
            "warning: {} is not loopback: who can read this network can read the page and use your permissions",
            args.address
        ));
    }
    let (session, token) = Session::new(listening.0.port())?;
    let url = format!("{}#token={}", listening.url(), token.text());
    let app = App::new(
        source,
        args.settings.operator_settings(),
        listening,
        session,
    );
    let app = Arc::new(app);
    output::print(&format!("{url}\n"))?;
    let _redirect = match args.no_open {
        true => None,
        false => Redirect::open(&url),
    };
    serve(args, app, listener).await
}

async fn serve(args: &Args, app: Arc<App>, listener: TcpListener) -> anyhow::Result<Exit> {
    let idle = Duration::try_from(args.idle).unwrap_or_default();
    let server = axum::serve(listener, routes::router(Arc::clone(&app)));
    let rows = async {
        match &app.source {
            Source::Cluster {
                cluster,
                all_namespaces,
            } => list::follow(&app, cluster, *all_namespaces).await,
            Source::Bundle(bundle) => {
                if let Ok(object) = serde_json::to_value(&bundle.wukong)
                    && let Ok(object) = serde_json::from_value(object)
                {
                    app.rows.insert(&object, true);
                }
                app.rows.end();
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = server.into_future() => served?,
        signal = terminal::terminated() => signal?,
        () = rows => {}
        () = app.activity.idle(idle) => {
            output::note("No page was open for some time: the plugin ends.");
        }
    }
    Ok(Exit::Done)
}
