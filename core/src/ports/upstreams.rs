//! The deployments of this node, as they are now.

use crate::config::standing::Condition;
use std::sync::Arc;

/// A deployment of the running configuration, and how it does on this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upstream {
    /// `provider/model`.
    pub id: Arc<str>,
    pub provider: Arc<str>,
    /// The provider's own name of the model.
    pub model: Arc<str>,
    /// The public names of the models whose routes name it, in order.
    pub serves: Vec<Arc<str>>,
    pub condition: Condition,
    /// Requests that it has been given and not answered to the end.
    pub in_flight: u64,
    /// From asking it to an answer that may be released, over about the last eight answers;
    /// `None`: it has not answered since the process began.
    pub first_byte_ms: Option<u64>,
}

/// What is asked, and what an operator may change of it.
///
/// Being drained belongs to the deployment of this node: a reload that names the deployment again
/// keeps it, a restart does not. What was routed before may still be sent.
pub trait Upstreams: Send + Sync {
    /// Every deployment once, by id.
    fn list(&self) -> Vec<Upstream>;
    /// How a deployment is; one that nobody knows is as a new one.
    fn condition(&self, deployment: &str) -> Condition;
    /// Takes a deployment out, or lets it in again; on return no request is routed to it, or some
    /// are. `None` where there is none.
    fn set_drained(&self, deployment: &str, drained: bool) -> Option<Upstream>;
}
