//! The HTTPS server behind which webhooks and subresources sit, with an authority of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;

/// The names under which the API server asks.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "virt-api.kubevirt.svc"];

/// A bound socket and what it will show.
pub struct Server {
    listener: TcpListener,
    tls: ServerConfig,
    pub port: u16,
    /// PEM of the authority that signed the server's certificate.
    pub authority: String,
}

impl Server {
    /// Binds a free port of the loopback interface.
    pub fn bind() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "wukong-lab simulator");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let authority = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);

        let mut params = CertificateParams::new(NAMES.map(str::to_owned).to_vec())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .context("binding the simulator's server")?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            port: listener.local_addr()?.port(),
            listener,
            tls,
            authority: authority.pem(),
        })
    }

    /// Serves until the process ends.
    pub async fn serve(self, router: Router) -> Result<()> {
        let tls = RustlsConfig::from_config(Arc::new(self.tls));
        axum_server::from_tcp_rustls(self.listener, tls)?
            .serve(router.into_make_service())
            .await
            .context("serving webhooks")
    }
}
