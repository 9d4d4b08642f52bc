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
