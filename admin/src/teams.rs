//! Teams of an organization: made and changed by an operator.

use crate::{
    Admin,
    auth::{self, Operator},
    error::Refusal,
    keys::DEFAULT_TEAM,
    orgs::{in_path, take_amount, take_limits},
    page::PageNumber,
    validate::{Fields, checks},
    write::Write,
};
use aione_core::{
    domain::{
        id::{OrgId, TeamId},
        money::Pico,
        plan::RateLimits,
    },
    ports::{Change, Changed, Organization, Row, Team, TenantChange},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What a 404 says it did not find.
const TEAM: &str = "Team";
/// Characters of a name.
const NAME_MAX: usize = 128;
const NAME_TAKEN: &str = "The name is another team's of this organization";
/// Teams on one page at most, and by default.
const TEAMS_PAGE_MAX: u64 = 1000;

type InPath = Result<Path<(String, String)>, PathRejection>;

/// A body of `POST /orgs/{org}/teams`.
#[derive(ToSchema)]
#[schema(as = TeamCreateRequest)]
#[expect(dead_code, reason = "it documents the fields, which are taken one by one")]
pub(crate) struct NewTeam {
    /// Unlike any other team's of the organization.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    #[schema(minimum = 1)]
    rpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    tpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    rpd_limit: Option<u64>,
    #[schema(minimum = 1)]
    max_concurrency: Option<u64>,
    /// What may be spent in a month of the organization's time zone, a decimal amount. `null`: no bound of its
    /// own.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", example = "500.00")]
    monthly_budget_rmb: Option<String>,
}

/// A body of `PUT` on a team. Absent: unchanged; a limit of `null`: none of its own.
#[derive(ToSchema)]
#[schema(as = TeamUpdateRequest)]
#[expect(dead_code, reason = "it documents the fields, which are taken one by one")]
pub(crate) struct TeamUpdate {
    #[schema(min_length = 1, max_length = 128, nullable = false)]
    name: Option<String>,
    #[schema(minimum = 1)]
    rpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    tpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    rpd_limit: Option<u64>,
    #[schema(minimum = 1)]
    max_concurrency: Option<u64>,
    /// What may be spent in a month of the organization's time zone, a decimal amount. `null`: no bound of its
    /// own.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", example = "500.00")]
    monthly_budget_rmb: Option<String>,
}

/// A team.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeamResponse {
    #[schema(value_type = uuid::Uuid)]
    id: TeamId,
    #[schema(value_type = uuid::Uuid)]
    org_id: OrgId,
    name: String,
    #[schema(required = true)]
    rpm_limit: Option<u64>,
    #[schema(required = true)]
    tpm_limit: Option<u64>,
    #[schema(required = true)]
    rpd_limit: Option<u64>,
    #[schema(required = true)]
    max_concurrency: Option<u64>,
    #[schema(required = true)]
    monthly_budget_rmb: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TeamList {
    items: Vec<TeamResponse>,
}

/// List an organization's teams, the oldest first.
#[utoipa::path(
    get, path = "/orgs/{org}/teams", tag = "Organizations", operation_id = "listTeams",
    params(
        ("org" = String, Path, description = "Id or slug"),
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000, description = "From 1"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 1_000, description = "1 to 1000, which is the default"),
    ),
    responses((status = 200, body = TeamList, description = "`x-next-page` where more follow"), Refusal),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<(HeaderMap, Json<TeamList>), Refusal> {
    let mut query = Fields::of_query(&uri, &[]);
    let page = PageNumber::take(&mut query, TEAMS_PAGE_MAX);
    query.finish_ignoring_others()?;
    let org = in_path(&admin, path).await?;
    let mut teams = admin.keys.list_teams(org.id, page.rows()).await?;
    let headers = page.cut(&mut teams);
    Ok((headers, Json(TeamList { items: teams.iter().map(TeamResponse::of).collect() })))
}

/// Make a team.
#[utoipa::path(
    post, path = "/orgs/{org}/teams", tag = "Organizations", operation_id = "createTeam", request_body = NewTeam,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = TeamResponse), Refusal),
)]
pub(crate) async fn create(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
    write: Write,
) -> Result<Response, Refusal> {
    let org = in_path(&admin, path).await?;
    let mut fields = write.fields()?;
    let name = fields.required("name", checks::text(1, NAME_MAX));
    let limits = take_limits(&mut fields);
    let monthly_budget = take_amount(&mut fields, "monthly_budget_rmb").flatten();
    fields.finish()?;

    let now = admin.surroundings.now();
    let mut entropy = [0; 10];
    admin.surroundings.entropy(&mut entropy);
    let team = Team {
        id: TeamId::new(now, entropy),
        org: org.id,
        name: name.expect("its absence is a problem"),
        limits: limits.applied_to(RateLimits::default()),
        monthly_budget,
        created_at: now,
    };
    let change = Change::InsertTeam(team);
    let made = write.make(&admin, org.id, "team.create", change, StatusCode::CREATED, answer).await;
    let made = made.map_err(|refusal| refusal.or_conflict(NAME_TAKEN))?;
    made.ok_or(Refusal::NotFound(TEAM))
}

