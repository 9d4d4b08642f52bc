//! The control plane's programs: taken from `KUBEBUILDER_ASSETS`, from the cache, or built with Go on first use.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::progress::{Progress, Task};

const KUBERNETES: &str = "v1.36.3";
const ETCD: &str = "3.6.16";
/// Prefix of the directories in which a build works.
const WORK: &str = ".build-";

/// Where the programs of a control plane are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
    /// kube-controller-manager; archives for `KUBEBUILDER_ASSETS` usually lack it.
    pub kube_controller_manager: Option<PathBuf>,
    /// kubectl.
    pub kubectl: PathBuf,
}

/// A Go module with a program to build, embedded so that the lab works in any directory.
struct Module {
    name: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    tools: &'static str,
}

static ETCD_MODULE: Module = Module {
    name: "etcd",
    go_mod: include_str!("../control-plane/etcd/go.mod"),
    go_sum: include_str!("../control-plane/etcd/go.sum"),
    tools: include_str!("../control-plane/etcd/tools.go"),
};

static KUBERNETES_MODULE: Module = Module {
    name: "kubernetes",
    go_mod: include_str!("../control-plane/kubernetes/go.mod"),
    go_sum: include_str!("../control-plane/kubernetes/go.sum"),
    tools: include_str!("../control-plane/kubernetes/tools.go"),
};

struct Program {
    name: &'static str,
    package: &'static str,
    module: &'static Module,
    /// What a person waits for, told from two cores with cold caches.
    about: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program {
        name: "etcd",
        package: "go.etcd.io/etcd/server/v3",
        module: &ETCD_MODULE,
        about: "about a minute",
    },
    Program {
        name: "kube-apiserver",
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        module: &KUBERNETES_MODULE,
        about: "about 6 minutes, the longest",
    },
    Program {
        name: "kube-controller-manager",
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        module: &KUBERNETES_MODULE,
        about: "about a minute",
    },
    Program {
        name: "kubectl",
        package: "k8s.io/kubernetes/cmd/kubectl",
        module: &KUBERNETES_MODULE,
        about: "about half a minute",
    },
];

impl Binaries {
    /// Finds the programs, building them when this machine has none yet.
    ///
    /// Errors when there is neither `KUBEBUILDER_ASSETS` nor a Go toolchain, or when a build fails.
    pub async fn locate(progress: &Progress) -> Result<Self> {
        if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") {
            return Self::from_assets(Path::new(&assets));
        }
        let cache = cache_dir()?.join("control-plane");
        let built = cache.join(format!("{KUBERNETES}+etcd-{ETCD}"));
        if !built.exists() {
            build(&cache, &built, progress).await?;
        }
        Ok(Self::in_dir(&built))
    }

    fn from_assets(dir: &Path) -> Result<Self> {
        let mut found = Self::in_dir(dir);
        for program in [&found.etcd, &found.kube_apiserver, &found.kubectl] {
            if !program.exists() {
                bail!(
                    "KUBEBUILDER_ASSETS is set, but there is no {}",
                    program.display()
                );
            }
        }
        found.kube_controller_manager = found
            .kube_controller_manager
            .filter(|program| program.exists());
        Ok(found)
    }

    fn in_dir(dir: &Path) -> Self {
        Self {
            etcd: dir.join("etcd"),
            kube_apiserver: dir.join("kube-apiserver"),
            kube_controller_manager: Some(dir.join("kube-controller-manager")),
            kubectl: dir.join("kubectl"),
        }
    }
}

/// `$WUKONG_LAB_CACHE`, `$XDG_CACHE_HOME/wukong-lab`, or `~/.cache/wukong-lab`.
fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("WUKONG_LAB_CACHE") {
        return Ok(dir.into());
    }
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) => dir.into(),
        None => std::env::home_dir()
            .context("no home directory: set WUKONG_LAB_CACHE")?
            .join(".cache"),
    };
    Ok(base.join("wukong-lab"))
}

