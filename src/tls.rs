//! The listeners' certificate: loaded from PEM, replaced as a whole by a reload.

use crate::config::Commit;
use aione_core::config::snapshot::{Snapshot, TlsFiles};
use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{path::Path, sync::Arc};

/// The certificate of every listener.
#[derive(Debug)]
pub(crate) struct Certificates(ArcSwap<CertifiedKey>);

impl Certificates {
    pub(crate) fn load(files: &TlsFiles) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(read(&files.cert, &files.key)?))))
    }

    /// Reads what `snapshot` names; the present certificate is served until it is committed.
    ///
    /// # Errors
    /// A file cannot be read any more, or the two do not belong together.
    pub(crate) fn prepare(self: &Arc<Self>, snapshot: &Snapshot) -> Result<Commit, String> {
        let Some(files) = &snapshot.server.tls else { return Ok(Box::new(|| {})) };
        let pair = read(&files.cert, &files.key).map_err(|error| format!("{error:#}"))?;
        let certificates = self.clone();
        Ok(Box::new(move || certificates.0.store(Arc::new(pair))))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// A certificate chain with its key.
///
/// # Errors
/// One of them cannot be read, or they do not belong together.
pub(crate) fn read(cert: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificate {}", cert.display()))?;
    let signing = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the key {}", key.display()))?;
    let signing = any_supported_type(&signing).context("the key is of no known kind")?;
    let pair = CertifiedKey::new(chain, signing);
    match pair.end_entity_cert().and_then(|_| pair.keys_match()) {
        Ok(()) => Ok(pair),
        Err(error @ rustls::Error::InconsistentKeys(_)) => {
            Err(error).context("the certificate and the key do not belong together")
        }
        Err(error) => {
            Err(error).with_context(|| format!("the certificate {} cannot be used", cert.display()))
        }
    }
}
