//! What every write has in common: its body, who acts, the answer that a repetition of it gets, its
//! row in the trail; and that it is done to its end also when the caller has hung up.

use crate::{
    Admin, Peer,
    author::{Author, Deed},
    detach,
    error::Refusal,
    json,
    repetition::{Repetition, replayed},
    validate::Fields,
};
use aione_core::{
    domain::{
        audit::Actor,
        id::{KeyId, OrgId},
    },
    ports::{Change, Changed, StoreError, Trail},
};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{net::IpAddr, sync::Arc};

/// Who acts and for which organization, left in the request by the extractor that allowed it.
#[derive(Clone)]
pub(crate) struct Acting {
    /// `None`: an operator, before the path has named one.
    pub(crate) org: Option<OrgId>,
    pub(crate) actor: Actor,
}

/// The rest of a write's request, once somebody was allowed to make it. The last extractor.
pub(crate) struct Write {
    acting: Acting,
    address: Option<IpAddr>,
    body: Bytes,
    repetition: Option<Repetition>,
}

/// Why there is nothing left to do.
pub(crate) enum Done {
    Refused(Refusal),
    /// It was done before: the answer of then.
    Replayed(Response),
}

impl FromRequest<Admin> for Write {
    type Rejection = Done;

    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Done> {
        let (parts, body) = request.into_parts();
        let acting = parts.extensions.get::<Acting>().cloned().ok_or(Refusal::Internal)?;
        let address = parts.extensions.get::<Peer>().map(|peer| peer.0);
        let body = json::read(body).await?;
        let repetition = Repetition::of(&parts, &acting, &body)?;
        if let Some(answer) = answered(admin, repetition.as_ref()).await? {
            return Err(Done::Replayed(answer));
        }
        Ok(Self { acting, address, body, repetition })
    }
}

impl Write {
    /// The fields of a body that must be an object.
    pub(crate) fn fields(&self) -> Result<Fields, Refusal> {
        json::fields(&self.body)
    }

    /// As [`Self::fields`], for a body that may be left out, or be `null`: then there are none.
    pub(crate) fn optional_fields(&self) -> Result<Fields, Refusal> {
        json::optional_fields(&self.body)
    }

    /// Refuses a body that says anything.
    pub(crate) fn says_nothing(&self) -> Result<(), Refusal> {
        self.optional_fields()?.finish()
    }

