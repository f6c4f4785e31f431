//! Loading from a real folder, and what a watcher makes of the ways in which files change.

use super::{Config, Loaded, Origin, Outcomes, load};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::watch;

/// How long a test waits for what must come; it ends as soon as it has come.
const PATIENCE: Duration = Duration::from_secs(30);

const SOUND: &str = "\
providers: { sim: { kind: simulated } }
models:
  chat:
    price: { input: '1', cache_read: '0', output: '4' }
    route: { deployments: [{ provider: sim }] }
";

struct Folder {
    root: tempfile::TempDir,
}

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self { root: tempfile::tempdir().expect("a folder") };
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// All at once, as editors do it.
    fn write(&self, name: &str, text: &str) {
        let (path, aside) = (self.path(name), self.path(".aside"));
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&aside, text).expect("a file");
        fs::rename(aside, path).expect("put in its place");
    }

    /// In place: a reader can meet the half of it.
    fn overwrite(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn origin(&self) -> Origin {
        Origin::File(self.path("aione.yaml"))
    }

    fn load(&self) -> Result<Loaded, Vec<String>> {
        let shown = |path: &Path| path.display().to_string() + "/";
        load(&self.origin()).map_err(|problems| {
            problems.iter().map(|problem| problem.to_string().replace(&shown(self.root.path()), "")).collect()
        })
    }

    fn config(&self) -> Config {
        Config::new(self.origin(), self.load().expect("sound"))
    }
}

#[test]
fn the_quick_start_and_the_committed_files_load() {
    let quick = load(&Origin::BuiltIn).expect("sound");
    assert!(quick.warnings.is_empty(), "{:?}", quick.warnings);
    assert_eq!(quick.snapshot.pepper_file.as_deref(), Some(Path::new("data/pepper")));

    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let quick = load(&Origin::File(conf.join("quickstart.yaml"))).expect("sound");
    assert_eq!(quick.snapshot.storage.journal, conf.join("data/journal"));
    let folder = Folder::with(&[]);
    for name in ["aione.yaml", "providers/local.yaml", "prices/openai.yaml"] {
        let text = fs::read_to_string(conf.join(name)).expect("a file of conf/");
        folder.write(name, &text.replace("${OPENAI_API_KEY}", "sk-upstream"));
    }
    let loaded = folder.load().unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.snapshot.prices.models.len(), 2);
    let files: Vec<_> =
        loaded.files.iter().map(|path| path.strip_prefix(folder.root.path()).unwrap_or(path)).collect();
    let expected = ["aione.yaml", "data/pepper", "prices/openai.yaml", "providers/local.yaml"];
    assert_eq!(files, expected.map(Path::new));
}

#[test]
fn what_cannot_be_read_is_told_at_its_place() {
    let refused = |files: &[(&str, &str)], expected: &[&str]| {
        let problems = Folder::with(files).load().expect_err("must be refused");
        assert_eq!(problems, expected);
    };
    refused(
        &[],
        &["aione.yaml:1:1: the file `aione.yaml` cannot be read: No such file or directory (os error 2)"],
    );
    refused(
        &[("aione.yaml", &format!("include: [gone.yaml, none/*.yaml, folder]\n{SOUND}")), ("folder/x", "")],
        &[
            "aione.yaml:1:11: include: the file `gone.yaml` cannot be read: No such file or directory (os error 2)",
            "aione.yaml:1:35: include: the file `folder` cannot be read: not a regular file",
        ],
    );
    let secret = format!("secrets: {{ key_pepper: [file:gone, file:folder] }}\n{SOUND}");
    refused(
        &[("aione.yaml", &secret), ("folder/x", "")],
        &[
            "aione.yaml:1:25: secrets.key_pepper[0]: there is no file `gone`",
            "aione.yaml:1:36: secrets.key_pepper[1]: the file `folder` cannot be read: not a regular file",
        ],
    );
    let folder = Folder::with(&[]);
    fs::write(folder.path("aione.yaml"), b"a: 1\nb: \xff\n").expect("a file");
    assert_eq!(folder.load().expect_err("must be refused"), ["aione.yaml:2:1: not UTF-8"]);
    fs::write(folder.path("aione.yaml"), vec![b'#'; 100 << 20]).expect("a file");
    assert_eq!(
        folder.load().expect_err("must be refused"),
        ["aione.yaml:1:1: the file is larger than 1048576 bytes"]
    );
}