/// Show a team.
#[utoipa::path(
    get, path = "/orgs/{org}/teams/{team_id}", tag = "Organizations", operation_id = "getTeam",
    params(("org" = String, Path, description = "Id or slug"), ("team_id" = uuid::Uuid, Path)),
    responses((status = 200, body = TeamResponse), Refusal),
)]
pub(crate) async fn get(
    State(admin): State<Admin>,
    _: Operator,
    path: InPath,
) -> Result<Json<TeamResponse>, Refusal> {
    let (_, team) = found(&admin, path).await?;
    Ok(Json(TeamResponse::of(&team)))
}

/// Change a team. Absent: unchanged; a limit of `null`: none of its own. The team `default` keeps its name.
#[utoipa::path(
    put, path = "/orgs/{org}/teams/{team_id}", tag = "Organizations", operation_id = "updateTeam",
    params(("org" = String, Path, description = "Id or slug"), ("team_id" = uuid::Uuid, Path)),
    request_body = TeamUpdate, responses((status = 200, body = TeamResponse), Refusal),
)]
pub(crate) async fn update(
    State(admin): State<Admin>,
    _: Operator,
    path: InPath,
    write: Write,
) -> Result<Response, Refusal> {
    let (org, team) = found(&admin, path).await?;
    let mut fields = write.fields()?;
    let change = TenantChange {
        name: fields.given("name", checks::text(1, NAME_MAX)),
        limits: take_limits(&mut fields),
        monthly_budget: take_amount(&mut fields, "monthly_budget_rmb"),
        ..TenantChange::default()
    };
    fields.finish()?;
    if team.name == DEFAULT_TEAM && change.name.as_ref().is_some_and(|name| name != DEFAULT_TEAM) {
        return Err(Refusal::Conflict("The team `default` keeps its name: keys that name no team are its"));
    }
    let change = Change::UpdateTeam { org: org.id, id: team.id, change };
    let changed = write.make(&admin, org.id, "team.update", change, StatusCode::OK, answer).await;
    let changed = changed.map_err(|refusal| refusal.or_conflict(NAME_TAKEN))?;
    changed.ok_or(Refusal::NotFound(TEAM))
}

/// Delete a team that has no keys. Its usage stays.
#[utoipa::path(
    delete, path = "/orgs/{org}/teams/{team_id}", tag = "Organizations", operation_id = "deleteTeam",
    params(("org" = String, Path, description = "Id or slug"), ("team_id" = uuid::Uuid, Path)),
    responses((status = 204), Refusal),
)]
pub(crate) async fn delete(
    State(admin): State<Admin>,
    _: Operator,
    path: InPath,
    write: Write,
) -> Result<Response, Refusal> {
    write.says_nothing()?;
    let (org, team) = match found(&admin, path).await {
        // Two of the same at once: the other one may have deleted it.
        Err(gone @ Refusal::NotFound(TEAM)) => return write.answered_or(&admin, gone).await,
        found => found?,
    };
    if team.name == DEFAULT_TEAM {
        return Err(Refusal::Conflict("The team `default` stays: keys that name no team are its"));
    }
    let change = Change::DeleteTeam { org: org.id, id: team.id, at: admin.surroundings.now() };
    let nothing = |_: &Changed| None::<TeamResponse>;
    let deleted = write.make(&admin, org.id, "team.delete", change, StatusCode::NO_CONTENT, nothing).await;
    let deleted = deleted.map_err(|refusal| refusal.or_conflict("The team has keys"))?;
    deleted.ok_or(Refusal::NotFound(TEAM))
}

/// The organization and the team of a path.
async fn found(admin: &Admin, path: InPath) -> Result<(Organization, Team), Refusal> {
    let Path((org, team)) = path.map_err(|_| Refusal::NoSuchPath)?;
    let id = checks::in_path("team_id", team)?;
    let org = auth::find_organization(admin, &org).await?;
    let team = admin.keys.get_team(org.id, id).await?.ok_or(Refusal::NotFound(TEAM))?;
    Ok((org, team))
}

fn answer(changed: &Changed) -> Option<TeamResponse> {
    match changed.row() {
        Row::Team(team) => Some(TeamResponse::of(team)),
        _ => None,
    }
}

impl TeamResponse {
    pub(crate) fn of(team: &Team) -> Self {
        Self {
            id: team.id,
            org_id: team.org,
            name: team.name.clone(),
            rpm_limit: team.limits.rpm,
            tpm_limit: team.limits.tpm,
            rpd_limit: team.limits.rpd,
            max_concurrency: team.limits.concurrency,
            monthly_budget_rmb: team.monthly_budget.map(Pico::to_decimal),
            created_at: team.created_at.rfc3339(),
        }
    }
}
