//! What a wrapper around a connection passes on unchanged: its end, its id, what is known of it.

/// Implements, for a type whose field `stream` is a Pingora stream, all of Pingora's `IO` but
/// reading, writing and peeking.
macro_rules! pass_on {
    ($type:ty) => {
        #[async_trait::async_trait]
        impl pingora_core::protocols::Shutdown for $type {
            async fn shutdown(&mut self) {
                pingora_core::protocols::Shutdown::shutdown(&mut *self.stream).await;
            }
        }

        impl pingora_core::protocols::UniqueID for $type {
            fn id(&self) -> pingora_core::protocols::UniqueIDType {
                self.stream.id()
            }
        }

        impl pingora_core::protocols::Ssl for $type {
            fn get_ssl_digest(&self) -> Option<Arc<pingora_core::protocols::tls::SslDigest>> {
                self.stream.get_ssl_digest()
            }

            fn selected_alpn_proto(&self) -> Option<pingora_core::protocols::ALPN> {
                self.stream.selected_alpn_proto()
            }
        }

        impl pingora_core::protocols::GetTimingDigest for $type {
            fn get_timing_digest(&self) -> Vec<Option<pingora_core::protocols::TimingDigest>> {
                self.stream.get_timing_digest()
            }
        }

        impl pingora_core::protocols::GetProxyDigest for $type {
            fn get_proxy_digest(&self) -> Option<Arc<pingora_core::protocols::raw_connect::ProxyDigest>> {
                self.stream.get_proxy_digest()
            }
        }

        impl pingora_core::protocols::GetSocketDigest for $type {
            fn get_socket_digest(&self) -> Option<Arc<pingora_core::protocols::SocketDigest>> {
                self.stream.get_socket_digest()
            }
        }
    };
}

pub(crate) use pass_on;
