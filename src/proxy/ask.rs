//! Phase 3: what the caller wants. The body within its bounds, decoded, and one look at it.

use super::{
    Gateway,
    authenticate::Caller,
    bodies::Room,
    client::{BodyError, Client},
    decode::{self, DecodeError},
    endpoint::{Called, Endpoint},
    pass::Passed,
    refusal::Refusal,
    route::Route,
};
use crate::clock;
use aione_core::{
    config::snapshot::Snapshot,
    domain::{clock::Steady, estimate},
    wire::{
        chat::{ChatRequest, Dropped},
        codec::Malformed,
        peek::{self, Memory, Peek, PeekBounds},
        sealed,
        translate::Pair,
    },
};
use bytes::Bytes;
use http::HeaderMap;
use std::sync::{Arc, OnceLock};

/// What is asked, read and bounded; nothing of it is trusted to choose an upstream.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) called: Called,
    /// Where the request is passed on as it is; `None`: it is one of the gateway's own endpoints, and need not carry
    /// this along.
    pub(crate) passed: Option<Box<Passed>>,
    /// The provider that alone can be asked; `None`: any can.
    pub(crate) origin: Option<Arc<str>>,
    /// Decoded; the bytes that the upstream gets, but for the model name.
    pub(crate) body: Bytes,
    pub(crate) peek: Peek,
    /// From the size of the text, and from that of a recording, for admission.
    pub(crate) estimated_input: u64,
    /// Of the text, where it is to be spoken.
    pub(crate) characters: u64,
    /// When the last byte of the request was read: latency counts from here.
    pub(crate) read_at: Steady,
    /// The same in the neutral form, for upstreams of another dialect; read once, by the first of them.
    neutral: OnceLock<Result<Box<(ChatRequest, Dropped)>, Malformed>>,
    /// What the body takes of the process's memory, for as long as it is here.
    room: Room,
}

impl Ask {
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.called.endpoint
    }

    /// Seconds of the recording, by its size; 0: there is none.
    pub(crate) fn seconds(&self) -> u64 {
        self.peek.recording.as_ref().map_or(0, |recording| recording.seconds)
    }

    /// Frees the body, once no upstream will be asked any more.
    pub(crate) fn let_body_go(&mut self) {
        self.body = Bytes::new();
        self.neutral = OnceLock::new();
        self.room.shrink_to(0);
    }

    /// Takes room for a body that may be translated: it is held in the neutral form and in the upstream's
    /// as well.
    pub(crate) fn make_room(&mut self, route: &Route) -> Result<(), Refusal> {
        if !route.may_translate(self.endpoint()) {
            return Ok(());
        }
        self.room.fit(3 * self.body.len()).map_err(|_| Refusal::Overloaded)
    }

    /// The body, and what it says, for an upstream of the caller's own dialect under its name `model`, where it
    /// holds what an upstream of another dialect has signed: without that, which it would refuse. `None`: as it is.
    pub(crate) fn unsealed(&self, model: &str) -> Option<(Bytes, Peek)> {
        let dialect = self.endpoint().dialect();
        if self.peek.recording.is_some() {
            return None;
        }
        let body = sealed::strip(dialect, &self.body, model)?;
        // It was accepted with more in it.
        let peek = peek::peek(dialect, &body, self.called.url(), &peek_bounds(self.endpoint())).ok()?;
        Some((body.into(), peek))
    }

    /// The request in the neutral form, and what that cannot say.
    pub(crate) fn neutral(&self, pair: &Pair) -> Result<&(ChatRequest, Dropped), &Malformed> {
        let decode = || {
            let mut dropped = Dropped::default();
            let request = pair.decode_request(&self.body, self.called.url(), &mut dropped)?;
            Ok(Box::new((request, dropped)))
        };
        self.neutral.get_or_init(decode).as_deref()
    }

    /// Whether the stream's usage chunk is ours alone: the caller did not ask for one.
    pub(crate) fn hides_usage(&self) -> bool {
        self.peek.stream && !self.peek.wants_usage()
    }
}

pub(crate) async fn read(
    gateway: &Gateway,
    client: &mut Client<'_>,
    world: &Snapshot,
    caller: &Caller,
    called: Called,
    mut room: Room,
) -> Result<Ask, Refusal> {
    let bounds = &world.server;
    let mut passed = match called.endpoint {
        Endpoint::Raw(_) => Some(Box::new(Passed::open(world, client)?)),
        _ => None,
    };
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
    let peek = match &mut passed {
        Some(passed) => passed.peek(&body)?,
        None => own_peek(client.headers(), &called, &body)?,
    };
    let origin = match &passed {
        Some(passed) => Some(passed.passage.provider.name.clone()),
        None => origin(gateway, world, caller, &peek).await?,
    };
    let heard = peek.recording.as_ref().map_or(0, |recording| estimate::sound_tokens(recording.seconds));
    let estimated_input = estimate::input_tokens(peek.text_bytes, peek.messages).saturating_add(heard);
    let characters = if called.endpoint.makes_media() { peek::spoken_characters(&body) } else { 0 };
    let neutral = OnceLock::new();
    Ok(Ask {
        called,
        passed,
        origin,
        body,
        peek,
        estimated_input,
        characters,
        read_at: clock::steady(),
        neutral,
        room,
    })
}

/// One look at what the gateway's own endpoints take.
fn own_peek(headers: &HeaderMap, called: &Called, body: &[u8]) -> Result<Peek, Refusal> {
    let endpoint = called.endpoint;
    let peek = if endpoint.hears() {
        peek::peek_form(form_type(headers)?, body)
    } else {
        peek::peek(endpoint.dialect(), body, called.url(), &peek_bounds(endpoint))
    };
    peek.map_err(|error| Refusal::invalid(error.message, error.param))
}

/// The content type of a form, which reaches the upstream as it is: two of them could be read in two ways.
fn form_type(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut all = headers.get_all(http::header::CONTENT_TYPE).into_iter();
    let first = all.next().and_then(|value| value.to_str().ok());
    match all.next() {
        None => Ok(first),
        Some(_) => Err(Refusal::invalid("The request has more than one content type", None)),
    }
}

fn peek_bounds(endpoint: Endpoint) -> PeekBounds {
    PeekBounds { needs_ceiling: !endpoint.counts(), ..PeekBounds::default() }
}

/// The provider that alone can go on from what it keeps; `None`: the request leans on nothing.
async fn origin(
    gateway: &Gateway,
    world: &Snapshot,
    caller: &Caller,
    peek: &Peek,
) -> Result<Option<Arc<str>>, Refusal> {
    let Memory { previous, refers_to_items, .. } = &peek.memory;
    if *refers_to_items {
        let message = "`input` names items that a provider keeps: send the items themselves";
        return Err(Refusal::invalid(message, Some("input")));
    }
    let Some(id) = previous else { return Ok(None) };
    match gateway.origins.of(caller.key.org, id, world.limits.redis_timeout).await {
        Some(provider) => Ok(Some(provider)),
        // The vendor's words, for answers that it has forgotten and those that others got alike.
        None => {
            let message = format!("Previous response with id '{id}' not found.");
            Err(Refusal::invalid(message, Some("previous_response_id")))
        }
    }
}
