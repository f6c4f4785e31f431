//! The listener's certificate: loaded from PEM, kept when a newer one cannot be read.

use aione_core::config::snapshot::TlsFiles;
use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::sync::Arc;

/// The certificate of every listener; replaced as a whole.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: TlsFiles,
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    pub(crate) fn load(files: &TlsFiles) -> anyhow::Result<Arc<Self>> {
        let current = read(files)?;
        Ok(Arc::new(Self { files: files.clone(), current: ArcSwap::from_pointee(current) }))
    }

    /// Reads the files again. Where they cannot be read or do not belong together, the present
    /// certificate stays, and the log says why.
    pub(crate) fn reload(&self) {
        match read(&self.files) {
            Ok(pair) => self.current.store(Arc::new(pair)),
            Err(error) => tracing::error!(error = %format!("{error:#}"), "the former certificate stays"),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(files: &TlsFiles) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificate {}", files.cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("cannot read the key {}", files.key.display()))?;
    let pair = CertifiedKey::new(chain, any_supported_type(&key).context("the key is of no known kind")?);
    pair.keys_match().context("the certificate and the key do not belong together")?;
    Ok(pair)
}
