//! `GET /v1/models` and `/v1/models/{id}`: what this caller may call, in the caller's dialect.

use super::{Gateway, authenticate, client::Client, refusal::Refusal, route, trace::Trace};
use aione_core::config::snapshot::{Model, Snapshot};
use bytes::Bytes;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

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
    let plan = snapshot.plan_or_default(&caller.org_plan);
    let visible = |model: &Model| {
        plan.is_some_and(|plan| plan.includes(&model.id))
            && caller.key.allows_model(&model.id)
            && route::may_be_called(snapshot, &caller, model, trace.started_at)
    };
    if let Some(id) = id {
        let model = snapshot.model(id).filter(|model| visible(model));
        let model = model.ok_or_else(|| Refusal::ModelNotFound { model: id.to_owned() })?;
        return Ok(entry(model).to_string().into());
    }
    let data: Vec<_> =
        each_once(snapshot).into_values().filter(|model| visible(model)).map(|model| entry(model)).collect();
    Ok(json!({ "object": "list", "data": data }).to_string().into())
}

/// The map goes by alias too; a list names each model once, in order.
fn each_once(snapshot: &Snapshot) -> BTreeMap<&str, &Arc<Model>> {
    snapshot.models.values().map(|model| (&*model.id, model)).collect()
}

fn entry(model: &Model) -> serde_json::Value {
    let owner = model.route.deployments.first().map_or("", |deployment| &*deployment.provider.name);
    json!({ "id": &*model.id, "object": "model", "created": 0, "owned_by": owner })
}
