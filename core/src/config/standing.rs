//! Which deployments of a route would be asked, in which turn, and why the others would not: for
//! requests, and for who asks.

use crate::config::{
    offer,
    snapshot::{Deployment, Model, Policy, Route},
};

/// How a deployment is on one node, apart from any request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Condition {
    /// An operator took it out.
    pub drained: bool,
    /// Milliseconds that it still rests after failures; `None`: it does not.
    pub rests_for_ms: Option<u64>,
}

/// Whether a deployment may be asked now, on behalf of a key.
pub type Standing = Result<(), Out>;

/// Why a deployment is not asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Out {
    /// The key is one of the sandbox, and neither the model nor the provider is.
    NotForSandbox,
    Drained,
    Rests {
        for_ms: u64,
    },
}

/// A deployment's place in its route: the lower is asked first, equals are drawn by weight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Turn {
    priority: u32,
    /// Of weight 0: it only takes what its equals drop.
    is_spare: bool,
}

/// What a deployment can expect of the next request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prospect {
    /// It is drawn for the first attempt with this weight of the whole.
    Drawn {
        weight: u64,
        of: u64,
    },
    /// It is asked when those before it, so many at the least, bring nothing usable.
    Behind {
        others: usize,
    },
    /// The route's attempts are used up before its turn comes.
    OutOfAttempts,
    Out(Out),
}

/// Whether `deployment`, of `model`'s route and in this condition, may be asked for such a key.
///
/// # Errors
/// Why it may not.
pub fn standing(model: &Model, deployment: &Deployment, is_sandbox: bool, condition: Condition) -> Standing {
    if !offer::takes(is_sandbox, model, deployment) {
        return Err(Out::NotForSandbox);
    }
    match condition {
        Condition { drained: true, .. } => Err(Out::Drained),
        Condition { rests_for_ms: Some(for_ms), .. } => Err(Out::Rests { for_ms }),
        Condition { .. } => Ok(()),
    }
}

impl Turn {
    #[must_use]
    pub fn of(policy: Policy, deployment: &Deployment) -> Self {
        let priority = if policy == Policy::Priority { deployment.priority } else { 0 };
        Self { priority, is_spare: deployment.weight == 0 }
    }
}

impl Route {
    /// How many deployments one request asks at most; each is asked once.
    #[must_use]
    pub fn attempts_max(&self, ready: usize) -> usize {
        ready.min(self.attempts.max(1) as usize)
    }

    /// What each deployment can expect, given how each stands; both in the route's order.
    #[must_use]
    pub fn prospects(&self, standings: &[Standing]) -> Vec<Prospect> {
        let stands = || self.deployments.iter().zip(standings);
        let ready: Vec<(Turn, u64)> = stands()
            .filter(|(_, standing)| standing.is_ok())
            .map(|(deployment, _)| (Turn::of(self.policy, deployment), u64::from(deployment.weight)))
            .collect();
        let prospect = |deployment: &Deployment| {
            let turn = Turn::of(self.policy, deployment);
            let others = ready.iter().filter(|(other, _)| *other < turn).count();
            if others >= self.attempts_max(ready.len()) {
                return Prospect::OutOfAttempts;
            }
            if others > 0 {
                return Prospect::Behind { others };
            }
            let of = ready.iter().filter(|(other, _)| *other == turn).map(|(_, weight)| weight).sum();
            Prospect::Drawn { weight: u64::from(deployment.weight), of }
        };
        stands()
            .map(|(deployment, standing)| match standing {
                Ok(()) => prospect(deployment),
                Err(out) => Prospect::Out(*out),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