#[test]
fn there_are_not_more_files_than_the_bound() {
    let folder = Folder::with(&[("aione.yaml", &format!("include: ['more/*.yaml']\n{SOUND}"))]);
    (0..super::FILES_MAX).for_each(|number| folder.write(&format!("more/{number}.yaml"), "version: 1\n"));
    assert_eq!(
        folder.load().expect_err("must be refused"),
        ["aione.yaml:1:11: include: more than 256 files"]
    );
}

#[tokio::test]
async fn a_reload_publishes_all_or_nothing() {
    let folder = Folder::with(&[("aione.yaml", SOUND)]);
    let config = folder.config();
    let before = config.snapshot();
    folder.write("aione.yaml", "providers: [");
    let problems = config.reload().await.expect_err("must be refused");
    assert_eq!(problems, config.last_problems());
    assert_eq!(config.snapshot().version, before.version);

    let same = config.reload().await.expect_err("must be refused again, also without a change");
    assert_eq!(same, problems);
    folder.write("aione.yaml", &SOUND.replace("output: '4'", "output: '5'"));
    let reloaded = config.reload().await.expect("sound");
    assert_eq!(reloaded.version, config.snapshot().version);
    assert_ne!(reloaded.version, before.version);
    assert!(config.last_problems().is_empty());
    assert_eq!(*config.outcomes().borrow(), Outcomes { accepted: 1, refused: 2 });
    assert_eq!(before.prices.models.len(), 1, "who had pinned the old one still has it");
}

#[tokio::test]
async fn a_dry_run_tells_what_a_reload_would_do_and_leaves_all_as_it_is() {
    let folder = Folder::with(&[("aione.yaml", SOUND)]);
    let config = folder.config();
    let before = config.snapshot();
    folder.write("aione.yaml", &format!("{}server: {{ h2c: false }}\n", with_level("debug")));
    let (would, warnings) = config.check().await.expect("sound");
    assert_eq!(would.changes, ["log.level: \"info\" → \"debug\""]);
    assert_eq!(would.needs_restart, ["server.h2c: true → false"]);
    assert!(warnings.is_empty(), "{warnings:?}");

    folder.write("aione.yaml", "providers: [");
    let problems = config.check().await.expect_err("must be refused");
    assert_eq!(problems, config.check().await.expect_err("must be refused again"));
    assert_eq!(config.snapshot().version, before.version);
    assert!(config.last_problems().is_empty());
    assert_eq!(*config.outcomes().borrow(), Outcomes::default());

    folder.write("aione.yaml", &format!("{SOUND}billing: {{ currency: USD }}\n"));
    let problems = config.check().await.expect_err("must be refused");
    assert!(problems[0].to_string().contains("CNY → USD"), "{}", problems[0]);
}

/// A configuration under watch, until it is dropped.
struct Watching {
    config: Config,
    outcomes: watch::Receiver<Outcomes>,
    shutdown: watch::Sender<bool>,
    task: tokio::task::JoinSet<()>,
}

impl Watching {
    fn start(folder: &Folder) -> Self {
        let config = folder.config();
        let (shutdown, stopped) = watch::channel(false);
        let mut task = tokio::task::JoinSet::new();
        task.spawn(config.clone().watch(stopped));
        Self { outcomes: config.outcomes(), config, shutdown, task }
    }

    async fn until(&mut self, reached: impl FnMut(&Outcomes) -> bool) -> Outcomes {
        let waiting = tokio::time::timeout(PATIENCE, self.outcomes.wait_for(reached)).await;
        *waiting.expect("the change was not seen").expect("the watcher lives")
    }

