//! The open loop: requests go out at a fixed rate whatever the answers take, and latency counts from the time due.
//!
//! Blocking threads rather than tasks: the runtime's timer rounds up to a millisecond, which is
//! more than what is to be measured. Each thread takes the next ticket and sleeps until it is
//! due; while one thread is free, every request leaves on time, and when none is, the wait counts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::Job;
use super::check::Answer;
use super::tally::Tally;
use crate::clock;

/// How long an answer may take before it counts as an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the threads share: which request is next, and when each is due.
struct Schedule {
    started: Instant,
    rate_per_s: f64,
    tickets: u64,
    next: AtomicU64,
}

impl Schedule {
    /// Waits for the next request's time; returns that time, not the one of waking up.
    fn await_next(&self) -> Option<Instant> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        if ticket >= self.tickets {
            return None;
        }
        let due = self.started + Duration::from_secs_f64(ticket as f64 / self.rate_per_s);
        std::thread::sleep(due.saturating_duration_since(clock::now()));
        Some(due)
    }
}

pub(super) fn drive(job: Job, connections: usize, seconds: f64, rate_per_s: f64) -> anyhow::Result<Tally> {
    ensure!(rate_per_s > 0.0, "--rate must be above zero");
    // The kernel may otherwise wake us 50 µs late. Threads inherit this from their creator; where
    // it cannot be had, all targets are measured with the same slack.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
    let schedule = Schedule {
        started: clock::now() + Duration::from_millis(50),
        rate_per_s,
        tickets: (seconds * rate_per_s) as u64,
        next: AtomicU64::new(0),
    };
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(|| repeat(&job, &schedule))).collect();
        for thread in threads {
            let tally = thread.join().ok().context("a thread of the driver panicked")?;
            total.merge(tally);
        }
        anyhow::Ok(())
    })?;
    total.lasted(schedule.started.elapsed());
    Ok(total)
}

fn repeat(job: &Job, schedule: &Schedule) -> Tally {
    let mut tally = Tally::default();
    let mut request = job.request.clone();
    let mut answer = Answer::new(job);
    let mut buffer = vec![0; 16 * 1024];
    // Connected beforehand: setting up a connection is not what is measured.
    let mut link = connect(job).ok();
    while let (Some(due), Some(bytes)) = (schedule.await_next(), request.next()) {
        match exchange(job, bytes, &mut link, &mut answer, &mut buffer, &mut tally) {
            Ok(()) => tally.done(due.elapsed()),
            Err(error) => {
                tally.failed(&error);
                link = None;
            }
        }
    }
    tally
}

fn exchange(
    job: &Job,
    request: &[u8],
    link: &mut Option<TcpStream>,
    answer: &mut Answer,
    buffer: &mut [u8],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let stream = match link {
        Some(stream) => stream,
        None => link.insert(connect(job)?),
    };
    stream.write_all(request)?;
    answer.reset();
    loop {
        let read = stream.read(buffer)?;
        ensure!(read > 0, "the target closed in mid-answer");
        if answer.take(&buffer[..read], tally)? {
            break;
        }
    }
    answer.verify()?;
    if answer.closes() {
        *link = None;
    }
    Ok(())
}

fn connect(job: &Job) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(job.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
