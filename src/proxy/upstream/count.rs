//! Asking an upstream how many tokens a request has: one try, of which nothing is learnt about health.

use super::{attempt, request::Outgoing};
use crate::{
    clock,
    proxy::{
        Gateway,
        ask::Ask,
        client::{Client, Gone},
        route::Route,
        world::World,
    },
};
use aione_core::{config::snapshot::Deployment, domain::id::RecordId};
use bytes::Bytes;
use pingora_http::ResponseHeader;
use std::sync::{Arc, atomic::AtomicBool};

/// What a count is answered with.
pub(crate) type Counted = (Box<ResponseHeader>, Bytes);

/// Asks the first deployment that speaks the caller's dialect. `None`: there is none, or it did not say.
pub(crate) async fn count(
    gateway: &Arc<Gateway>,
    world: &World,
    route: &Route,
    ask: &Ask,
    client: &mut Client<'_>,
    id: RecordId,
) -> Result<Option<Counted>, Gone> {
    let own = Some(ask.endpoint().dialect().into());
    let speaks = |deployment: &&Arc<Deployment>| ask.endpoint().tongue_for(deployment) == own;
    let Some(deployment) = route.candidates.iter().find(speaks) else { return Ok(None) };
    let running = world.running(deployment);
    let sent = AtomicBool::new(false);
    let trusted = &world.snapshot.server.trusted_proxies;
    let Ok(request) = Outgoing::new(deployment, running, ask, client, trusted, &sent, id) else {
        return Ok(None);
    };
    let asked = attempt::attempt(gateway, deployment, running, ask, request, None, clock::steady());
    let answer = tokio::select! {
        biased;
        () = client.left() => return Err(Gone),
        () = gateway.cut() => return Ok(None),
        answer = asked => answer,
    };
    let Ok(answer) = answer else { return Ok(None) };
    let answer = match answer.fault() {
        None => answer,
        // Only what it thinks of the request is the caller's to know.
        Some(fault) if answer.head.status == 400 => answer.with_status_of(fault),
        Some(_) => return Ok(None),
    };
    // It is a number: what is not read by now is no count.
    Ok(answer.is_read().then(|| (answer.head, answer.pending.concat().into())))
}
