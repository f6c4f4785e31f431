//! The news of what has changed, to every node: each lets go of it at once.
//!
//! A message may be lost with a connection: a node that has been without one takes everything that it knew for
//! outdated, once, when it has one again. So it does not matter which were lost.

use crate::node::ThisNode;
use aione_core::{
    domain::id::{KeyId, OrgId},
    ports::Fleet,
};
use async_trait::async_trait;
use futures_util::StreamExt;
use redis::{Client, RedisResult, aio::MultiplexedConnection};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, mpsc, watch},
    time::{sleep, timeout},
};

/// The channel of all nodes.
const CHANNEL: &str = "aione:changes";
/// Changes that wait to be told. Beyond it the nodes are told that everything has changed.
const CHANGES_MAX: usize = 1_024;
/// How long a connection and each message may take.
const SAY_MAX: Duration = Duration::from_secs(1);
/// How often a connection that says nothing is asked whether it is there.
const PING: Duration = Duration::from_secs(1);
/// How long the next try waits.
const PAUSE: Duration = Duration::from_millis(250);

/// What the other nodes are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum News {
    Key(KeyId),
    Org(OrgId),
    /// Its balance.
    Funds(OrgId),
    /// More than is worth telling one by one.
    All,
}

/// This node at once, the others through Redis.
pub(crate) struct Broadcast {
    here: Arc<ThisNode>,
    client: Client,
    say: mpsc::Sender<News>,
    /// Taken by the one who says them.
    said: Mutex<mpsc::Receiver<News>>,
    overflow: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Fleet for Broadcast {
    async fn key_changed(&self, org: OrgId, id: KeyId) {
        self.here.key_changed(org, id).await;
        self.later(News::Key(id));
    }

    async fn tenant_changed(&self, org: OrgId) {
        self.here.tenant_changed(org).await;
        self.later(News::Org(org));
    }

    async fn funds_changed(&self, org: OrgId) {
        self.here.funds_changed(org).await;
        self.later(News::Funds(org));
    }
}

impl Broadcast {
    pub(crate) fn new(here: Arc<ThisNode>, shared: &super::Shared) -> Arc<Self> {
        let (say, said) = mpsc::channel(CHANGES_MAX);
        let client = shared.link.client().clone();
        let overflow = std::sync::atomic::AtomicBool::new(false);
        Arc::new(Self { here, client, say, said: Mutex::new(said), overflow })
    }

    fn later(&self, news: News) {
        if self.say.try_send(news).is_err() {
            self.overflow.store(true, std::sync::atomic::Ordering::Release);
        }
    }

    /// Has purses read again before they are used: while Redis was away, other nodes have spent what nobody
    /// told this one.
    pub(super) fn doubt_purses(&self) {
        self.here.budgets.outdate_all();
    }

    /// Says and hears, until it is told to leave.
    pub(crate) async fn run(&self, mut leave: watch::Receiver<bool>) {
        tokio::select! {
            () = self.speak() => {}
            () = self.listen() => {}
            _ = leave.changed() => {}
        }
    }

    /// Each change is said until it has been taken.
    async fn speak(&self) {
        let mut said = self.said.lock().await;
        let mut connection = None;
        while let Some(news) = said.recv().await {
            let news =
                if self.overflow.swap(false, std::sync::atomic::Ordering::AcqRel) { News::All } else { news };
            while let Err(error) = self.say(&mut connection, news).await {
                tracing::debug!(%error, "a change waits to be told to the other nodes");
                connection = None;
                sleep(PAUSE).await;
            }
        }
    }

    async fn say(&self, connection: &mut Option<MultiplexedConnection>, news: News) -> RedisResult<()> {
        let saying = async {
            let connection = match connection {
                Some(connection) => connection,
                None => connection.insert(self.client.get_multiplexed_async_connection().await?),
            };
            redis::cmd("PUBLISH").arg(CHANNEL).arg(news.to_string()).exec_async(connection).await
        };
        let late = || Err((redis::ErrorKind::Io, "no answer in time").into());
        timeout(SAY_MAX, saying).await.unwrap_or_else(|_| late())
    }

    /// Hears, and connects again whenever that ends.
    async fn listen(&self) {
        let mut is_told = false;
        loop {
            let Err(error) = self.hear(&mut is_told).await;
            if is_told {
                tracing::warn!(%error, "changes are not heard of: what is known of keys ages until they are");
                is_told = false;
            }
            sleep(PAUSE).await;
        }
    }

    /// One connection's life. What is known is outdated once it listens: what was said before is lost.
    async fn hear(&self, is_there: &mut bool) -> RedisResult<std::convert::Infallible> {
        let late = || redis::RedisError::from((redis::ErrorKind::Io, "no answer in time"));
        let connecting = async {
            let mut connection = self.client.get_async_pubsub().await?;
            connection.subscribe(CHANNEL).await?;
            Ok(connection)
        };
        let connection = timeout(SAY_MAX, connecting).await.unwrap_or_else(|_| Err(late()))?;
        self.here.doubt_all();
        *is_there = true;
        let (mut ask, mut heard) = connection.split();
        loop {
            match timeout(PING, heard.next()).await {
                Ok(Some(message)) => self.take(message.get_payload_bytes()),
                Ok(None) => return Err(late()),
                // Half-open connections say nothing for ever.
                Err(_) => timeout(SAY_MAX, ask.ping()).await.unwrap_or_else(|_| Err(late()))?,
            }
        }
    }

    fn take(&self, message: &[u8]) {
        match News::parse(message) {
            Some(News::Key(id)) => self.here.forget_key(id),
            Some(News::Org(org)) => self.here.forget_org(org),
            Some(News::Funds(org)) => self.here.budgets.outdate(org),
            // Also what a later version says and this one does not know.
            Some(News::All) | None => self.here.doubt_all(),
        }
    }
}

impl std::fmt::Display for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key {id}"),
            Self::Org(id) => write!(f, "org {id}"),
            Self::Funds(id) => write!(f, "funds {id}"),
            Self::All => f.write_str("all"),
        }
    }
}

impl News {
    fn parse(text: &[u8]) -> Option<Self> {
        match str::from_utf8(text).ok()?.split_once(' ') {
            Some(("key", id)) => id.parse().ok().map(Self::Key),
            Some(("org", id)) => id.parse().ok().map(Self::Org),
            Some(("funds", id)) => id.parse().ok().map(Self::Funds),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn news_are_read_as_they_were_said() {
        let org = OrgId(Uuid::max());
        for news in [News::Key(KeyId(Uuid::from_u128(7))), News::Org(org), News::Funds(org)] {
            assert_eq!(News::parse(news.to_string().as_bytes()), Some(news));
        }
        for unknown in [News::All.to_string().as_str(), "", "key", "key x", "plan 7", "key 7 7"] {
            assert_eq!(News::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }
}