    fn level(&self) -> String {
        self.config.snapshot().log.level.clone()
    }
}

fn with_level(level: &str) -> String {
    format!("{SOUND}log: {{ level: {level} }}\n")
}

#[tokio::test]
async fn a_file_is_seen_when_it_is_replaced_broken_removed_and_back() {
    let folder = Folder::with(&[("aione.yaml", SOUND)]);
    let mut watching = Watching::start(&folder);

    folder.write("aione.yaml", &with_level("warn"));
    watching.until(|outcomes| outcomes.accepted == 1).await;
    assert_eq!(watching.level(), "warn");

    folder.write("aione.yaml", &with_level("debug"));
    watching.until(|outcomes| outcomes.accepted == 2).await;
    assert_eq!(watching.level(), "debug");

    folder.write("aione.yaml", "models: [");
    watching.until(|outcomes| outcomes.refused == 1).await;
    assert_eq!(watching.level(), "debug");
    assert_eq!(watching.config.last_problems().len(), 1);

    fs::remove_file(folder.path("aione.yaml")).expect("removed");
    watching.until(|outcomes| outcomes.refused == 2).await;
    folder.write("aione.yaml", &with_level("trace"));
    watching.until(|outcomes| outcomes.accepted == 3).await;
    assert_eq!(watching.level(), "trace");

    watching.shutdown.send_replace(true);
    let ended = tokio::time::timeout(PATIENCE, watching.task.join_next()).await;
    assert!(matches!(ended, Ok(Some(Ok(())))), "{ended:?}");
}

/// The way of Kubernetes: `aione.yaml` → `..data/aione.yaml`, and `..data` → a dated folder.
#[tokio::test]
async fn a_swapped_link_on_the_way_is_seen_again_and_again() {
    let folder = Folder::with(&[("..one/aione.yaml", SOUND)]);
    symlink("..one", folder.path("..data")).expect("a link");
    symlink("..data/aione.yaml", folder.path("aione.yaml")).expect("a link");
    let mut watching = Watching::start(&folder);
    for (number, level) in ["warn", "error", "debug"].into_iter().enumerate() {
        let next = format!("..{number}");
        folder.write(&format!("{next}/aione.yaml"), &with_level(level));
        symlink(&next, folder.path("..tmp")).expect("a link");
        fs::rename(folder.path("..tmp"), folder.path("..data")).expect("swapped");
        watching.until(|outcomes| outcomes.accepted == number as u64 + 1).await;
        assert_eq!(watching.level(), level);
    }
}

#[tokio::test]
async fn included_files_and_secrets_are_watched_too() {
    let main = format!("include: ['more/*.yaml']\nsecrets: {{ key_pepper: file:secret/pepper }}\n{SOUND}");
    let token = "admin: { operator_tokens: ['file:../secret/token'] }\n";
    let folder = Folder::with(&[
        ("aione.yaml", &main),
        ("more/admin.yaml", token),
        ("secret/token", &"a".repeat(32)),
        ("secret/pepper", &"p".repeat(32)),
    ]);
    let mut watching = Watching::start(&folder);
    let first = watching.config.snapshot().admin.operator_tokens.clone();

    folder.write("secret/token", &"b".repeat(32));
    watching.until(|outcomes| outcomes.accepted == 1).await;
    assert_ne!(watching.config.snapshot().admin.operator_tokens, first);

    folder.write("more/log.yaml", "log: { level: warn }\n");
    watching.until(|outcomes| outcomes.accepted == 2).await;
    assert_eq!(watching.level(), "warn");

    folder.write("more/again.yaml", "log: { level: debug }\n");
    watching.until(|outcomes| outcomes.refused == 1).await;
    assert!(watching.config.last_problems()[0].message.contains("already defined at"));
}

