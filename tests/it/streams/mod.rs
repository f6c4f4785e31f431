//! Streams: the bytes are the upstream's, the usage is the truth, and a cut is never a clean end.

mod bytes;
mod failing;
mod usage;

use crate::support::{
    client::{Answer, Call, Version},
    gateway::{Gateway, TestGateway},
    records::Record,
    upstream::{Script, Upstream},
};

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|gateway| gateway).await
    }

    async fn with(change: impl FnOnce(TestGateway) -> TestGateway) -> Self {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new()
            .upstream("up", &upstream)
            .model("m", &["up"])
            .set("/models/m/route/attempts", 1);
        let gateway = change(gateway).start().await;
        let key = gateway.key().await;
        Self { gateway, upstream, key }
    }

    /// One streamed exchange that `script` answers.
    async fn play(&self, script: Script) -> Answer {
        self.upstream.next(script);
        self.gateway.send_over(Version::H1, &Call::stream(&self.key, "m")).await
    }

    /// The same, with its record.
    async fn play_recorded(&self, script: Script) -> (Answer, Record) {
        let answer = self.play(script).await;
        let record = self.gateway.record(&answer.request_id()).await;
        (answer, record)
    }
}
