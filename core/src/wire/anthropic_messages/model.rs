//! What the name of a model tells of it. Models of this dialect differ in how they are asked to think, and in
//! which settings they refuse with a 400: <https://platform.claude.com/docs/en/build-with-claude/thinking>,
//! and the migration guide of each model.

/// What is known of a model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Model {
    pub(super) thinks: Thinks,
    pub(super) takes: Takes,
    /// It can be made to call a tool.
    pub(super) takes_forced_tools: bool,
    /// It knows the effort between `high` and `max`.
    pub(super) knows_extra_high: bool,
}

/// How it is asked to think.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Thinks {
    /// As the caller asks: it is none of those that are known.
    Unknown,
    Never,
    /// By a budget of tokens.
    Budget,
    BudgetOrAdaptive,
    /// As much as it likes, and not unless it is asked to.
    WhenAsked,
    /// Unless it is asked not to.
    UnlessAskedNot,
    /// Between tools it thinks also then.
    AlwaysBetweenTools,
    Always,
}

impl Thinks {
    /// Where nothing is said of it.
    pub(super) fn by_itself(self) -> bool {
        matches!(self, Self::UnlessAskedNot | Self::AlwaysBetweenTools | Self::Always)
    }
}

/// Which sampling it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    All,
    /// Either `temperature` or `top_p`.
    One,
    None,
}

impl Model {
    /// Reads names such as `claude-opus-4-6`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0`,
    /// `claude-3-7-sonnet@20250219`. One without a version is taken for a new one.
    pub(super) fn named(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let Some((_, name)) = name.split_once("claude") else {
            let (thinks, takes) = (Thinks::Unknown, Takes::All);
            return Self { thinks, takes, takes_forced_tools: true, knows_extra_high: true };
        };
        let version = version(name).unwrap_or((u32::MAX, 0));
        let is = |family: &str| name.contains(family);
        let is_largest = is("fable") || is("mythos");
        let thinks = match version {
            _ if is_largest => Thinks::Always,
            before if before < (3, 7) => Thinks::Never,
            before if before < (4, 6) => Thinks::Budget,
            before if before < (4, 7) => Thinks::BudgetOrAdaptive,
            before if before < (5, 0) => Thinks::WhenAsked,
            since if since >= (5, 5) && is("opus") => Thinks::Always,
            since if since >= (5, 5) && is("sonnet") => Thinks::AlwaysBetweenTools,
            _ => Thinks::UnlessAskedNot,
        };
        let takes = match version {
            _ if is_largest => Takes::None,
            before if before < (4, 1) => Takes::All,
            before if before < (4, 7) => Takes::One,
            _ => Takes::None,
        };
        let refuses_forced_tools =
            version >= (5, 5) && (is("opus") || is("sonnet")) || version >= (5, 1) && is("fable");
        Self { thinks, takes, takes_forced_tools: !refuses_forced_tools, knows_extra_high: version >= (4, 7) }
    }
}

/// The first number of a name, and the one right behind it. Longer ones are dates.
fn version(name: &str) -> Option<(u32, u32)> {
    let number = |word: &str| (word.len() <= 2).then(|| word.parse::<u32>().ok()).flatten();
    let mut words = name.split(|each: char| !each.is_ascii_alphanumeric());
    let major = words.find_map(number)?;
    Some((major, words.next().and_then(number).unwrap_or(0)))
}
