//! Tokens that are only counted: no exchange is opened for it, since nothing is generated and nothing costs.
//! The limits take it for a request of no tokens.

use super::{
    Gateway, admit,
    ask::{self, Ask},
    authenticate,
    client::Client,
    endpoint::Called,
    refusal::Refusal,
    reply, route,
    trace::Trace,
    upstream::{self, Counted},
};
use crate::clock;
use aione_core::domain::money::Pico;
use http::header;
use pingora_http::ResponseHeader;
use std::sync::Arc;

/// Says that no upstream counted, but we did.
const ESTIMATED_HEADER: &str = "x-aione-estimated";

pub(super) async fn run(
    gateway: &Arc<Gateway>,
    client: &mut Client<'_>,
    called: Called,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let world = gateway.world();
    let caller = authenticate::caller(gateway, &world.snapshot, client, trace).await?;
    trace.caller(&caller);
    let ask = ask::read(client, &world.snapshot, called, gateway.bodies.room()).await?;
    let route = route::resolve(&world, &caller, &ask, trace)?;
    let grant = admit::reserve_count(gateway, &world, &caller, &route, &ask, trace.id).await?;
    let Ok(counted) = upstream::count(gateway, &world, &route, &ask, client, trace.id).await else {
        return Ok(());
    };
    let (head, body) = counted.map_or_else(|| estimated(&ask), Ok)?;
    let view = grant.view();
    grant.settle(0, Some(Pico::ZERO), clock::steady());
    reply::whole(client, head, body, &view, trace).await;
    Ok(())
}

/// What the provider that is built in counts, in the caller's dialect.
fn estimated(ask: &Ask) -> Result<Counted, Refusal> {
    let (status, body) = upstream::estimate(ask);
    let mut head = ResponseHeader::build_no_case(status, Some(8)).map_err(|_| Refusal::Internal)?;
    head.insert_header(header::CONTENT_TYPE, "application/json").map_err(|_| Refusal::Internal)?;
    if head.status.is_success() {
        head.insert_header(ESTIMATED_HEADER, "input_tokens").map_err(|_| Refusal::Internal)?;
    }
    Ok((Box::new(head), body))
}
