//! The way to a value as people read it: `models.gpt-4o.route.deployments[0]`.

/// `parent.key`; a key that could be misread stands in quotes.
pub(super) fn key(parent: &str, key: &str) -> String {
    let plain = !key.is_empty() && !key.contains(['.', '[', ']', '"', ':', ' ']);
    let key = if plain { key.to_owned() } else { format!("\"{key}\"") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// `parent[index]`
pub(super) fn item(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}
