//! Messages that were written by hand, by the format's description.

use super::*;

/// One message with `headers` of text and `payload`.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let all = u32::try_from(PRELUDE + head.len() + payload.len() + CHECKSUM).unwrap();
    let mut bytes = all.to_be_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, payload.as_bytes())
}

type Told = Vec<(String, String, Vec<u8>)>;

fn read(pieces: &[&[u8]]) -> (Told, Result<(), Broken>) {
    let (mut decoder, mut told) = (Decoder::default(), Vec::new());
    for piece in pieces {
        let read = decoder.feed(piece, |message| {
            told.push((message.kind.to_owned(), message.name.to_owned(), message.payload.to_vec()));
        });
        if read.is_err() {
            return (told, read);
        }
    }
    (told, decoder.end())
}

#[test]
fn the_published_example_is_read() {
    // The format's own example: no headers, no payload.
    let empty = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
    assert_eq!(read(&[&empty]), (vec![(String::new(), String::new(), Vec::new())], Ok(())));
}

#[test]
fn messages_do_not_depend_on_where_the_stream_was_cut() {
    let exception = [(":message-type", "exception"), (":exception-type", "throttlingException")];
    let stream = [
        event("messageStart", r#"{"role":"assistant"}"#),
        event("contentBlockDelta", r#"{"delta":{"text":"你好"}}"#),
        frame(&exception, br#"{"message":"slow down"}"#),
    ]
    .concat();
    let (all, end) = read(&[&stream]);
    assert_eq!((all.len(), end), (3, Ok(())));
    assert_eq!((&*all[0].0, &*all[0].1), ("event", "messageStart"));
    assert_eq!((&*all[2].0, &*all[2].1), ("exception", "throttlingException"));
    for cut in 0..=stream.len() {
        let (front, back) = stream.split_at(cut);
        assert_eq!(read(&[front, back]), (all.clone(), Ok(())), "cut at {cut}");
    }
    let one_by_one: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(&one_by_one), (all, Ok(())));
}

#[test]
fn a_bit_that_is_wrong_anywhere_is_seen() {
    let whole = event("chunk", r#"{"bytes":"e30="}"#);
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 0x10;
        let (told, end) = read(&[&bent]);
        assert!(told.is_empty() && end.is_err(), "byte {at}: {end:?}");
    }
}

#[test]
fn what_is_broken_stays_so_and_what_is_cut_is_told() {
    let whole = event("chunk", "{}");
    for cut in 1..whole.len() {
        assert_eq!(read(&[&whole[..cut]]).1, Err(Broken::Cut), "cut at {cut}");
    }
    let mut decoder = Decoder::default();
    let mut bent = whole.clone();
    bent[9] ^= 1;
    assert_eq!(decoder.feed(&bent, |_| panic!("it is no message")), Err(Broken::Checksum));
    assert_eq!(decoder.feed(&whole, |_| panic!("nothing is believed")), Err(Broken::Checksum));
    assert_eq!(decoder.end(), Err(Broken::Checksum));
}

#[test]
fn lengths_that_nobody_should_wait_for_are_refused() {
    let prelude = |all: u32, headers: u32| {
        let mut bytes = [all.to_be_bytes(), headers.to_be_bytes()].concat();
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes
    };
    for (all, headers, broken) in [
        (u32::MAX, 0, Broken::TooLarge(u32::MAX)),
        (15, 0, Broken::Lengths),
        (100, 90, Broken::Lengths),
        (1 << 20, 1 << 19, Broken::Lengths),
    ] {
        assert_eq!(read(&[&prelude(all, headers)]).1, Err(broken), "{all} {headers}");
    }
    // A header that goes on past its end.
    let (told, end) = read(&[&{
        let mut bytes = event("x", "");
        let at = PRELUDE;
        bytes[at] = 200;
        let covered = bytes.len() - CHECKSUM;
        let sum = crc32fast::hash(&bytes[..covered]).to_be_bytes();
        bytes[covered..].copy_from_slice(&sum);
        bytes
    }]);
    assert_eq!((told.len(), end), (0, Err(Broken::Headers)));
}