    /// Makes `change`, with its row in the trail and the answer for its repetitions; `None`: what was
    /// to be changed is not there. `answer` is what `status` comes with; it is asked more than once
    /// and must say the same each time.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn make<T: Serialize>(
        self,
        admin: &Admin,
        org: OrgId,
        action: &'static str,
        change: Change,
        status: StatusCode,
        answer: impl Fn(&Changed) -> Option<T> + Send + Sync + 'static,
    ) -> Result<Option<Response>, Refusal> {
        let now = admin.surroundings.now();
        let rendered = Arc::new(move |changed: &Changed| body_of(answer(changed)));
        let to_keep = match &self.repetition {
            Some(repetition) => Some(repetition.keeper(admin, now)?),
            None => None,
        };
        let author = Author::of(admin, self.acting.actor, self.address, Some(org));
        let render = rendered.clone();
        let sign = Box::new(move |changed: &Changed| {
            let answer = to_keep.map(|keep| keep(status, &render(changed)));
            Trail { audit: author.row_of(action, changed), answer }
        });
        let announced = Announced::of(&change, org);
        let (changes, fleet) = (admin.changes.clone(), admin.fleet.clone());
        let made = detach::to_the_end(async move {
            let outcome = changes.make(change, sign).await;
            // Also what failed is announced: a store that does not answer may have done it.
            let may_be_done = !matches!(outcome, Ok(None) | Err(StoreError::Conflict(_)));
            match announced {
                _ if !may_be_done => {}
                Announced::Key(org, id) => fleet.key_changed(org, id).await,
                Announced::Tenant(org) => fleet.tenant_changed(org).await,
                Announced::Funds(org) => fleet.funds_changed(org).await,
                Announced::Nothing => {}
            }
            outcome
        })
        .await?;
        match made {
            Ok(Some(changed)) => Ok(Some(respond(status, rendered(&changed)))),
            // Two of the same at once: the other one was first.
            Ok(None) => answered(admin, self.repetition.as_ref()).await,
            Err(error @ StoreError::Conflict(_)) => {
                answered(admin, self.repetition.as_ref()).await?.ok_or(Refusal::Store(error)).map(Some)
            }
            Err(error) => Err(Refusal::Store(error)),
        }
    }

    /// The answer to a write whose object is not there: that of the same request, where it was done
    /// since this one came in; else `refusal`.
    pub(crate) async fn answered_or(self, admin: &Admin, refusal: Refusal) -> Result<Response, Refusal> {
        answered(admin, self.repetition.as_ref()).await?.ok_or(refusal)
    }

    /// Leaves a row in the trail for what changed something other than the store's own rows, and keeps
    /// `answer` for repetitions. It is done by then, also where the store is away: the log tells of it
    /// then, and a repetition does it again.
    /// To be awaited where a caller's leaving breaks nothing off.
    pub(crate) async fn note(
        self,
        admin: &Admin,
        deed: Deed,
        answer: impl Serialize,
    ) -> Result<Response, Refusal> {
        let (status, body) = (StatusCode::OK, body_of(Some(answer)));
        let action = deed.action;
        let author = Author::of(admin, self.acting.actor, self.address, self.acting.org);
        let kept = match &self.repetition {
            Some(repetition) => Some(repetition.keeper(admin, author.now)?(status, &body)),
            None => None,
        };
        let mut trail = Trail { audit: author.row(deed), answer: kept };
        let mut noted = admin.changes.note(&trail).await;
        // Two of the same at once: both have done it, and the answer is that of the first.
        let is_second = trail.answer.is_some() && matches!(noted, Err(StoreError::Conflict(_)));
        if is_second {
            trail.answer = None;
            noted = admin.changes.note(&trail).await;
        }
        if let Err(error) = noted {
            tracing::error!(%error, entry = ?trail.audit, "the trail misses a row: {action}");
        }
        let own = respond(status, body);
        if !is_second {
            return Ok(own);
        }
        Ok(answered(admin, self.repetition.as_ref()).await?.unwrap_or(own))
    }
}

/// The answer that is kept now for repetitions of a request.
async fn answered(admin: &Admin, repetition: Option<&Repetition>) -> Result<Option<Response>, Refusal> {
    let Some(repetition) = repetition else { return Ok(None) };
    match admin.changes.find_answer(&repetition.scope, admin.surroundings.now()).await? {
        Some(kept) => replayed(admin, repetition, kept).map(Some),
        None => Ok(None),
    }
}

/// What caches must let go of.
enum Announced {
    Key(OrgId, KeyId),
    /// Whatever stands below it.
    Tenant(OrgId),
    /// An organization's balance.
    Funds(OrgId),
    Nothing,
}

impl Announced {
    fn of(change: &Change, org: OrgId) -> Self {
        match change {
            Change::InsertKey { key, .. } => Self::Key(org, key.id),
            Change::UpdateKey { id, .. }
            | Change::DisableKey { id, .. }
            | Change::RotateKey { id, .. }
            | Change::DeleteKey { id, .. } => Self::Key(org, *id),
            Change::UpdateOrg { .. } | Change::UpdateTeam { .. } => Self::Tenant(org),
            Change::Enter(_)
            | Change::IssueInvoice { .. }
            | Change::PayInvoice { .. }
            | Change::VoidInvoice { .. }
            | Change::CreditInvoice { .. } => Self::Funds(org),
            Change::InsertOrg { .. }
            | Change::InsertTeam(_)
            | Change::DeleteTeam { .. }
            | Change::InsertToken { .. }
            | Change::DeleteToken { .. }
            | Change::CloseMonth { .. } => Self::Nothing,
        }
    }
}

fn body_of(answer: Option<impl Serialize>) -> Vec<u8> {
    let body =
        answer.map(|answer| serde_json::to_vec(&answer).expect("an answer is made of strings and numbers"));
    body.unwrap_or_default()
}

/// An answer of JSON, or of nothing.
pub(crate) fn respond(status: StatusCode, body: Vec<u8>) -> Response {
    if body.is_empty() {
        return status.into_response();
    }
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response()
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Replayed(answer) => answer,
        }
    }
}

impl<E: Into<Refusal>> From<E> for Done {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}
