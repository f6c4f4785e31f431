//! What each connection sends: one request's bytes, or the same with a key of many in it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};

/// In the order of a file, or at random.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Order {
    /// Any key at any time, each as likely as the others
    Random,
    /// Each key once, then the load ends
    Once,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Order::Random => "random",
            Order::Once => "once",
        }
    }
}

/// A request's bytes. A clone, one for each connection, shares the keys and has bytes of its own.
#[derive(Clone)]
pub(super) struct Request {
    bytes: Vec<u8>,
    keys: Option<Slots>,
}

/// The keys, and where in the request's bytes one goes.
#[derive(Clone)]
struct Slots {
    at: usize,
    keys: Arc<Keys>,
}

impl Request {
    /// With `keys`, `bytes` must have been built with [`Keys::first`] in them.
    pub(super) fn new(bytes: Vec<u8>, keys: Option<Arc<Keys>>) -> Self {
        let slots = keys.and_then(|keys| {
            let at = memchr::memmem::find(&bytes, keys.first().as_bytes())?;
            Some(Slots { at, keys })
        });
        Self { bytes, keys: slots }
    }

    /// The bytes to send next; `None` once each key had its turn.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if let Some(Slots { at, keys }) = &self.keys {
            let key = keys.next()?.as_bytes();
            self.bytes[*at..*at + key.len()].copy_from_slice(key);
        }
        Some(&self.bytes)
    }
}

/// Keys of one length, all of which may be used.
pub(super) struct Keys {
    /// One behind the other, nothing in between.
    text: String,
    key_bytes: usize,
    order: Order,
    taken: AtomicUsize,
}

impl Keys {
    /// Reads a key from each line.
    pub(super) fn read(path: &Path, order: Order) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, order).with_context(|| format!("the keys in {}", path.display()))
    }

    fn parse(lines: &str, order: Order) -> anyhow::Result<Self> {
        let key_bytes = lines.lines().next().map_or(0, str::len);
        ensure!(key_bytes > 0, "there are none");
        // A request is built once, and must be as long with any of them.
        ensure!(lines.lines().all(|key| key.len() == key_bytes && key.is_ascii()), "they differ in length");
        Ok(Self { text: lines.lines().collect(), key_bytes, order, taken: AtomicUsize::new(0) })
    }

    pub(super) fn first(&self) -> &str {
        &self.text[..self.key_bytes]
    }

    fn next(&self) -> Option<&str> {
        let count = self.text.len() / self.key_bytes;
        let index = match self.order {
            Order::Random => rand::random_range(0..count),
            Order::Once => self.taken.fetch_add(1, Ordering::Relaxed),
        };
        let start = index.checked_mul(self.key_bytes)?;
        self.text.get(start..start + self.key_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(order: Order) -> Request {
        let keys = Arc::new(Keys::parse("k-1\nk-2\nk-3\n", order).unwrap());
        Request::new(format!("a {} z", keys.first()).into_bytes(), Some(keys))
    }

    #[test]
    fn each_key_has_its_turn_once_whoever_asks() {
        let mut one = request(Order::Once);
        let mut other = one.clone();
        assert_eq!(one.next(), Some(&b"a k-1 z"[..]));
        assert_eq!(other.next(), Some(&b"a k-2 z"[..]));
        assert_eq!(one.next(), Some(&b"a k-3 z"[..]));
        assert_eq!((one.next(), other.next()), (None, None));
    }

    #[test]
    fn at_random_every_key_comes_and_there_is_no_end() {
        let mut request = request(Order::Random);
        let mut waiting = vec![b"a k-1 z", b"a k-2 z", b"a k-3 z"];
        for _ in 0..10_000 {
            let bytes = request.next().unwrap();
            waiting.retain(|it| it[..] != *bytes);
        }
        assert!(waiting.is_empty());
    }

    #[test]
    fn without_keys_the_request_stays_as_it_is() {
        let mut request = Request::new(b"GET /".to_vec(), None);
        assert_eq!(request.next(), Some(&b"GET /"[..]));
        assert_eq!(request.next(), Some(&b"GET /"[..]));
    }

    #[test]
    fn keys_of_different_lengths_are_refused() {
        assert!(Keys::parse("", Order::Once).is_err());
        assert!(Keys::parse("k-1\nk-20\n", Order::Once).is_err());
    }
}