#[tokio::test]
async fn a_thousand_writes_are_a_few_reloads_and_the_last_one_counts() {
    let folder = Folder::with(&[("aione.yaml", SOUND)]);
    let mut watching = Watching::start(&folder);
    for number in 0..1_000 {
        folder.overwrite("aione.yaml", &SOUND.replace("output: '4'", &format!("output: '{number}'")));
    }
    folder.overwrite("aione.yaml", &with_level("warn"));
    let config = watching.config.clone();
    let outcomes = watching.until(|_| config.snapshot().log.level == "warn").await;
    assert!(outcomes.accepted + outcomes.refused <= 20, "{outcomes:?}");
}

#[tokio::test]
async fn observers_see_what_is_published_and_only_that() {
    let folder = Folder::with(&[("aione.yaml", SOUND)]);
    let config = folder.config();
    let (published, mut seen) = tokio::sync::mpsc::unbounded_channel();
    config.on_publish(move |snapshot| published.send(snapshot.version).expect("the test listens"));
    config.reload().await.expect("sound");
    folder.write("aione.yaml", "");
    config.reload().await.expect_err("must be refused");
    folder.write("aione.yaml", &with_level("warn"));
    let version = config.reload().await.expect("sound").version;
    assert_eq!(seen.recv().await, Some(version));
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn what_cannot_be_prepared_is_refused_changes_nothing_and_is_tried_again() {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    };
    let folder = Folder::with(&[("aione.yaml", SOUND)]);
    let config = folder.config();
    let (fails, committed) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    for may_fail in [false, true] {
        let (fails, committed) = (fails.clone(), committed.clone());
        config.before_publish(move |_| {
            let fails = may_fail && fails.load(Ordering::SeqCst);
            let committed = committed.clone();
            let commit: super::Commit = Box::new(move || {
                committed.fetch_add(1, Ordering::SeqCst);
            });
            async move { if fails { Err("the prices cannot be kept".to_owned()) } else { Ok(commit) } }
        });
    }
    let before = config.snapshot().version;
    folder.write("aione.yaml", &with_level("warn"));
    for _ in 0..2 {
        let problems = config.reload().await.expect_err("must be refused");
        assert_eq!(problems, config.last_problems());
        assert!(
            problems[0].to_string().ends_with("aione.yaml:1:1: the prices cannot be kept"),
            "{problems:?}"
        );
        assert_eq!((config.snapshot().version, committed.load(Ordering::SeqCst)), (before, 0));
    }
    fails.store(false, Ordering::SeqCst);
    let reloaded = config.reload().await.expect("sound");
    assert_eq!(reloaded.changes, ["log.level: \"info\" → \"warn\""]);
    assert_eq!(committed.load(Ordering::SeqCst), 2);
    assert!(config.last_problems().is_empty());
    assert_eq!(*config.outcomes().borrow(), Outcomes { accepted: 1, refused: 2 });
}

#[tokio::test]
async fn a_minted_operator_token_is_in_every_configuration_that_follows() {
    use aione_core::config::snapshot::OperatorToken;
    let folder = Folder::with(&[("aione.yaml", SOUND)]);
    let minted = OperatorToken([7; 32]);
    let config = Config::with_operator(folder.origin(), folder.load().expect("sound"), minted.clone());
    assert!(config.reload().await.expect("sound").changes.is_empty());
    folder.write("aione.yaml", &with_level("warn"));
    config.reload().await.expect("sound");
    assert_eq!(config.snapshot().admin.operator_tokens, [minted]);
}

#[test]
fn a_file_without_permission_is_a_problem() {
    let folder = Folder::with(&[("aione.yaml", SOUND)]);
    let path = folder.path("aione.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("permissions");
    // Who may read everything is not refused, and has nothing to test here.
    if fs::read(&path).is_ok() {
        return;
    }
    let problems = folder.load().expect_err("must be refused");
    assert!(problems[0].starts_with("aione.yaml:1:1: the file `aione.yaml` cannot be read"), "{problems:?}");
}
