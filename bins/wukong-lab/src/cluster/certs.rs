//! One certificate authority per lab, and what it signs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// PEM files of a lab.
#[derive(Debug)]
pub(crate) struct Certs {
    /// The authority that clients trust, also for the requests that the API server forwards.
    pub ca: PathBuf,
    pub server: PathBuf,
    pub server_key: PathBuf,
    /// With this, the API server proves to an aggregated API that it forwards for a user.
    pub front_proxy: PathBuf,
    pub front_proxy_key: PathBuf,
    /// Signs service account tokens.
    pub tokens_key: PathBuf,
    /// Verifies them.
    pub tokens_public: PathBuf,
}

/// Common name of the certificate with which requests are forwarded to aggregated APIs.
pub(crate) const FRONT_PROXY: &str = "wukong-lab-front-proxy";

impl Certs {
    /// Makes them in `dir`.
    pub(crate) fn make(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let certs = Self {
            ca: dir.join("ca.crt"),
            server: dir.join("server.crt"),
            server_key: dir.join("server.key"),
            front_proxy: dir.join("front-proxy.crt"),
            front_proxy_key: dir.join("front-proxy.key"),
            tokens_key: dir.join("tokens.key"),
            tokens_public: dir.join("tokens.pub"),
        };
        let issuer = certs.authority()?;
        sign(
            &issuer,
            "kube-apiserver",
            &[
                "127.0.0.1",
                "localhost",
                "kubernetes.default.svc",
                "10.0.0.1",
            ],
            ExtendedKeyUsagePurpose::ServerAuth,
            &certs.server,
            &certs.server_key,
        )?;
        sign(
            &issuer,
            FRONT_PROXY,
            &[],
            ExtendedKeyUsagePurpose::ClientAuth,
            &certs.front_proxy,
            &certs.front_proxy_key,
        )?;
        let tokens = KeyPair::generate()?;
        fs::write(&certs.tokens_key, tokens.serialize_pem())?;
        fs::write(&certs.tokens_public, tokens.public_key_pem())?;
        Ok(certs)
    }

    fn authority(&self) -> Result<Issuer<'static, KeyPair>> {
        let mut params = named("wukong-lab", &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
        ];
        let key = KeyPair::generate()?;
        fs::write(&self.ca, params.self_signed(&key)?.pem())?;
        Ok(Issuer::new(params, key))
    }
}

fn sign(
    issuer: &Issuer<'_, KeyPair>,
    name: &str,
    hosts: &[&str],
    usage: ExtendedKeyUsagePurpose,
    cert_file: &Path,
    key_file: &Path,
) -> Result<()> {
    let mut params = named(name, hosts)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    fs::write(cert_file, params.signed_by(&key, issuer)?.pem())?;
    fs::write(key_file, key.serialize_pem())?;
    Ok(())
}

fn named(name: &str, hosts: &[&str]) -> Result<CertificateParams> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
