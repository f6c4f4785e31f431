//! The built-in provider as an upstream: core's script of parts, paced by the runtime's clock.

use super::{
    answer::{Answer, Body, Fault},
    attempt, foreign,
    request::Outgoing,
};
use crate::{
    clock,
    proxy::{ask::Ask, bodies::Room, endpoint::Endpoint},
};
use aione_core::{
    config::snapshot::Deployment,
    provider::simulated::{self, Script},
};
use bytes::Bytes;
use pingora_http::ResponseHeader;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The parts that are still to come.
pub(crate) struct Simulated {
    parts: simulated::Parts,
    /// The part whose time has not come yet, and when that is.
    next: Option<(simulated::Part, Instant)>,
    aborts: bool,
}

impl Simulated {
    pub(super) async fn answer(
        deployment: &Deployment,
        ask: &Ask,
        request: &Outgoing<'_>,
        room: Room,
    ) -> Result<Answer, Fault> {
        let script = script(deployment, request);
        if script.wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(script.wait_ms)).await;
        }
        let mut head = ResponseHeader::build_no_case(script.status, Some(8)).map_err(|_| Fault::Broken)?;
        for (name, value) in script.headers {
            if name == "content-length" {
                // Framing is ours.
                continue;
            }
            head.insert_header(name, value).map_err(|_| Fault::Broken)?;
        }
        let (head, tap) = match &request.translation {
            None => {
                let tap = attempt::tap_for(&head, ask);
                (head, tap)
            }
            Some(translation) => foreign::begin(&head, translation, ask.peek.stream, room)?,
        };
        let body = Body::Simulated(Self { parts: script.parts, next: None, aborts: script.abort });
        let mut answer = Answer::new(Box::new(head), body, tap);
        attempt::read_ahead(&mut answer).await?;
        Ok(answer)
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.next.is_none() {
            self.next = self.parts.next().map(|part| {
                let due = Instant::now() + Duration::from_millis(part.wait_ms);
                (part, due)
            });
        }
        let Some((part, due)) = &self.next else {
            return if self.aborts { Err(Fault::Broken) } else { Ok(None) };
        };
        if part.wait_ms > 0 {
            // The part stays here until its time has come: this may be dropped half-way.
            sleep_until(*due).await;
        }
        Ok(self.next.take().map(|(part, _)| part.bytes))
    }
}

/// What the provider does with the body that another upstream would get.
fn script(deployment: &Deployment, request: &Outgoing<'_>) -> Script {
    let (body, directive) = (request.body.concat(), request.directive.as_deref());
    let now = clock::now().0 / 1000;
    let content_type = request.content_type.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let asked = Asked { method: request.method.as_str(), path: &request.path, content_type };
    let endpoint = endpoint(request.endpoint, &deployment.model, asked);
    simulated::answer(endpoint, &body, directive, rand::random(), now)
}

/// A count of the built-in provider's own, as status and body: what its dialect's vendor counts is close to
/// it.
pub(crate) fn estimate(ask: &Ask) -> (u16, Bytes) {
    let endpoint = endpoint(ask.endpoint(), &ask.peek.model, Asked::default());
    let script = simulated::answer(endpoint, &ask.body, None, 0, 0);
    let parts: Vec<_> = script.parts.map(|part| part.bytes).collect();
    (script.status, parts.concat().into())
}

/// What of a request is not in its body.
#[derive(Default)]
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    content_type: &'a str,
}

/// An upstream's endpoint as the provider knows it.
fn endpoint<'a>(endpoint: Endpoint, model: &'a str, asked: Asked<'a>) -> simulated::Endpoint<'a> {
    match endpoint {
        Endpoint::ChatCompletions => simulated::Endpoint::Chat,
        Endpoint::Completions => simulated::Endpoint::Completion,
        Endpoint::Embeddings => simulated::Endpoint::Embedding,
        Endpoint::ImagesGenerations => simulated::Endpoint::Images,
        Endpoint::AudioSpeech => simulated::Endpoint::Speech,
        Endpoint::AudioTranscriptions => {
            simulated::Endpoint::Transcription { content_type: asked.content_type }
        }
        Endpoint::AudioTranslations => simulated::Endpoint::Translation { content_type: asked.content_type },
        Endpoint::Moderations => simulated::Endpoint::Moderation,
        Endpoint::Rerank => simulated::Endpoint::Rerank,
        Endpoint::Responses => simulated::Endpoint::Responses,
        Endpoint::Messages => simulated::Endpoint::Messages,
        Endpoint::MessagesCountTokens => simulated::Endpoint::MessagesCountTokens,
        Endpoint::GenerateContent(manner) => simulated::Endpoint::GenerateContent { model, manner },
        Endpoint::CountTokens => simulated::Endpoint::CountTokens { model },
        Endpoint::EmbedContent => simulated::Endpoint::EmbedContent,
        Endpoint::BatchEmbedContents => simulated::Endpoint::BatchEmbedContents,
        Endpoint::Raw(_) => simulated::Endpoint::Raw { method: asked.method, path: asked.path },
    }
}
