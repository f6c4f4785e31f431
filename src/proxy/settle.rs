//! Phase 8: account for it, and let the end go. What the upstream reported is the truth; where
//! it reported nothing, the text is counted, and the record says so.

use super::{
    admit::{Hold, Tally},
    ask::Ask,
    client::Client,
    endpoint::Endpoint,
    relay::{Ending, Tail},
    trace::Trace,
};
use crate::journal::Ticket;
use aione_core::{
    config::snapshot::{Deployment, OnDisconnect},
    domain::{
        price::Class,
        usage::{End, Provenance, Usage},
    },
    wire::{Tongue, tap::Reading},
};
use bytes::Bytes;

/// An exchange that is in the journal, though perhaps not yet down on the disk.
#[must_use]
pub(crate) struct Accounted(Ticket);

pub(crate) fn close(mut hold: Hold, ask: &Ask, trace: &mut Trace) -> Accounted {
    if ask.peek.memory.keeps_answer {
        hold.note_origin();
    }
    let unit = unit(&hold, ask);
    count(&mut hold.tally, ask, unit);
    let (closed, ticket) = hold.close();
    trace.closed(closed);
    Accounted(ticket)
}

/// What an answer is counted in whose upstream told nothing: in pieces where it is sold by them.
#[derive(Clone, Copy)]
enum Unit {
    Images,
    Characters,
    Seconds,
    Tokens,
}

fn unit(hold: &Hold, ask: &Ask) -> Unit {
    let endpoint = ask.endpoint();
    if endpoint == Endpoint::ImagesGenerations {
        Unit::Images
    } else if endpoint == Endpoint::AudioSpeech && hold.sells_by(Class::Character) {
        Unit::Characters
    } else if endpoint.hears() && hold.sells_by(Class::Second) {
        Unit::Seconds
    } else {
        Unit::Tokens
    }
}

/// Decides the usage of an exchange from what the tap has read.
fn count(tally: &mut Tally, ask: &Ask, unit: Unit) {
    let Some(reading) = tally.reading.take() else { return };
    tally.flagged |= reading.flagged;
    let policy = tally.deployment.as_ref().map(|deployment| deployment.provider.on_disconnect);
    let is_told_no_more = tally.end == End::ClientClosed && policy == Some(OnDisconnect::None);
    if let Some(mut usage) = reading.usage {
        // Some upstreams tell their counts as they go: of an answer that was cut, more was written
        // than the last of them knew.
        // Only in chat is there an end of the body that is none of the answer's.
        let has_ended = tally.end == End::Complete && !ask.endpoint().has_stream_options();
        if !reading.complete && !reading.usage_is_final && !has_ended {
            if !is_told_no_more {
                let unseen = reading.estimated_output().saturating_sub(usage.completion_tokens());
                usage.output = usage.output.saturating_add(unseen);
            }
            tally.usage = usage;
            tally.provenance = Provenance::Partial;
            return;
        }
        // Billed as reported and flagged: more than the caller allowed, or than the text could be.
        tally.flagged |= is_inflated(&usage, ask, &reading, tally.deployment.as_deref());
        tally.usage = usage;
        tally.provenance = Provenance::Provider;
        return;
    }
    if tally.end == End::UpstreamError {
        return;
    }
    if is_told_no_more {
        tally.provenance = Provenance::Partial;
        return;
    }
    if ask.passed.as_ref().is_some_and(|passed| !passed.names_model) {
        // Nobody knows what it used, or whether it has tokens at all.
        tally.flagged = true;
        tally.provenance = Provenance::Estimated;
        return;
    }
    tally.usage = match unit {
        // What was made, or what was asked for where that is not known.
        Unit::Images => Usage { images: reading.images().unwrap_or(ask.peek.choices), ..Usage::default() },
        Unit::Characters => Usage { characters: ask.characters, ..Usage::default() },
        Unit::Seconds => Usage { seconds: ask.seconds(), ..Usage::default() },
        Unit::Tokens => {
            let writes = ask.endpoint().generates();
            let output = if writes { reading.estimated_output() } else { 0 };
            Usage { input: ask.estimated_input, output, ..Usage::default() }
        }
    };
    tally.provenance = Provenance::Estimated;
}

/// Tokens beyond which an answer is suspicious whatever its text is: reasoning has no text.
const UNSUSPICIOUS_TOKENS: u64 = 1_000_000;

fn is_inflated(usage: &Usage, ask: &Ask, reading: &Reading, deployment: Option<&Deployment>) -> bool {
    let written = usage.completion_tokens();
    let is_over = |least: u64| {
        ask.peek.ceiling.is_some_and(|each| written > each.max(least).saturating_mul(ask.peek.choices))
    };
    // Another dialect may have been asked for more.
    let tongue =
        || ask.endpoint().tongue_for(deployment?).filter(|it| *it != ask.endpoint().dialect().into());
    let over_ceiling = is_over(0) && is_over(tongue().map_or(0, Tongue::least_ceiling));
    // A token is a byte at least, but for reasoning, which is not shown.
    over_ceiling || (written > UNSUSPICIOUS_TOKENS && written > reading.text().bytes())
}

/// Waits for the journal and writes what was held back.
pub(crate) async fn release(accounted: Accounted, tail: Tail, client: &mut Client<'_>) {
    if tail.ending == Ending::Nobody || client.is_gone() {
        return;
    }
    accounted.0.wait().await;
    if let Some(head) = tail.head
        && client.write_head(head).await.is_err()
    {
        return;
    }
    let joined = match tail.parts.len() {
        0 => Bytes::new(),
        1 => tail.parts.into_iter().next().unwrap_or_default(),
        _ => tail.parts.concat().into(),
    };
    let is_clean = tail.ending == Ending::Clean;
    if client.write_body(joined, is_clean).await.is_ok() && !is_clean {
        client.abort().await;
    }
}
