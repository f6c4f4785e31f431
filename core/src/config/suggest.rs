//! The name that was probably meant.

/// How alike two names must be, from 0 to 1, for one to be offered in the place of the other.
const LIKENESS_MIN: f64 = 0.78;

/// The one of `known` that is most like `name`, if one is like it at all.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // A name of many kilobytes is nobody's typing error, and comparing it is quadratic.
    if name.len() > 256 {
        return None;
    }
    let plain = normalized(name);
    known
        .into_iter()
        .map(|candidate| (likeness(&plain, &normalized(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate.to_owned())
}

fn likeness(one: &str, other: &str) -> f64 {
    // In a name of three letters one that is wrong weighs too much.
    let is_slip = one.len() > 2 && strsim::osa_distance(one, other) == 1;
    strsim::jaro_winkler(one, other).max(if is_slip { LIKENESS_MIN } else { 0.0 })
}

/// `maxBody`, `max-body` and `max_body` are one name in three houses.
fn normalized(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_other_houses_spellings_are_understood() {
        let known = ["max_body", "max_connections", "listen", "header_timeout"];
        assert_eq!(nearest("maxBody", known).as_deref(), Some("max_body"));
        assert_eq!(nearest("lisen", known).as_deref(), Some("listen"));
        assert_eq!(nearest("header_timout", known).as_deref(), Some("header_timeout"));
        assert_eq!(nearest("smi", ["sim", "local"]).as_deref(), Some("sim"));
        assert_eq!(nearest("zebra", known), None);
    }
}
