//! Opens streams and holds them, so that the memory of an open stream can be read off the target.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Job;
use super::check::Answer;
use super::closed::connect;
use super::tally::Tally;
use crate::clock;

/// How long it may take until every stream has begun.
const PATIENCE: Duration = Duration::from_secs(20);

/// Prints `{"open":N}` as soon as all streams have begun, then holds them.
pub(super) async fn drive(job: Job, connections: usize, seconds: f64) -> anyhow::Result<Tally> {
    let job = Arc::new(job);
    let started = clock::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(begin(job.clone()));
    }
    let mut total = Tally::default();
    let mut streams = Vec::with_capacity(connections);
    let all = async {
        while let Some(begun) = tasks.join_next().await {
            match begun? {
                Ok(stream) => {
                    total.done(started.elapsed());
                    streams.push(stream);
                }
                Err(error) => total.failed(&error),
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .context("the target hangs: there are streams that never begin")??;
    println!("{}", serde_json::json!({ "open": streams.len() }));
    // What the upstream says meanwhile fits the sockets' buffers.
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    total.lasted(started.elapsed());
    Ok(total)
}

/// Returns the connection once the first chunk has come.
async fn begin(job: Arc<Job>) -> anyhow::Result<TcpStream> {
    let mut stream = connect(&job).await?;
    let mut request = job.request.clone();
    stream.write_all(request.next().context("there are more streams than keys")?).await?;
    let mut answer = Answer::new(&job);
    let mut buffer = vec![0; 4096];
    let mut unused = Tally::default();
    while answer.chunks_seen() == 0 {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "the target closed before the first chunk");
        if answer.take(&buffer[..read], &mut unused)? {
            answer.verify()?;
        }
    }
    Ok(stream)
}
