//! `base_url`: the one parser through which an upstream's address can come in.

use crate::config::snapshot::BaseUrl;
use http::Uri;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of a DNS name.
const HOST_BYTES_MAX: usize = 253;

/// Reads `http://host[:port][/path]` or `https://…`. The error never repeats the text, which
/// may hold a password.
pub(super) fn base_url(text: &str) -> Result<BaseUrl, &'static str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("expected a URL such as `https://api.example.com/v1`");
    };
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err("only http and https are spoken"),
    };
    // What the general parser would drop or take for something else is refused before it is asked.
    if rest.contains('@') {
        return Err("must not hold a user or a password: use `credentials`");
    }
    if rest.contains('?') {
        return Err("must not hold a query");
    }
    if rest.contains('#') {
        return Err("must not hold a fragment");
    }
    if rest.contains(['\\', '%']) || rest.chars().any(|letter| letter.is_whitespace() || !letter.is_ascii()) {
        return Err("must be plain ASCII without spaces, backslashes and percent signs");
    }
    let uri: Uri = text.parse().map_err(|_| "not a URL")?;
    let authority = uri.authority().ok_or("names no host")?;
    let host = host(authority.host())?;
    let port = match authority
        .as_str()
        .rsplit_once(']')
        .map_or(authority.as_str(), |(_, tail)| tail)
        .split_once(':')
    {
        None => {
            if tls {
                443
            } else {
                80
            }
        }
        Some((_, port)) if !port.starts_with('+') => {
            port.parse().ok().filter(|port| *port > 0).ok_or("the port must be from 1 to 65535")?
        }
        Some(_) => return Err("the port must be from 1 to 65535"),
    };
    let path = uri.path().trim_end_matches('/');
    if path.split('/').any(|segment| matches!(segment, "." | "..")) || path.contains("//") {
        return Err("the path must not hold empty, `.` or `..` segments");
    }
    Ok(BaseUrl { tls, host, port, path: path.to_owned() })
}

/// A DNS name or an address, lower case, without brackets.
fn host(text: &str) -> Result<String, &'static str> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("not an IPv6 address")?;
        return inner
            .parse::<Ipv6Addr>()
            .map(|address| address.to_string())
            .map_err(|_| "not an IPv6 address");
    }
    let host = text.to_ascii_lowercase();
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(&host).split('.').collect();
    let fits = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if host.len() > HOST_BYTES_MAX || !labels.iter().all(fits) {
        return Err("names no valid host");
    }
    // `0177.1`, `0x7f.1` and `2130706433` are 127.0.0.1 to some resolvers and names to others.
    let numeric = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit()) || label.starts_with("0x");
    if labels.last().is_some_and(numeric) && host.parse::<Ipv4Addr>().is_err() {
        return Err("an IPv4 address must have four decimal numbers");
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, tls: bool, host: &str, port: u16, path: &str) {
        let expected = BaseUrl { tls, host: host.to_owned(), port, path: path.to_owned() };
        assert_eq!(base_url(text), Ok(expected), "{text}");
    }

    #[test]
    fn urls_are_taken_apart() {
        check("https://api.openai.com/v1", true, "api.openai.com", 443, "/v1");
        check("http://127.0.0.1:8000/v1/", false, "127.0.0.1", 8000, "/v1");
        check("https://API.Example.com", true, "api.example.com", 443, "");
        check("http://[::1]:80/", false, "::1", 80, "");
        check("http://[2001:db8::1]/a/b", false, "2001:db8::1", 80, "/a/b");
        check("http://vllm_1:9000", false, "vllm_1", 9000, "");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "api.openai.com/v1",
            "ftp://a",
            "HTTPS//a",
            "https://",
            "https:///v1",
            "https://user:secret@a/v1",
            "https://a/v1?x=1",
            "https://a/#x",
            "https://a:0",
            "https://a:99999",
            "https://a:",
            "https://a:+80",
            "https://a\\b",
            "https://a b",
            "https://a/%2e%2e/",
            "https://a/../b",
            "https://a//b",
            "http://0177.0.0.1",
            "http://2130706433",
            "http://0x7f.0.0.1",
            "http://0x7f000001",
            "http://1.2.3",
            "http://[::1",
            "http://[x]",
            "http://a..b",
            "http://\u{ff41}.com",
            "https://a/v1\n",
        ] {
            assert!(base_url(text).is_err(), "{text}: {:?}", base_url(text));
        }
    }
}