/// Builds all programs into `built`, once per machine: whoever comes second waits for the first.
async fn build(cache: &Path, built: &Path, progress: &Progress) -> Result<()> {
    fs::create_dir_all(cache)?;
    let _lock = lock(&cache.join("lock"), progress).await?;
    if built.exists() {
        return Ok(());
    }
    require_go().await?;
    remove_abandoned(cache)?;
    progress.say(format!(
        "First use on this machine: building Kubernetes {KUBERNETES} and etcd {ETCD} with Go, once. \
         Two cores take 6 to 10 minutes; it needs no container engine."
    ));
    let work = tempfile::Builder::new().prefix(WORK).tempdir_in(cache)?;
    let bin = work.path().join("bin");
    for (step, program) in (1..).zip(&PROGRAMS) {
        let sources = work.path().join(program.module.name);
        write_module(program.module, &sources)?;
        let label = format!("[{step} of {}] {}", PROGRAMS.len(), program.name);
        let task = progress.task(format!("{label} ({})", program.about));
        build_program(program, &sources, &bin, &task).await?;
        task.done(label);
    }
    fs::rename(&bin, built).with_context(|| format!("moving the programs to {}", built.display()))
}

/// What a build left that was killed; nobody else builds while this one holds the lock.
fn remove_abandoned(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(WORK) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

async fn lock(path: &Path, progress: &Progress) -> Result<File> {
    let file = File::create(path)?;
    let mut waiting = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                waiting
                    .get_or_insert_with(|| progress.task("Waiting for another lab"))
                    .detail("it is building the control plane");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(TryLockError::Error(error)) => return Err(error).context("locking the cache"),
        }
    }
}

async fn require_go() -> Result<()> {
    let go = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    if go.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bail!(
        "the lab needs a Kubernetes control plane, and there is none on this machine yet. Two ways out:\n  \
         - install Go 1.26 or newer: the lab then builds etcd {ETCD} and Kubernetes {KUBERNETES} itself, once; or\n  \
         - set KUBEBUILDER_ASSETS to a directory that has etcd, kube-apiserver and kubectl \
         (and kube-controller-manager, for garbage collection)"
    )
}

fn write_module(module: &Module, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("go.mod"), module.go_mod)?;
    fs::write(dir.join("go.sum"), module.go_sum)?;
    fs::write(dir.join("tools.go"), module.tools)?;
    Ok(())
}

async fn build_program(program: &Program, sources: &Path, bin: &Path, task: &Task) -> Result<()> {
    let mut packages = 0;
    run(
        go(sources).args(["list", "-deps", program.package]),
        |line, from_stdout| {
            if from_stdout {
                packages += 1;
            } else {
                task.detail(line);
            }
        },
    )
    .await?;
    task.of(packages);
    let minor = KUBERNETES.split('.').nth(1).unwrap_or_default();
    let version = "k8s.io/component-base/version";
    let mut build = go(sources);
    build
        .args(["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags"])
        .arg(format!("-s -w -X {version}.gitVersion={KUBERNETES} -X {version}.gitMajor=1 -X {version}.gitMinor={minor}"))
        .arg("-o")
        .arg(bin.join(program.name))
        .arg(program.package);
    // With -v, the compiler names each package that the build cache did not have.
    run(&mut build, |_, _| task.advance()).await
}

fn go(sources: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(sources)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .kill_on_drop(true);
    go
}

/// Runs a command, hands out its lines, and fails with the last of what it said on standard error.
async fn run(command: &mut Command, mut on_line: impl FnMut(&str, bool)) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
    let mut err = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
    let mut said = Vec::new();
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        tokio::select! {
            line = out.next_line(), if out_open => match line? {
                Some(line) => on_line(&line, true),
                None => out_open = false,
            },
            line = err.next_line(), if err_open => match line? {
                Some(line) => {
                    on_line(&line, false);
                    said.push(line);
                }
                None => err_open = false,
            },
        }
    }
    if child.wait().await?.success() {
        return Ok(());
    }
    let last = said.split_off(said.len().saturating_sub(15)).join("\n");
    bail!("`{:?}` failed:\n{last}", command.as_std())
}
