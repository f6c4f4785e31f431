//! The pepper, operator tokens and upstream credentials. No message here repeats one.

use super::context::{Context, Spot};
use crate::{
    config::{
        form::Interpolated,
        model,
        snapshot::{Database, OperatorToken, Secret},
    },
    domain::credential::OPERATOR_TOKEN_BYTES_MAX,
};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Characters that a pepper and an operator token have at the least.
const SECRET_CHARS_MIN: usize = 32;
/// Bytes that a pepper and a credential have at the most.
const SECRET_BYTES_MAX: usize = 4096;
const SHA256: &str = "sha256:";

/// The peppers, and the file in which one that is made by itself is kept: only beside a database that is
/// on the same machine, since each node would make another.
pub(super) fn peppers(
    secrets: &model::Secrets,
    database: &Database,
    context: &mut Context<'_>,
) -> (Vec<Secret>, Option<PathBuf>) {
    let spot = context.root().key("secrets").key("key_pepper");
    let texts = secrets.key_pepper.as_slice();
    if texts.is_empty() {
        context.problem(&spot, "needs at least one pepper");
    }
    let first_file = texts.first().and_then(|first| context.file(&spot.one_of(0), first));
    if let ([_], Some((path, false))) = (texts, &first_file) {
        if !matches!(database, Database::Sqlite(_)) {
            let message = format!(
                "there is no `{}`, and a pepper is made by itself only beside SQLite: give every node the same one",
                path.display()
            );
            context.problem(&spot, message);
        }
        return (Vec::new(), Some(path.clone()));
    }
    let mut peppers = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let spot = spot.one_of(index);
        // A pepper that the first start made must not make the second one's configuration another.
        let Some(pepper) = context.resolve_unsealed(&spot, text) else { continue };
        if pepper.chars().count() < SECRET_CHARS_MIN || pepper.len() > SECRET_BYTES_MAX {
            context.problem(&spot, format!("a pepper has {SECRET_CHARS_MIN} characters or more"));
        }
        peppers.push(Secret::new(pepper));
    }
    (peppers, first_file.map(|(path, _)| path))
}

/// The tokens, as hashes. An empty text is no token, so that one can be left to the environment.
pub(super) fn operator_tokens(
    texts: &[Interpolated],
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Vec<OperatorToken> {
    let mut tokens: Vec<OperatorToken> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let spot = spot.item(index);
        let Some(token) = context.resolve(&spot, text).filter(|token| !token.is_empty()) else { continue };
        match hashed(&token) {
            Ok(hash) if tokens.contains(&hash) => context.problem(&spot, "the same token is there twice"),
            Ok(hash) => tokens.push(hash),
            Err(message) => context.problem(&spot, message),
        }
    }
    tokens
}

/// What an upstream is shown in its authorization header.
pub(super) fn credentials(texts: &[Interpolated], spot: &Spot<'_>, context: &mut Context<'_>) -> Vec<Secret> {
    let each = texts.iter().enumerate();
    each.filter_map(|(index, text)| credential(text, &spot.item(index), context)).collect()
}

/// One such text. One that is wrong stays, as it is told of already.
pub(super) fn credential(text: &Interpolated, spot: &Spot<'_>, context: &mut Context<'_>) -> Option<Secret> {
    let credential = context.resolve(spot, text)?;
    if credential.is_empty() {
        context.problem(spot, "the credential is empty");
    } else if credential.len() > SECRET_BYTES_MAX || !credential.bytes().all(|byte| byte.is_ascii_graphic()) {
        context.problem(spot, "a credential is visible ASCII without spaces");
    }
    Some(Secret::new(credential))
}

fn hashed(token: &str) -> Result<OperatorToken, String> {
    if let Some(hex) = token.strip_prefix(SHA256) {
        return sha256_of(hex)
            .map(OperatorToken)
            .ok_or_else(|| "`sha256:` takes 64 hexadecimal digits".to_owned());
    }
    if token.chars().count() < SECRET_CHARS_MIN {
        return Err(format!("an operator token has {SECRET_CHARS_MIN} characters or more"));
    }
    if token.len() > OPERATOR_TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("an operator token is visible ASCII without spaces".to_owned());
    }
    Ok(OperatorToken(Sha256::digest(token.as_bytes()).into()))
}

fn sha256_of(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if hex.len() != 2 * hash.len() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}
