//! `GET /v1/models` and `/v1/models/{id}`: what this caller may call, in the caller's dialect.

use super::{Gateway, authenticate, client::Client, refusal::Refusal, trace::Trace};
use aione_core::config::{offer::Offer, snapshot::Model};
use bytes::Bytes;
use serde_json::json;

/// The list, or with `id` one entry. Other methods and plans never show more than a call would
/// be allowed.
pub(super) async fn list(
    gateway: &Gateway,
    client: &Client<'_>,
    id: Option<&str>,
    trace: &mut Trace,
) -> Result<Bytes, Refusal> {
    let world = gateway.world();
    let snapshot = &world.snapshot;
    let caller = authenticate::caller(gateway, snapshot, client, trace).await?;
    trace.caller(&caller);
    let offer = Offer::of(snapshot, caller.plan_at(trace.started_at), trace.started_at);
    let visible = |model: &Model| offer.is_some_and(|offer| offer.objection(&caller.key, model).is_none());
    if let Some(id) = id {
        let model = snapshot.model(id).filter(|model| visible(model));
        let model = model.ok_or_else(|| Refusal::ModelNotFound { model: id.to_owned() })?;
        return Ok(entry(model).to_string().into());
    }
    let sold = offer.into_iter().flat_map(Offer::models);
    let data: Vec<_> = sold.filter(|model| visible(model)).map(|model| entry(model)).collect();
    Ok(json!({ "object": "list", "data": data }).to_string().into())
}

fn entry(model: &Model) -> serde_json::Value {
    json!({ "id": &*model.id, "object": "model", "created": 0, "owned_by": model.owner() })
}
