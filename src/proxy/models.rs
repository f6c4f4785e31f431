//! The models that this caller may call, in the shape of the vendor that the caller takes us for.

use super::{
    Gateway, authenticate,
    client::Client,
    endpoint::{self, parameter},
    refusal::Refusal,
    trace::Trace,
};
use aione_core::{
    config::{
        offer::Offer,
        snapshot::{Model, Snapshot},
    },
    domain::clock::Timestamp,
    ports::KeyInContext,
    wire::Dialect,
};
use bytes::Bytes;
use serde_json::{Value, json};

/// Models on one page, where pages are asked for.
const PAGE_MAX: usize = 1000;
/// Models on a page of an unsaid size: <https://platform.claude.com/docs/en/api/models-list>
const PAGE_OF_ANTHROPIC: usize = 20;
/// <https://ai.google.dev/api/models#method:-models.list>
const PAGE_OF_GEMINI: usize = 50;

/// The list, or with `id` one entry. Other methods and plans never show more than a call would
/// be allowed.
pub(super) async fn list(
    gateway: &Gateway,
    client: &Client<'_>,
    id: Option<&str>,
    trace: &mut Trace,
) -> Result<Bytes, Refusal> {
    let world = gateway.world();
    let caller = authenticate::caller(gateway, &world.snapshot, client, trace).await?;
    trace.caller(&caller);
    let shop = Shop::of(&world.snapshot, &caller, caller.plan_at(trace.started_at), trace.started_at);
    let dialect = endpoint::dialect_of(client);
    let shown = match id {
        Some(id) => entry(dialect, shop.model(id)?),
        None => page(dialect, &shop.models(), client.head().uri.query())?,
    };
    Ok(shown.to_string().into())
}

/// What a key can buy.
struct Shop<'a> {
    snapshot: &'a Snapshot,
    caller: &'a KeyInContext,
    offer: Option<Offer<'a>>,
}

impl<'a> Shop<'a> {
    fn of(snapshot: &'a Snapshot, caller: &'a KeyInContext, plan: &'a str, at: Timestamp) -> Self {
        Self { snapshot, caller, offer: Offer::of(snapshot, plan, at) }
    }

    fn shows(&self, model: &Model) -> bool {
        self.offer.is_some_and(|offer| offer.objection(&self.caller.key, model).is_none())
    }

    fn model(&self, id: &str) -> Result<&'a Model, Refusal> {
        let model = self.snapshot.model(id).filter(|model| self.shows(model));
        model.map(|model| &**model).ok_or_else(|| Refusal::ModelNotFound { model: id.to_owned() })
    }

    fn models(&self) -> Vec<&'a Model> {
        let sold = self.offer.into_iter().flat_map(Offer::models).map(|model| &**model);
        sold.filter(|model| self.shows(model)).collect()
    }
}

fn page(dialect: Dialect, models: &[&Model], query: Option<&str>) -> Result<Value, Refusal> {
    let entries =
        |models: &[&Model]| -> Vec<_> { models.iter().map(|model| entry(dialect, model)).collect() };
    let place = |param: &'static str| -> Result<Option<usize>, Refusal> {
        let Some(id) = parameter(query, param).filter(|id| !id.is_empty()) else { return Ok(None) };
        let found = models.iter().position(|model| *model.id == *id);
        let unknown = || Refusal::invalid(format!("`{param}` names no model"), Some(param));
        found.map(Some).ok_or_else(unknown)
    };
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            Ok(json!({ "object": "list", "data": entries(models) }))
        }
        Dialect::AnthropicMessages => {
            let size = size(query, "limit", PAGE_OF_ANTHROPIC)?;
            let (from, to) = match (place("after_id")?, place("before_id")?) {
                (Some(after), _) => (after + 1, (after + 1).saturating_add(size)),
                (None, Some(before)) => (before.saturating_sub(size), before),
                (None, None) => (0, size),
            };
            let shown = &models[from..to.min(models.len())];
            let is_backwards =
                parameter(query, "before_id").is_some() && parameter(query, "after_id").is_none();
            let has_more = if is_backwards { from > 0 } else { to < models.len() };
            Ok(json!({
                "data": entries(shown),
                "first_id": shown.first().map(|model| &*model.id),
                "last_id": shown.last().map(|model| &*model.id),
                "has_more": has_more,
            }))
        }
        Dialect::Gemini => {
            let size = size(query, "pageSize", PAGE_OF_GEMINI)?;
            // The token is the last model that was shown.
            let from = place("pageToken")?.map_or(0, |last| last + 1);
            let to = from.saturating_add(size).min(models.len());
            let mut page = json!({ "models": entries(&models[from..to]) });
            if to < models.len() {
                page["nextPageToken"] = json!(&*models[to - 1].id);
            }
            Ok(page)
        }
    }
}

fn size(query: Option<&str>, param: &'static str, default: usize) -> Result<usize, Refusal> {
    let Some(text) = parameter(query, param) else { return Ok(default) };
    match text.parse() {
        // Google's has this for the default.
        Ok(0) if param == "pageSize" => Ok(default),
        Ok(size @ 1..) => Ok(PAGE_MAX.min(size)),
        _ => Err(Refusal::invalid(format!("`{param}` must be from 1 to {PAGE_MAX}"), Some(param))),
    }
}

fn entry(dialect: Dialect, model: &Model) -> Value {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            json!({ "id": &*model.id, "object": "model", "created": 0, "owned_by": model.owner() })
        }
        // Nobody knows when it was made: the vendor says the epoch then.
        Dialect::AnthropicMessages => json!({
            "type": "model",
            "id": &*model.id,
            "display_name": model.display_name,
            "created_at": "1970-01-01T00:00:00Z",
        }),
        Dialect::Gemini => gemini_entry(model),
    }
}

fn gemini_entry(model: &Model) -> Value {
    let can = |capability: &str| {
        model.capabilities.as_ref().is_none_or(|stated| stated.iter().any(|one| one == capability))
    };
    let mut methods = Vec::new();
    if can("chat") {
        methods.extend(["generateContent", "streamGenerateContent", "countTokens"]);
    }
    if can("embeddings") {
        methods.extend(["embedContent", "batchEmbedContents"]);
    }
    let mut entry = json!({
        "name": format!("models/{}", model.id),
        "version": "",
        "displayName": model.display_name,
        "supportedGenerationMethods": methods,
    });
    if let Some(window) = model.context_window {
        entry["inputTokenLimit"] = json!(window);
    }
    if let Some(most) = model.max_output_tokens {
        entry["outputTokenLimit"] = json!(most);
    }
    entry
}
