//! Phase 6: ask, failing over. Attempts go through the route's deployments, each at most once,
//! until one brings an answer that may be released; nothing has reached the caller before that.

pub(crate) mod answer;
mod attempt;
pub(crate) mod connectors;
mod count;
mod early;
mod foreign;
mod idle;
mod request;
mod sign;
mod simulated;
pub(crate) mod target;
pub(crate) mod tokens;
mod transport;
mod unframed;
mod visit;

use super::{
    Gateway, admit::Hold, ask::Ask, client::Client, drain::Departure, refusal::Refusal, route::Route,
    world::World,
};
use crate::clock;
use aione_core::{
    config::snapshot::{Deployment, RetryOn},
    domain::usage::Usage,
};
use answer::{Answer, Fault};
pub(crate) use count::{Counted, count};
use request::Outgoing;
pub(crate) use simulated::estimate;
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use visit::Visit;

pub(crate) async fn call(
    gateway: &Arc<Gateway>,
    world: &World,
    route: &Route,
    ask: &Ask,
    hold: &mut Hold,
    client: &mut Client<'_>,
) -> Answer {
    let rules = &route.model.route;
    let most = rules.attempts_max(route.candidates.len());
    let mut failed = Fault::Connect;
    let mut unsayable = None;
    let mut kept: Option<Kept> = None;
    // An attempt that broke off after it was sent may have made tokens.
    let mut may_have_run = false;
    for (index, deployment) in route.candidates.iter().take(most).enumerate() {
        let running = world.running(deployment);
        let sent = AtomicBool::new(false);
        let trusted = &world.snapshot.server.trusted_proxies;
        let request = match Outgoing::new(deployment, running, ask, client, trusted, &sent, hold.record_id())
        {
            Ok(request) => request,
            // Another deployment may speak a dialect that can say it.
            Err(refusal) => {
                unsayable = Some(refusal);
                continue;
            }
        };
        let asked_at = clock::steady();
        let visit = Visit::begin(running, rules.cool_down, asked_at);
        let is_last = index + 1 == most;
        let wait_max = is_last.then_some(hold.keep_alive_after);
        hold.attempt(deployment);
        let brought = {
            // Boxed: its state is large and gone once the answer begins; an open stream must not
            // carry it along.
            let work =
                Box::pin(attempt::attempt(gateway, deployment, running, ask, request, wait_max, asked_at));
            wait(gateway, world, deployment, work, client).await
        };
        let Some(brought) = brought else {
            let was_sent = may_have_run || sent.load(Ordering::Relaxed);
            hold.tally.unsent = !was_sent;
            Kept::give_up(kept, hold);
            return Answer::abandoned(was_sent);
        };
        match brought {
            Ok(answer) => match answer.fault() {
                None => {
                    Kept::give_up(kept, hold);
                    return answer.without_secrets().by_deployment(visit);
                }
                Some(fault) => {
                    let is_requests_fault = answer.tap.blames_request();
                    gateway.metrics.attempt_failed(&deployment.id, fault.name());
                    if fault.blames_upstream() && !is_requests_fault {
                        visit.failed(clock::steady());
                    }
                    // What the upstream said is worth more than what we could say of it.
                    let is_elsewheres = answer.is_anothers_thought();
                    let retries = is_elsewheres || (retries(&rules.retry_on, fault) && !is_requests_fault);
                    if is_last || client.is_gone() || !retries {
                        Kept::give_up(kept, hold);
                        return answer.with_status_of(fault);
                    }
                    // Should the others not be reached, what this one said is still worth more.
                    let is_read = answer.is_read();
                    let answer = answer.with_status_of(fault);
                    let failed = Kept { answer, deployment: deployment.clone(), fault };
                    let given_up = if is_read { kept.replace(failed) } else { Some(failed) };
                    Kept::give_up(given_up, hold);
                }
            },
            Err(fault) => {
                let was_sent = sent.load(Ordering::Relaxed);
                may_have_run |= was_sent;
                hold.failed(deployment, fault.name(), Usage::default(), was_sent);
                gateway.metrics.attempt_failed(&deployment.id, fault.name());
                if fault.blames_upstream() {
                    visit.failed(clock::steady());
                }
                failed = fault;
                if client.is_gone() || !retries(&rules.retry_on, fault) {
                    break;
                }
            }
        }
    }
    if let Some(Kept { answer, deployment, .. }) = kept {
        hold.tally.deployment = Some(deployment);
        return answer;
    }
    if hold.tally.attempts == 0
        && let Some(refusal) = unsayable
    {
        return Answer::refused(refusal);
    }
    Answer::refused(match failed {
        Fault::Timeout | Fault::Overtime => Refusal::UpstreamTimeout,
        Fault::Cut => Refusal::Leaving,
        Fault::Connect => Refusal::UpstreamFailed { message: "The upstream could not be reached" },
        Fault::Credential => Refusal::UpstreamFailed { message: "The upstream lets nobody in at present" },
        _ => Refusal::UpstreamFailed { message: "The upstream broke off before it answered" },
    })
}

/// What a failed attempt was answered with, should nothing better come.
struct Kept {
    answer: Answer,
    deployment: Arc<Deployment>,
    fault: Fault,
}

impl Kept {
    /// Something better has come: what is left of the attempt is what it cost.
    fn give_up(kept: Option<Self>, hold: &mut Hold) {
        let Some(Self { mut answer, deployment, fault }) = kept else { return };
        let reading = answer.tap.take_reading();
        hold.failed(&deployment, fault.name(), reading.usage.unwrap_or_default(), reading.flagged);
    }
}

/// Awaits an attempt beside the caller's leaving. `None`: the caller has left, and the answer
/// is not worth waiting for.
async fn wait(
    gateway: &Arc<Gateway>,
    world: &World,
    deployment: &Deployment,
    work: impl Future<Output = Result<Answer, Fault>>,
    client: &mut Client<'_>,
) -> Option<Result<Answer, Fault>> {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        () = client.left() => {}
        () = gateway.cut() => return Some(Err(Fault::Cut)),
        brought = &mut work => return Some(brought),
    }
    let departure = Departure::new(gateway, &world.snapshot.drain, deployment.provider.on_disconnect)?;
    let brought = tokio::select! {
        brought = tokio::time::timeout(departure.remaining(), work) => brought.ok()?,
        () = gateway.leaving() => return None,
    };
    Some(brought.map(|answer| answer.with_departure(departure)))
}

fn retries(rules: &RetryOn, fault: Fault) -> bool {
    match fault {
        Fault::Connect => rules.connect,
        Fault::Timeout => rules.timeout,
        Fault::TooManyRequests => rules.too_many_requests,
        Fault::ServerError | Fault::Broken => rules.server_error,
        Fault::ErrorEvent => rules.first_event_error,
        Fault::Credential | Fault::Forbidden => true,
        Fault::Refused | Fault::Overtime | Fault::Cut => false,
    }
}
