//! `docs/`: every command in it is run as it stands, every output that it shows is compared with what
//! came, and every link leads somewhere.

mod page;
mod shape;

use crate::{
    sdk,
    support::{
        gateway::{Gateway, TestGateway},
        settings::OPERATOR,
    },
};
use page::{Block, Page};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder of the tree that are Markdown, by name.
fn pages(folder: &str) -> Vec<Page> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no pages in {folder}");
    paths.into_iter().map(|path| Page::read(root(), &path)).collect()
}

/// Where the commands of one page are run, one after the other.
struct Terminal {
    folder: tempfile::TempDir,
    /// What the docs use openly, and where programs are found.
    environment: Vec<(&'static str, String)>,
}

impl Terminal {
    fn new(environment: Vec<(&'static str, String)>) -> Self {
        Self { folder: tempfile::Builder::new().prefix("aione-it-").tempdir().unwrap(), environment }
    }

    /// Runs a block as somebody would who pastes it: what an earlier one has set is set.
    fn run(&self, block: &Block) -> Output {
        let name = if block.language == "python" { "block.py" } else { "block.sh" };
        fs::write(self.folder.path().join(name), &block.text).unwrap();
        let run = match block.language.as_str() {
            "python" => format!("exec '{}' block.py", sdk::python().display()),
            // All variables go on to the next block; the first command that fails is the end.
            _ => "set -aeu; . ./block.sh; export -p > carried".to_owned(),
        };
        let mut command = Command::new("sh");
        command.current_dir(self.folder.path());
        // What a page writes into a reader's home is not for that of whoever runs the tests.
        command.env("HOME", self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(["-c", &format!("if test -f carried; then . ./carried; fi; {run}")]).output().unwrap()
    }

    /// What is wrong with a block; `shown` is the output that the page shows for it.
    fn fault(&self, block: &Block, shown: Option<&Block>) -> Option<String> {
        if let Some(why) = block.cannot_fail(shown.is_some()) {
            return Some(why);
        }
        let output = self.run(block);
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Some(format!("{}\n{said}{errors}", output.status));
        }
        let shown = shown?;
        let alike = match shown.language.as_str() {
            "json" => shape::json(&shown.text, &said),
            _ => shape::text(&shown.text, &said),
        };
        alike.err().map(|why| format!("the output is not as shown: {why}\n{said}"))
    }
}

/// Runs a page, and tells each fault with its line. `between` is waited for before each block.
async fn faults(page: &Page, terminal: &Terminal, between: impl AsyncFn()) -> Vec<String> {
    let mut faults = Vec::new();
    let mut blocks = page.blocks.iter().peekable();
    while let Some(block) = blocks.next() {
        let fault = if block.runs() {
            let shown = blocks.next_if(|next| next.follows && !next.runs());
            between().await;
            terminal.fault(block, shown)
        } else {
            Some(format!("`{}` that is neither run nor the output right before it", block.language))
        };
        faults.extend(fault.map(|why| format!("{}:{}: {why}", page.name, block.line)));
    }
    faults
}

/// The gateway of the quick start, on ports of its own.
async fn quick_start() -> Gateway {
    let text = fs::read_to_string(root().join("conf/quickstart.yaml")).unwrap();
    let mut quick: Value = serde_saphyr::from_str(&text).unwrap();
    let mut gateway = TestGateway::new();
    for section in ["providers", "models", "plans"] {
        gateway = gateway.set(&format!("/{section}"), quick[section].take());
    }
    gateway.start().await
}

/// What a reader has in the environment.
async fn environment(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let create = ["tokens", "create", "--name", "of the docs", "-c", "aione.yaml"];
    let output = gateway.command(&create).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let programs = Path::new(env!("CARGO_BIN_EXE_aione")).parent().unwrap();
    let inherited = std::env::var("PATH").unwrap_or_default();
    vec![
        ("AIONE", format!("http://{}", gateway.settings.public)),
        ("ADMIN", format!("http://{}", gateway.settings.admin)),
        ("KEY", gateway.create_key(json!({ "name": "app" })).await.secret),
        ("TOKEN", String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        ("OPERATOR", OPERATOR.to_owned()),
        ("CONFIG", gateway.file().display().to_string()),
        ("PATH", format!("{}:{inherited}", programs.display())),
    ]
}

#[tokio::test]
async fn every_command_does_what_its_page_says() {
    let mut found = Vec::new();
    for page in pages("docs") {
        let gateway = quick_start().await;
        let terminal = Terminal::new(environment(&gateway).await);
        found.extend(faults(&page, &terminal, async || gateway.quiet().await).await);
    }
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn a_page_that_is_wrong_is_found_out() {
    let fenced = |language: &str, text: &str| format!("```{language}\n{text}\n```\n");
    let shown = |command: &str, language: &str, output: &str| {
        fenced("sh", &format!("printf '%s\\n' '{command}'")) + "\n" + &fenced(language, output)
    };
    for (what, text, is_right) in [
        ("a command that works", fenced("sh", "true"), true),
        ("a command that fails", fenced("sh", "false\ntrue"), false),
        ("a command that is not there", fenced("sh", "aoine check"), false),
        ("a variable that is not set", fenced("sh", "echo \"$NOT_SET\""), false),
        (
            "a variable of the block before",
            fenced("sh", "A=1") + "\n" + &fenced("sh", "test \"$A\" = 1"),
            true,
        ),
        ("values that differ", shown(r#"{"a":1,"b":["x"]}"#, "json", r#"{"a":2,"b":["y"]}"#), true),
        ("keys in another order", shown(r#"{"a":1,"b":2}"#, "json", r#"{"b":1,"a":2}"#), false),
        ("a key too few", shown(r#"{"a":1}"#, "json", r#"{"a":1,"b":2}"#), false),
        ("another type", shown(r#"{"a":"1"}"#, "json", r#"{"a":1}"#), false),
        ("an empty list", shown(r#"{"a":[]}"#, "json", r#"{"a":[1]}"#), false),
        ("other numbers in a text", shown("day,2026-11-26", "text", "day,2025-01-02"), true),
        ("other words in a text", shown("day,2026-11-26", "text", "hour,2026-11-26"), false),
        ("a line too few", shown("one", "text", "one\ntwo"), false),
        ("an output of no command", fenced("json", "{}"), false),
        ("a call whose status nobody looks at", fenced("sh", "curl -sS file:///dev/null"), false),
        ("a field that may be missing", fenced("sh", "printf '{}' | jq -r .key"), false),
        ("a language that nobody runs", fenced("bash", "true"), false),
    ] {
        let page = Page::parse(what, &text);
        let found = faults(&page, &Terminal::new(Vec::new()), async || ()).await;
        assert_eq!(found.is_empty(), is_right, "{what}: {found:?}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    for page in pages("docs").into_iter().chain(pages(".")) {
        for link in &page.links {
            if let Some(why) = dead(&page, link) {
                found.push(format!("{}: {link}: {why}", page.name));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Why a link leads nowhere; those that leave the tree are not followed.
fn dead(page: &Page, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let folder = root().join(&page.name).parent().unwrap().to_owned();
    let target = if file.is_empty() { root().join(&page.name) } else { folder.join(file) };
    if !target.exists() {
        return Some("no such file".to_owned());
    }
    let heading = heading?;
    let there = Page::read(root(), &target).headings.iter().any(|it| it == heading);
    (!there).then(|| "no such heading".to_owned())
}

#[test]
fn every_page_is_in_the_index_and_short() {
    let pages = pages("docs");
    let index = pages.iter().find(|page| page.name == "docs/README.md").expect("an index");
    let named: BTreeSet<_> = index.links.iter().map(|link| format!("docs/{link}")).collect();
    for page in &pages {
        assert!(page.name == index.name || named.contains(&page.name), "{} is not in the index", page.name);
        assert!(page.lines < 200, "{}: {} lines", page.name, page.lines);
    }
    let front = Page::read(root(), &root().join("README.md"));
    assert!(front.links.iter().any(|link| link == "docs/README.md"), "README.md does not name the index");
}

#[test]
fn every_code_of_a_refusal_is_in_the_tables() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut codes = BTreeSet::new();
    for file in ["src/proxy/refusal.rs", "admin/src/error.rs"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let is_word = |text: &str| text.len() > 5 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let literals = text.split('"').skip(1).step_by(2).filter(|literal| is_word(literal));
        codes.extend(literals.map(str::to_owned));
    }
    assert!(codes.len() > 30, "{codes:?}");
    let missing: Vec<_> = codes.iter().filter(|code| !page.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
