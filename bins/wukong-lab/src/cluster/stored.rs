//! What etcd holds.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::json;

/// The answer of etcd's JSON gateway to a range request.
#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: String,
}

/// The header of each answer of etcd.
#[derive(Deserialize)]
struct Answer {
    header: Header,
}

#[derive(Deserialize)]
struct Header {
    /// The gateway writes numbers of 64 bits as strings.
    revision: String,
}

/// Removes all revisions before the present one.
pub(crate) async fn compact(etcd: &str) -> Result<()> {
    let client = Client::try_from(Config::new(etcd.parse()?))?;
    let any = json!({"key": STANDARD.encode([0]), "limit": "1"});
    let request = http::Request::post("/v3/kv/range").body(serde_json::to_vec(&any)?)?;
    let answer: Answer = serde_json::from_str(&client.request_text(request).await?)?;
    let revision = json!({"revision": answer.header.revision, "physical": true});
    let request = http::Request::post("/v3/kv/compaction").body(serde_json::to_vec(&revision)?)?;
    client
        .request_text(request)
        .await
        .context("compacting etcd")?;
    Ok(())
}

/// Every key with its value, as the API server stored them.
pub(crate) async fn everything(etcd: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let client = Client::try_from(Config::new(etcd.parse()?))?;
    // A range from the zero byte to the zero byte is everything.
    let all = json!({"key": STANDARD.encode([0]), "range_end": STANDARD.encode([0])});
    let request = http::Request::post("/v3/kv/range").body(serde_json::to_vec(&all)?)?;
    let answer = client.request_text(request).await.context("asking etcd")?;
    let range: Range = serde_json::from_str(&answer)?;
    let decoded = range.kvs.iter().map(|pair| {
        let key = String::from_utf8(STANDARD.decode(&pair.key)?)?;
        Ok((key, STANDARD.decode(&pair.value)?))
    });
    decoded.collect()
}
