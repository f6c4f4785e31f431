//! The connection to Redis that everything but the broadcast goes through, one for all threads: what
//! is asked at the same time leaves together.

use super::script::Scripts;
use arc_swap::ArcSwapOption;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult,
    ServerErrorKind, Value, aio::MultiplexedConnection,
};
use std::{sync::Arc, time::Duration};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Commands that wait to be written.
const WRITES_MAX: usize = 1_024;

/// One connection, made again when it is lost.
pub(super) struct Link {
    client: Client,
    present: ArcSwapOption<MultiplexedConnection>,
    pub(super) scripts: Scripts,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows the password.
        f.write_str("Link(..)")
    }
}

impl Link {
    pub(super) fn new(client: Client, scripts: Scripts) -> Self {
        Self { client, present: ArcSwapOption::empty(), scripts }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn is_there(&self) -> bool {
        self.present.load().is_some()
    }

    /// Lets go of a connection that is of no use any more.
    pub(super) fn lose(&self) {
        self.present.store(None);
    }

    /// Makes a connection, on the runtime of whoever calls.
    pub(super) async fn connect(&self) -> RedisResult<()> {
        // Each question has a bound of its own.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WRITES_MAX);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        // A server that takes connections and says nothing is not waited for in the greeting either.
        let Ok(connection) = tokio::time::timeout(CONNECT_MAX, connecting).await else {
            return Err((ErrorKind::Io, "no connection in time").into());
        };
        self.present.store(Some(Arc::new(connection?)));
        Ok(())
    }

    /// One round trip; three where Redis has to be told the script first.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut connection = self.connection()?;
        match command.query_async(&mut connection).await {
            Err(error) if is_no_script(&error) => {
                self.load().await?;
                command.query_async(&mut connection).await
            }
            other => other,
        }
    }

    /// Several commands in one round trip; each has an outcome of its own.
    pub(super) async fn ask_all(&self, commands: Vec<Cmd>) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut connection = self.connection()?;
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command);
        }
        pipeline.ignore_errors();
        pipeline.query_async(&mut connection).await
    }

    /// Makes the scripts known.
    pub(super) async fn load(&self) -> RedisResult<()> {
        let mut connection = self.connection()?;
        let mut pipeline = Pipeline::new();
        for script in self.scripts.all() {
            pipeline.add_command(script.load());
        }
        pipeline.exec_async(&mut connection).await
    }

    fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let present = self.present.load();
        present.as_deref().cloned().ok_or_else(|| (ErrorKind::Io, "there is no connection").into())
    }
}

pub(super) fn is_no_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
