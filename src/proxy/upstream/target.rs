//! Where a provider is reached: its addresses, kept fresh in the background, and the peers
//! that connections are pooled under.

use super::{idle::IdleConnections, tokens::Tokens};
use crate::clock;
use aione_core::config::snapshot::{BaseUrl, Http2, Provider};
use arc_swap::ArcSwapOption;
use dashmap::{DashMap, Entry};
use pingora_core::{
    protocols::{ALPN, tls::CaType},
    upstreams::peer::HttpPeer,
    utils::tls::{WrappedX509, parse_x509},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How often names are looked up again. The system's resolver does not tell a record's TTL.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_secs(30);
/// How long a look-up that a request waits for may take.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// Addresses of one name that are kept.
const ADDRESSES_MAX: usize = 16;
/// Streams on one upstream HTTP/2 connection.
const H2_STREAMS_MAX: usize = 100;
/// How long an idle upstream connection is kept.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(55);

/// All targets of the process, by what tells one from another.
#[derive(Default)]
pub(crate) struct Targets {
    all: DashMap<TargetKey, Arc<Target>>,
    /// What is let in there by a token.
    pub(crate) tokens: Tokens,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct TargetKey {
    base: BaseUrl,
    http2: u8,
    /// The content of its `ca_file`, so that a new one under the same name is another target.
    authorities: Option<Vec<u8>>,
    connect: Duration,
}

/// One host and port under one way of connecting.
pub(crate) struct Target {
    base: BaseUrl,
    /// `host` header: the port only where it is not the scheme's own.
    pub(crate) authority: String,
    http2: Http2,
    connect: Duration,
    /// The authorities to trust instead of the system's.
    authorities: Option<Arc<CaType>>,
    /// Tells pools of different trust apart.
    trust: u64,
    peers: ArcSwapOption<Vec<HttpPeer>>,
    /// Connections that wait for the next request, where only HTTP/1 is spoken.
    pub(super) idle: IdleConnections,
    /// The address that is asked: it changes when one cannot be connected to.
    preferred: AtomicUsize,
}

/// A name could not be resolved.
#[derive(Debug)]
pub(crate) struct Unresolved;

impl Targets {
    pub(crate) fn get(&self, base: &BaseUrl, provider: &Provider) -> Arc<Target> {
        let key = TargetKey {
            base: base.clone(),
            http2: provider.http2 as u8,
            // What cannot be read trusts nobody, as what holds no certificate does.
            authorities: provider.ca_file.as_deref().map(|path| std::fs::read(path).unwrap_or_default()),
            connect: provider.timeouts.connect,
        };
        let made = |key: &TargetKey| Arc::new(Target::new(base, provider, key.authorities.as_deref()));
        match self.all.entry(key) {
            Entry::Occupied(there) => there.get().clone(),
            Entry::Vacant(vacant) => {
                let target = made(vacant.key());
                vacant.insert(target).clone()
            }
        }
    }

    /// Looks every name up again and sweeps up after idle connections, for as long as the process
    /// lives.
    pub(crate) async fn refresh(self: Arc<Self>) {
        let mut tick = tokio::time::interval(REFRESH_EVERY);
        loop {
            tick.tick().await;
            self.all.retain(|_, target| Arc::strong_count(target) > 1);
            let targets: Vec<_> = self.all.iter().map(|entry| entry.value().clone()).collect();
            for target in targets {
                target.idle.sweep(clock::steady());
                // A failure keeps the addresses that worked.
                let _ = target.resolve().await;
            }
        }
    }
}

impl Target {
    fn new(base: &BaseUrl, provider: &Provider, authorities: Option<&[u8]>) -> Self {
        let host = if base.host.contains(':') { format!("[{}]", base.host) } else { base.host.clone() };
        let own_port = if base.tls { 443 } else { 80 };
        let authority = if base.port == own_port { host } else { format!("{host}:{}", base.port) };
        let target = Self {
            base: base.clone(),
            authority,
            http2: provider.http2,
            connect: provider.timeouts.connect,
            trust: trust(authorities),
            authorities: authorities.map(read_authorities),
            peers: ArcSwapOption::empty(),
            idle: IdleConnections::default(),
            preferred: AtomicUsize::new(0),
        };
        if let Ok(address) = base.host.parse() {
            target.keep(vec![SocketAddr::new(address, base.port)]);
        }
        target
    }

    /// One that is known at these addresses.
    #[cfg(test)]
    pub(super) fn at(addresses: &[SocketAddr]) -> Self {
        let target = Self {
            base: BaseUrl { tls: false, host: "name.test".into(), port: 80, path: "".into() },
            authority: "name.test".into(),
            http2: Http2::Never,
            connect: LOOKUP_MAX,
            authorities: None,
            trust: 0,
            peers: ArcSwapOption::empty(),
            idle: IdleConnections::default(),
            preferred: AtomicUsize::new(0),
        };
        target.keep(addresses.to_vec());
        target
    }

    pub(crate) fn path(&self) -> &str {
        &self.base.path
    }

    /// The whole address of a path here, as it is signed.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.base.tls { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.authority, self.base.path)
    }

    /// Whether HTTP/2 is never spoken here.
    pub(crate) fn speaks_http1_alone(&self) -> bool {
        self.http2 == Http2::Never || (self.http2 == Http2::Auto && !self.base.tls)
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.base.tls
    }

    /// The peer that is asked now; looks the name up where that has not been done.
    pub(crate) async fn peer(&self) -> Result<HttpPeerRef, Unresolved> {
        let peers = match self.peers.load_full() {
            Some(peers) => peers,
            None => {
                Box::pin(self.resolve()).await?;
                self.peers.load_full().ok_or(Unresolved)?
            }
        };
        let index = self.preferred.load(Ordering::Relaxed) % peers.len();
        Ok(HttpPeerRef { peers, index })
    }

    /// The peer after one that cannot be connected to; later requests begin there.
    pub(super) fn give_up(&self, peer: HttpPeerRef) -> HttpPeerRef {
        let index = (peer.index + 1) % peer.peers.len();
        self.preferred.store(index, Ordering::Relaxed);
        HttpPeerRef { peers: peer.peers, index }
    }

    async fn resolve(&self) -> Result<(), Unresolved> {
        if self.base.host.parse::<std::net::IpAddr>().is_ok() {
            return Ok(());
        }
        let lookup = tokio::net::lookup_host((self.base.host.as_str(), self.base.port));
        let found = tokio::time::timeout(LOOKUP_MAX, lookup).await.map_err(|_| Unresolved)?;
        let mut addresses: Vec<SocketAddr> = found.map_err(|_| Unresolved)?.take(ADDRESSES_MAX).collect();
        if addresses.is_empty() {
            return Err(Unresolved);
        }
        addresses.sort_by_key(|address| (address.is_ipv6(), *address));
        addresses.dedup();
        self.keep(addresses);
        Ok(())
    }

    fn keep(&self, addresses: Vec<SocketAddr>) {
        let peers = addresses.into_iter().map(|address| self.new_peer(address)).collect();
        self.peers.store(Some(Arc::new(peers)));
    }

    fn new_peer(&self, address: SocketAddr) -> HttpPeer {
        // The name to verify is never empty: an empty one would switch verification off.
        let mut peer = HttpPeer::new(address, self.base.tls, self.base.host.clone());
        let options = &mut peer.options;
        options.connection_timeout = Some(self.connect);
        options.total_connection_timeout = Some(self.connect);
        options.idle_timeout = Some(IDLE_MAX);
        options.max_h2_streams = H2_STREAMS_MAX;
        options.alpn = match (self.http2, self.base.tls) {
            (Http2::Always, _) => ALPN::H2,
            (Http2::Auto, true) => ALPN::H2H1,
            (Http2::Auto, false) | (Http2::Never, _) => ALPN::H1,
        };
        options.ca = self.authorities.clone();
        // Pingora pools by address and name: a connection that one provider's authorities vouch
        // for must not serve another provider, which trusts others.
        peer.group_key = self.trust;
        peer
    }
}

fn trust(authorities: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    authorities.hash(&mut hasher);
    hasher.finish()
}

/// The certificates in a PEM file. What cannot be read is left out: an empty list trusts
/// nobody, and every connection is refused.
fn read_authorities(pem: &[u8]) -> Arc<CaType> {
    let mut known = rustls::RootCertStore::empty();
    CertificateDer::pem_slice_iter(pem)
        .flatten()
        .filter(|certificate| known.add(certificate.clone()).is_ok())
        .map(|certificate| WrappedX509::new(certificate.to_vec(), parse_x509))
        .collect()
}

/// One of a target's peers, kept alive while it is in use.
pub(crate) struct HttpPeerRef {
    peers: Arc<Vec<HttpPeer>>,
    index: usize,
}

impl HttpPeerRef {
    pub(super) fn address(&self) -> SocketAddr {
        *self._address.as_inet().expect("peers are made of internet addresses")
    }

    /// How many addresses there are.
    pub(super) fn siblings(&self) -> usize {
        self.peers.len()
    }
}

impl std::ops::Deref for HttpPeerRef {
    type Target = HttpPeer;
    fn deref(&self) -> &HttpPeer {
        &self.peers[self.index]
    }
}
