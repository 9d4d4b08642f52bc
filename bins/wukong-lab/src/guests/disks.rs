//! The disk images behind claims.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Where the image of the claim with this uid is.
pub fn image(dir: &Path, claim: &str) -> PathBuf {
    dir.join("disks").join(format!("{claim}.qcow2"))
}

/// Makes the image if there is none, empty, and gives it at least this size.
pub async fn provide(image: &Path, bytes: i64) -> Result<()> {
    let size = bytes.to_string();
    if !image.exists() {
        if let Some(dir) = image.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let create = ["create", "-q", "-f", "qcow2"].map(OsStr::new);
        return qemu_img(create.into_iter().chain([image.as_os_str(), size.as_ref()]))
            .await
            .map(drop);
    }
    if size_of(image).await? < bytes {
        let resize = ["resize", "-q", "-f", "qcow2"].map(OsStr::new);
        qemu_img(resize.into_iter().chain([image.as_os_str(), size.as_ref()])).await?;
    }
    Ok(())
}

/// What a guest sees as the size, in bytes.
pub async fn size_of(image: &Path) -> Result<i64> {
    let info = ["info", "--output=json"].map(OsStr::new);
    let output = qemu_img(info.into_iter().chain([image.as_os_str()])).await?;
    let output: Value = serde_json::from_slice(&output)?;
    Ok(output
        .get("virtual-size")
        .and_then(Value::as_i64)
        .unwrap_or_default())
}

/// Copies the image of a claim of so many bytes. QEMU refuses that while a guest writes to it.
pub async fn copy(origin: &Path, bytes: i64, image: &Path) -> Result<()> {
    provide(origin, bytes).await?;
    convert(origin, image).await
}

/// Turns a downloaded file of any format into an image.
pub async fn convert(file: &Path, image: &Path) -> Result<()> {
    let convert = ["convert", "-q", "-O", "qcow2"].map(OsStr::new);
    let paths = [file.as_os_str(), image.as_os_str()];
    qemu_img(convert.into_iter().chain(paths)).await.map(drop)
}

async fn qemu_img(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Vec<u8>> {
    let output = Command::new("qemu-img").args(args).output().await?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}
