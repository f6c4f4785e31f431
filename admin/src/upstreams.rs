//! The deployments of this node, and taking one out. For operators.

use crate::{Admin, auth::Operator, author::Deed, detach, error::Refusal, write::Write};
use aione_core::{config::standing::Condition, domain::audit::Object, ports::Upstream};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

type DeploymentPath = Result<Path<String>, PathRejection>;

#[derive(Serialize, ToSchema)]
pub(crate) struct UpstreamList {
    items: Vec<UpstreamResponse>,
}

/// A deployment as it is on the node that answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct UpstreamResponse {
    /// `provider/model`.
    id: String,
    provider: String,
    /// The provider's own name of the model.
    model: String,
    /// The models that are served by it, by their public names.
    serves: Vec<String>,
    /// `serving`, or `resting` after failures.
    health: &'static str,
    /// Milliseconds until it is asked again; `null`: it does not rest.
    #[schema(required = true)]
    rests_for_ms: Option<u64>,
    /// An operator took it out: it gets no new requests from this node until it is let in again. A
    /// reload leaves that as it is; a restart ends it.
    drained: bool,
    /// Requests that it has been given and not answered to the end.
    in_flight: u64,
    /// From asking it to the beginning of its answer, over about the last eight answers; `null`: it
    /// has not answered yet.
    #[schema(required = true)]
    first_byte_ms: Option<u64>,
}

/// List the deployments and how they do on this node.
#[utoipa::path(
    get, path = "/upstreams", tag = "Upstreams", operation_id = "listUpstreams",
    responses((status = 200, body = UpstreamList, description = "By id"), Refusal),
)]
pub(crate) async fn list(State(admin): State<Admin>, _: Operator) -> Json<UpstreamList> {
    Json(UpstreamList { items: admin.upstreams.list().into_iter().map(UpstreamResponse::of).collect() })
}

/// Take a deployment out: this node sends it no new requests.
#[utoipa::path(
    put, path = "/upstreams/{deployment}/drain", tag = "Upstreams", operation_id = "drainUpstream",
    params(("deployment" = String, Path, description = "Its id, the slash as `%2F`")),
    responses((status = 200, body = UpstreamResponse), Refusal),
)]
pub(crate) async fn drain(
    State(admin): State<Admin>,
    _: Operator,
    path: DeploymentPath,
    write: Write,
) -> Result<Response, Refusal> {
    set_drained(admin, path, true, write).await
}

/// Let a deployment in again.
#[utoipa::path(
    put, path = "/upstreams/{deployment}/undrain", tag = "Upstreams", operation_id = "undrainUpstream",
    params(("deployment" = String, Path, description = "Its id, the slash as `%2F`")),
    responses((status = 200, body = UpstreamResponse), Refusal),
)]
pub(crate) async fn undrain(
    State(admin): State<Admin>,
    _: Operator,
    path: DeploymentPath,
    write: Write,
) -> Result<Response, Refusal> {
    set_drained(admin, path, false, write).await
}

async fn set_drained(
    admin: Admin,
    path: DeploymentPath,
    drained: bool,
    write: Write,
) -> Result<Response, Refusal> {
    let Path(deployment) = path.map_err(|_| Refusal::NoSuchPath)?;
    write.says_nothing()?;
    let upstream =
        admin.upstreams.set_drained(&deployment, drained).ok_or(Refusal::NotFound("Deployment"))?;
    let deed = Deed {
        action: if drained { "deployment.drain" } else { "deployment.undrain" },
        object: Object::Deployment,
        object_id: upstream.id.to_string(),
        before: None,
        after: Some(json!({ "drained": drained })),
    };
    let answer = UpstreamResponse::of(upstream);
    detach::to_the_end(async move { write.note(&admin, deed, answer).await }).await?
}

impl UpstreamResponse {
    fn of(upstream: Upstream) -> Self {
        let condition = upstream.condition;
        Self {
            id: upstream.id.to_string(),
            provider: upstream.provider.to_string(),
            model: upstream.model.to_string(),
            serves: upstream.serves.iter().map(ToString::to_string).collect(),
            health: health(condition),
            rests_for_ms: condition.rests_for_ms,
            drained: condition.drained,
            in_flight: upstream.in_flight,
            first_byte_ms: upstream.first_byte_ms,
        }
    }
}

/// Apart from what an operator did.
pub(crate) fn health(condition: Condition) -> &'static str {
    if condition.rests_for_ms.is_some() { "resting" } else { "serving" }
}
