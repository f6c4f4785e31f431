//! A page of Markdown: its fenced blocks, its links, its headings.

use std::{fs, path::Path};

/// What is fenced.
pub(super) struct Block {
    pub(super) language: String,
    pub(super) text: String,
    /// Of the opening fence, from 1.
    pub(super) line: usize,
    /// Whether nothing but empty lines stands between it and the block before.
    pub(super) follows: bool,
}

impl Block {
    pub(super) fn runs(&self) -> bool {
        matches!(self.language.as_str(), "sh" | "python")
    }

    /// Why a failure of a command in it would not be noticed: an answer of 404 is a success for `curl`, and
    /// `null` one for `jq`, unless they are told otherwise. Where an output is shown that will tell.
    pub(super) fn cannot_fail(&self, has_output: bool) -> Option<String> {
        let calls = self.text.matches("curl ").count();
        let checked = self.text.matches("curl -sS --fail-with-body ").count();
        if calls > checked && !has_output {
            return Some("`curl` without `-sS --fail-with-body`, and no output is shown".to_owned());
        }
        let (reads, checked) = (self.text.matches("jq ").count(), self.text.matches("jq -er ").count());
        (reads > checked && !has_output).then(|| "`jq` without `-er`, and no output is shown".to_owned())
    }
}

pub(super) struct Page {
    /// The path from the root of the tree.
    pub(super) name: String,
    pub(super) lines: usize,
    pub(super) blocks: Vec<Block>,
    pub(super) links: Vec<String>,
    /// As links name them.
    pub(super) headings: Vec<String>,
}

impl Page {
    pub(super) fn read(root: &Path, path: &Path) -> Self {
        let (root, path) = (root.canonicalize().unwrap(), path.canonicalize().unwrap());
        let text = fs::read_to_string(&path).unwrap();
        Self::parse(&path.strip_prefix(&root).unwrap().display().to_string(), &text)
    }

    pub(super) fn parse(name: &str, text: &str) -> Self {
        let mut page = Self {
            name: name.to_owned(),
            lines: text.lines().count(),
            blocks: Vec::new(),
            links: Vec::new(),
            headings: Vec::new(),
        };
        let mut open: Option<Block> = None;
        let mut follows = false;
        for (at, line) in text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (fence, &mut open) {
                (Some(language), None) => {
                    let language = language.trim().to_owned();
                    open = Some(Block { language, text: String::new(), line: at + 1, follows });
                }
                (Some(_), Some(_)) => {
                    page.blocks.extend(open.take());
                    follows = true;
                }
                (None, Some(block)) => block.text += &format!("{line}\n"),
                (None, None) => {
                    follows &= line.trim().is_empty();
                    page.links.extend(links(line));
                    page.headings.extend(line.starts_with('#').then(|| anchor(line)));
                }
            }
        }
        assert!(open.is_none(), "{name}: a fence is not closed");
        page
    }
}

/// The targets of `[…](target)`.
fn links(line: &str) -> impl Iterator<Item = String> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned())
}

/// The name under which a heading can be linked to.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
