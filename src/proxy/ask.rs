//! Phase 3: what the caller wants. The body within its bounds, decoded, and one look at it.

use super::{
    bodies::Room,
    client::{BodyError, Client},
    decode::{self, DecodeError},
    refusal::Refusal,
    route::Route,
};
use crate::clock;
use aione_core::{
    config::snapshot::{Deployment, Snapshot},
    domain::{clock::Steady, estimate},
    wire::{
        Dialect, Tongue,
        chat::{ChatRequest, Dropped},
        codec::{Malformed, UrlSays},
        peek::{self, Peek, PeekBounds},
        translate::Pair,
    },
};
use bytes::Bytes;
use std::sync::OnceLock;

/// An endpoint whose traffic is metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
}

impl Endpoint {
    /// The path behind a provider's `base_url`.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
        }
    }

    pub(crate) fn dialect(self) -> Dialect {
        Dialect::OpenAiChat
    }

    /// What `deployment` is asked in: the caller's own dialect where it speaks that, and something else for a
    /// chat, which can be translated. `None`: it cannot be asked.
    pub(crate) fn tongue_for(self, deployment: &Deployment) -> Option<Tongue> {
        deployment.tongue_for(self.dialect(), self == Self::ChatCompletions)
    }

    /// What a model that states its capabilities must name among them.
    pub(crate) fn capability(self) -> Option<&'static str> {
        match self {
            Self::ChatCompletions => Some("chat"),
            Self::Completions => None,
            Self::Embeddings => Some("embeddings"),
        }
    }

    /// Whether an answer has output tokens that a ceiling can bound.
    pub(crate) fn generates(self) -> bool {
        self != Self::Embeddings
    }
}

/// What is asked, read and bounded; nothing of it is trusted to choose an upstream.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) endpoint: Endpoint,
    /// Decoded; the bytes that the upstream gets, but for the model name.
    pub(crate) body: Bytes,
    pub(crate) peek: Peek,
    /// From the size of the text, for admission.
    pub(crate) estimated_input: u64,
    /// When the last byte of the request was read: latency counts from here.
    pub(crate) read_at: Steady,
    /// The same in the neutral form, for upstreams of another dialect; read once, by the first of them.
    neutral: OnceLock<Result<(ChatRequest, Dropped), Malformed>>,
    /// What the body takes of the process's memory, for as long as it is here.
    room: Room,
}

impl Ask {
    /// Frees the body, once no upstream will be asked any more.
    pub(crate) fn let_body_go(&mut self) {
        self.body = Bytes::new();
        self.neutral = OnceLock::new();
        self.room.shrink_to(0);
    }

    /// Takes room for a body that may be translated: it is held in the neutral form and in the upstream's
    /// as well.
    pub(crate) fn make_room(&mut self, route: &Route) -> Result<(), Refusal> {
        if !route.may_translate(self.endpoint) {
            return Ok(());
        }
        self.room.fit(3 * self.body.len()).map_err(|_| Refusal::Overloaded)
    }

    /// The request in the neutral form, and what that cannot say.
    pub(crate) fn neutral(&self, pair: &Pair) -> Result<&(ChatRequest, Dropped), &Malformed> {
        let decode = || {
            let mut dropped = Dropped::default();
            let request = pair.decode_request(&self.body, UrlSays::default(), &mut dropped)?;
            Ok((request, dropped))
        };
        self.neutral.get_or_init(decode).as_ref()
    }

    /// Whether the stream's usage chunk is ours alone: the caller did not ask for one.
    pub(crate) fn hides_usage(&self) -> bool {
        self.peek.stream && !self.peek.wants_usage()
    }
}

pub(crate) async fn read(
    client: &mut Client<'_>,
    world: &Snapshot,
    endpoint: Endpoint,
    mut room: Room,
) -> Result<Ask, Refusal> {
    let bounds = &world.server;
    let encodings = decode::encodings(client.headers()).map_err(|_| Refusal::UnsupportedEncoding)?;
    let too_large = || Refusal::TooLarge { max_bytes: bounds.max_body };
    let raw =
        client.read_body(bounds.max_body, bounds.body_timeout, &mut room).await.map_err(
            |error| match error {
                BodyError::TooLarge => too_large(),
                BodyError::NoRoom => Refusal::Overloaded,
                BodyError::Late => Refusal::RequestTimeout,
                BodyError::Broken => {
                    Refusal::invalid("The request's body is broken off or badly framed", None)
                }
            },
        )?;
    let max = bounds.max_body;
    // Undoing an encoding takes milliseconds: other streams of this thread must not wait for it.
    let decoded = if encodings.is_empty() {
        Ok(raw)
    } else {
        // What comes out is not known before: few are decoded at a time, each within its bound.
        let _turn = room.decoding(bounds.body_timeout).await.map_err(|_| Refusal::Overloaded)?;
        let work = tokio::task::spawn_blocking(move || decode::decode(raw, &encodings, max));
        work.await.unwrap_or(Err(DecodeError::Broken))
    };
    let body = decoded.map_err(|error| match error {
        DecodeError::TooLarge => too_large(),
        DecodeError::Broken => Refusal::invalid("The body is not what its content encoding says", None),
    })?;
    room.fit(body.len()).map_err(|_| Refusal::Overloaded)?;
    room.shrink_to(body.len());
    let peek = peek::peek(endpoint.dialect(), &body, UrlSays::default(), &PeekBounds::default())
        .map_err(|error| Refusal::invalid(error.message, error.param))?;
    let estimated_input = estimate::input_tokens(peek.text_bytes, peek.messages);
    let neutral = OnceLock::new();
    Ok(Ask { endpoint, body, peek, estimated_input, read_at: clock::steady(), neutral, room })
}
