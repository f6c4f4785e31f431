//! Work that must not stop half-way because its caller hung up.

use crate::error::Refusal;
use std::future::Future;

/// Runs `work` in a task of its own, so that dropping the request does not drop the work.
///
/// # Errors
/// [`Refusal::Internal`] where the work panicked.
#[expect(
    clippy::disallowed_methods,
    reason = "the request waits for the task, so that the listener's own drain covers it"
)]
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.map_err(|error| {
        tracing::error!(%error, "a call of the management API failed half-way: {error}");
        Refusal::Internal
    })
}
