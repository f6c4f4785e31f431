//! Torn tails, flipped bits, frames and headers that are not what they should be.

use super::*;
use crate::journal::{JournalError, frame::Step, segment};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::io::Write;

/// The only segment with frames of a journal that is shut down.
fn one_segment(dir: &Path, exchanges: u64) -> Vec<u8> {
    let (journal, _) = Journal::open(options(dir)).unwrap();
    for number in 0..exchanges {
        let _ = journal.open_exchange(opened(number)).unwrap().close(&closed(number));
    }
    journal.shutdown();
    fs::read(segment::path_of(dir, 1)).unwrap()
}

fn journal_of(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(segment::path_of(dir.path(), 1), bytes).unwrap();
    dir
}

#[tokio::test]
async fn a_tail_torn_at_every_byte_costs_only_the_torn_frame() {
    let dir = tempfile::tempdir().unwrap();
    let whole = one_segment(dir.path(), 2);
    let (_, ends) = frames_of(2);
    assert_eq!(whole.len(), segment::HEADER_BYTES + ends.last().unwrap());
    for cut in 0..=whole.len() {
        let torn = journal_of(&whole[..cut]);
        let (entries, stats) = reopened(torn.path()).await;
        let good = ends.iter().filter(|end| segment::HEADER_BYTES + **end <= cut).count();
        let on_edge = cut == 0 || cut == segment::HEADER_BYTES || ends.contains(&(cut.saturating_sub(32)));
        assert_eq!(entries.len(), good.div_ceil(2), "cut at {cut}");
        assert_eq!(stats.interrupted, (good % 2) as u64, "cut at {cut}");
        assert_eq!(stats.quarantined_frames, u64::from(!on_edge), "cut at {cut}");
        assert_eq!(torn.path().join("quarantine").exists(), !on_edge);
    }
}

#[tokio::test]
async fn flipped_bits_cost_only_the_frames_that_they_hit() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let whole = one_segment(dir.path(), 40);
    let (_, ends) = frames_of(40);
    for round in 0..100 {
        let mut bytes = whole.clone();
        let mut hit = BTreeSet::new();
        let mut header_hit = false;
        for _ in 0..random.random_range(1..6) {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
            match at.checked_sub(segment::HEADER_BYTES) {
                Some(at) => drop(hit.insert(ends.partition_point(|end| *end <= at))),
                None => header_hit = true,
            }
        }
        // Two flips may undo each other.
        if bytes == whole {
            continue;
        }
        let damaged = journal_of(&bytes);
        let (entries, stats) = match Journal::open(options(damaged.path())) {
            Ok(journal) => {
                drop(journal);
                reopened(damaged.path()).await
            }
            Err(error) => panic!("round {round}: {error}"),
        };
        let expected =
            (0..80).step_by(2).filter(|opened| !(hit.contains(opened) && hit.contains(&(opened + 1))));
        assert_eq!(entries.len(), expected.count(), "round {round}");
        let closed = entries.iter().filter(|entry| matches!(entry, Entry::Closed(_))).count();
        assert!(closed >= 40 - hit.iter().filter(|frame| *frame % 2 == 1).count(), "round {round}");
        if !hit.is_empty() || header_hit {
            assert!(stats.quarantined_frames >= 1, "round {round}");
        }
    }
}

#[tokio::test]
async fn a_closed_frame_without_its_opened_one_is_a_whole_record() {
    let (bytes, ends) = frames_of(1);
    let dir = journal_of(&bytes[ends[0]..]);
    let (entries, stats) = reopened(dir.path()).await;
    assert_eq!(entries, [Entry::Closed(Box::new(record(0)))]);
    // There was no header either, which by itself is no damage to any frame.
    assert_eq!(stats.quarantined_frames, 0);
}

#[test]
fn a_segment_of_a_later_version_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = one_segment(dir.path(), 1);
    bytes[8] = 9;
    let sum = crc32fast::hash(&bytes[..28]);
    bytes[28..32].copy_from_slice(&sum.to_le_bytes());
    let later = journal_of(&bytes);
    let error = Journal::open(options(later.path())).unwrap_err();
    assert!(matches!(error, JournalError::Io(..)));
    assert!(error.to_string().contains("later version"), "{error}");
    assert_eq!(fs::read(segment::path_of(later.path(), 1)).unwrap(), bytes);
}

/// The frame of [`record`] 5 as it was before characters and seconds were counted.
const BEFORE_PIECES: &str = "\
    06010000f0b11ab6051001a0c4506c05700080000000000000058ab083c5986810000000000000000000000000000000\
    01100000000000000000000000000000000210000000000000000000000000000000030c6770742d342e312d6d696e69\
    0b6f70656e61695f63686174066f70656e61690001f8ffffffffffffffff01691001a0c4506c05700080000000000000\
    05066f70656e6169176770742d342e312d6d696e692d323032352d30342d313400c801015f0000000005000000000000\
    00b009ac02d285d8cc04010a02057370617265036d2d320b6572726f725f6576656e7403000000000000000000000573\
    70617265036d2d320b6572726f725f6576656e740300000000000000000000";

#[tokio::test]
async fn what_earlier_versions_wrote_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = one_segment(dir.path(), 1);
    frame::put_closed_first(&opened(8), &closed(8), &mut bytes);
    frame::put_closed_before(&opened(7), &closed(7), &mut bytes);
    // As the last of them wrote it, byte for byte.
    let digits = BEFORE_PIECES.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    bytes.extend(digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()));
    let (entries, stats) = reopened(journal_of(&bytes).path()).await;
    let mut before = record(8);
    assert_ne!(before.closed.outlay, Outlay::default());
    before.closed.outlay = Outlay::default();
    let expected = [record(0), before, record(7), record(5)];
    assert_eq!(entries, expected.map(|record| Entry::Closed(Box::new(record))));
    assert_eq!(stats.quarantined_frames, 0);
}

#[tokio::test]
async fn any_bytes_at_all_are_read_without_a_panic() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..20 {
        let length = random.random_range(0..100_000);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
        let good = random.random::<bool>();
        if good {
            frame::put_closed(&opened(1), &closed(1), &mut bytes).unwrap();
        }
        let dir = journal_of(&bytes);
        let (entries, _) = reopened(dir.path()).await;
        assert_eq!(entries.len(), usize::from(good));
    }
    let zeros = journal_of(&vec![0; 600_000]);
    let (entries, stats) = reopened(zeros.path()).await;
    assert_eq!((entries.len(), stats.quarantined_frames), (0, 1), "one run, however long");
}

#[test]
fn a_frame_across_the_end_of_a_window_is_not_judged_too_soon() {
    let (bytes, _) = frames_of(1);
    assert_eq!(frame::step(&bytes, false), Step::Short);
    assert!(matches!(frame::step(&bytes, true), Step::Good { .. }));
    assert_eq!(frame::step(&bytes[..20], true), Step::Bad { skip: 20 });
}

#[tokio::test]
async fn damage_longer_than_the_window_is_one_run_and_ends_at_the_next_good_frame() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = one_segment(dir.path(), 1);
    bytes.write_all(&vec![0xa5; 700_000]).unwrap();
    frame::put_closed(&opened(9), &closed(9), &mut bytes).unwrap();
    let damaged = journal_of(&bytes);
    let (entries, stats) = reopened(damaged.path()).await;
    assert_eq!(entries, [Entry::Closed(Box::new(record(0))), Entry::Closed(Box::new(record(9)))]);
    assert_eq!(stats.quarantined_frames, 1);
    let kept: u64 = fs::read_dir(damaged.path().join("quarantine"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept >= 700_000, "{kept}");
}
