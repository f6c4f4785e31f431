//! Reads the binary event stream of Amazon's services, `application/vnd.amazon.eventstream`, in chunks of
//! any size: <https://smithy.io/2.0/aws/amazon-eventstream.html>.
//!
//! A message is its whole length and its headers' length (four bytes each, big-endian), a CRC-32 of these
//! eight bytes, the headers, the payload, and a CRC-32 of everything before it.

#[cfg(test)]
mod tests;

/// Longest message that is read, in bytes; the service's own bound is 24 MB, for video.
pub const MESSAGE_MAX: usize = 16 * 1024 * 1024;
/// Longest headers of one message, in bytes, as the format has it.
pub const HEADERS_MAX: usize = 128 * 1024;
/// The two lengths and their checksum, in bytes.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// Room that is kept from one message to the next, in bytes.
const KEPT_CAPACITY: usize = 16 * 1024;

/// Why a stream cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    #[error("a message whose checksum does not match")]
    Checksum,
    #[error("a message of {0} bytes")]
    TooLarge(u32),
    #[error("lengths that contradict each other")]
    Lengths,
    #[error("headers that cannot be read")]
    Headers,
    #[error("the stream ends within a message")]
    Cut,
}

/// One message. Of its headers those are kept that say what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Message<'a> {
    /// `event`, `exception` or `error`.
    pub kind: &'a str,
    /// The event's name, the exception's, or the error's code.
    pub name: &'a str,
    /// What an error says, which has no payload.
    pub error_message: &'a str,
    pub payload: &'a [u8],
}

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub struct Decoder {
    held: Vec<u8>,
    broken: Option<Broken>,
}

impl Decoder {
    /// Calls `each` with every message that `bytes` make whole.
    ///
    /// # Errors
    /// The stream cannot be read: nothing of it can be believed from there on, and each further call says
    /// so again.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Message<'_>)) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        let read = loop {
            match length(&self.held[at..]) {
                Ok(Some(length)) if self.held.len() - at >= length => {
                    match message(&self.held[at..at + length]) {
                        Ok(message) => each(message),
                        Err(broken) => break Err(broken),
                    }
                    at += length;
                }
                Ok(_) => break Ok(()),
                Err(broken) => break Err(broken),
            }
        };
        self.held.drain(..at);
        if self.held.is_empty() {
            self.held.shrink_to(KEPT_CAPACITY);
        }
        self.broken = read.err();
        read
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// It ended within a message, or could not be read before.
    pub fn end(&self) -> Result<(), Broken> {
        match self.broken {
            Some(broken) => Err(broken),
            None if self.held.is_empty() => Ok(()),
            None => Err(Broken::Cut),
        }
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// The length of the message that `bytes` begin with; `None`: that is not known yet.
fn length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let Some(prelude) = bytes.get(..PRELUDE) else { return Ok(None) };
    let [Some(all), Some(headers), Some(sum)] = [0, 4, 8].map(|at| number(&prelude[at..])) else {
        return Ok(None);
    };
    // Before the lengths are believed: nobody waits for four gigabytes that never come.
    if crc32fast::hash(&prelude[..8]) != sum {
        return Err(Broken::Checksum);
    }
    let (length, headers_length) = (all as usize, headers as usize);
    if length > MESSAGE_MAX {
        return Err(Broken::TooLarge(all));
    }
    if headers_length > HEADERS_MAX || length < PRELUDE + headers_length + CHECKSUM {
        return Err(Broken::Lengths);
    }
    Ok(Some(length))
}

/// Reads one whole message, whose lengths fit.
fn message(bytes: &[u8]) -> Result<Message<'_>, Broken> {
    let (covered, sum) = bytes.split_at(bytes.len() - CHECKSUM);
    if number(sum) != Some(crc32fast::hash(covered)) {
        return Err(Broken::Checksum);
    }
    let headers = number(&covered[4..]).ok_or(Broken::Lengths)? as usize;
    let (headers, payload) = covered[PRELUDE..].split_at(headers);
    let mut message = Message { payload, ..Message::default() };
    read_headers(headers, &mut message).ok_or(Broken::Headers)?;
    Ok(message)
}

/// `None`: they are no headers.
fn read_headers<'a>(mut rest: &'a [u8], message: &mut Message<'a>) -> Option<()> {
    const TEXT: u8 = 7;
    while !rest.is_empty() {
        let name = take(&mut rest, 1)?[0];
        let name = std::str::from_utf8(take(&mut rest, usize::from(name))?).ok()?;
        let kind = take(&mut rest, 1)?[0];
        let length = match kind {
            // Truth and falsehood.
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            // Whole numbers and times.
            5 | 8 => 8,
            6 | TEXT => usize::from(u16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?)),
            // A UUID.
            9 => 16,
            _ => return None,
        };
        let value = take(&mut rest, length)?;
        if kind != TEXT {
            continue;
        }
        let value = std::str::from_utf8(value).ok()?;
        match name {
            ":message-type" => message.kind = value,
            ":event-type" | ":exception-type" | ":error-code" => message.name = value,
            ":error-message" => message.error_message = value,
            _ => {}
        }
    }
    Some(())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}
