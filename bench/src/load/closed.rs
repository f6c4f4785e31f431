//! The closed loop: each connection asks again as soon as it has its answer, so that the target is saturated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Job;
use super::check::Answer;
use super::tally::Tally;
use crate::canned::Mode;
use crate::clock;

/// How long an answer may take beyond the end of the run before the target counts as hung.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn drive(job: Job, connections: usize, seconds: f64) -> anyhow::Result<Tally> {
    let job = Arc::new(job);
    let started = clock::now();
    let run = Duration::from_secs_f64(seconds);
    let mut tasks = JoinSet::new();
    for index in 0..connections {
        // Paced streams that began together would also have their chunks together, for ever.
        let wait = match job.mode {
            Mode::Paced => Duration::from_millis(index as u64),
            _ => Duration::ZERO,
        };
        tasks.spawn(repeat(job.clone(), wait, started + run));
    }
    let mut total = Tally::default();
    let all = async {
        while let Some(tally) = tasks.join_next().await {
            total.merge(tally?);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(run + PATIENCE, all)
        .await
        .context("the target hangs: there are answers that never end")??;
    total.lasted(started.elapsed());
    Ok(total)
}

/// One connection's life. An answer that has begun is read to its end, so that what the target
/// spent on it is divided by a request that counts.
async fn repeat(job: Arc<Job>, wait: Duration, until: Instant) -> Tally {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let mut tally = Tally::default();
    let mut link = None;
    let mut request = job.request.clone();
    let mut answer = Answer::new(&job);
    let mut buffer = vec![0; 16 * 1024];
    while clock::now() < until
        && let Some(bytes) = request.next()
    {
        if let Err(error) = exchange(&job, bytes, &mut link, &mut answer, &mut buffer, &mut tally).await {
            tally.failed(&error);
            link = None;
            // A target that refuses must not turn the driver into a busy loop.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    tally
}

async fn exchange(
    job: &Job,
    request: &[u8],
    link: &mut Option<TcpStream>,
    answer: &mut Answer,
    buffer: &mut [u8],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let stream = match link {
        Some(stream) => stream,
        None => link.insert(connect(job).await?),
    };
    let started = clock::now();
    stream.write_all(request).await?;
    answer.reset();
    loop {
        let read = stream.read(buffer).await?;
        ensure!(read > 0, "the target closed in mid-answer");
        if answer.take(&buffer[..read], tally)? {
            break;
        }
    }
    answer.verify()?;
    tally.done(started.elapsed());
    if answer.closes() {
        *link = None;
    }
    Ok(())
}

pub(super) async fn connect(job: &Job) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(job.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
