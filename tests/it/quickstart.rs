//! The quick start: what it prints works when it is pasted, and goes on working.

use crate::support::wait;
use std::{
    fs::{self, File},
    process::{Child, Command, Output, Stdio},
};

/// What runs a command in a room with a network of its own, where the fixed ports are free.
const ROOM: [&str; 3] = ["unshare", "--map-root-user", "--net"];

/// `aione serve` without a file, in a folder of its own.
struct QuickStart {
    folder: tempfile::TempDir,
    child: Child,
    /// Where the system gives no rooms, the ports must be free on this machine.
    has_room: bool,
}

impl QuickStart {
    fn start(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("aione-it-").tempdir().unwrap();
        let tried = Command::new(ROOM[0]).args(&ROOM[1..]).args(["ip", "link", "set", "lo", "up"]).output();
        let has_room = tried.is_ok_and(|output| output.status.success());
        let mut command = if has_room {
            let mut command = Command::new(ROOM[0]);
            command.args(&ROOM[1..]).args(["sh", "-c", "ip link set lo up && exec \"$0\" serve"]);
            command.arg(env!("CARGO_BIN_EXE_aione"));
            command
        } else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_aione"));
            command.arg("serve");
            command
        };
        let output = |name: &str| File::create(folder.path().join(name)).unwrap();
        command.current_dir(folder.path()).env_remove("AIONE_OPERATOR_TOKEN");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(output("stdout")).stderr(output("stderr"));
        Self { child: command.spawn().unwrap(), folder, has_room }
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(name)).unwrap()).into_owned()
    }

    /// The call that is printed last, once it is there as a whole.
    async fn printed_call(&self) -> String {
        let found = wait::until_within(wait::PATIENCE, async || {
            let said = self.text("stdout");
            let last = said.strip_suffix('\n')?.lines().last()?;
            last.starts_with("curl ").then(|| last.to_owned())
        });
        match found.await {
            Some(call) => call,
            None => panic!("no call was printed:\n{}\n{}", self.text("stdout"), self.text("stderr")),
        }
    }

    /// Runs a line as somebody would who pastes it into a terminal.
    fn paste(&self, line: &str) -> Output {
        let pid = self.child.id().to_string();
        let mut command = if self.has_room {
            let mut command = Command::new("nsenter");
            command.args(["--target", &pid, "--user", "--net", "--preserve-credentials", "sh", "-c", line]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        };
        command.output().unwrap()
    }

    fn expect_streams(&self, call: &str) {
        let output = self.paste(call);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.starts_with("data: "), "{output:?}");
        assert!(said.ends_with("data: [DONE]\n\n"), "{said}");
    }

    /// The status of a call that an operator makes.
    fn operator(&self, method: &str, path: &str, token: &str) -> String {
        let line = format!(
            "curl -s -o /dev/null -w '%{{http_code}}' -X {method} -H 'Authorization: Bearer {token}' \
             http://127.0.0.1:8081/api/v1{path}"
        );
        String::from_utf8_lossy(&self.paste(&line).stdout).into_owned()
    }

    fn reloads(&self) -> usize {
        self.text("stderr").matches("configuration reloaded").count()
    }

    async fn hang_up(&self) {
        let before = self.reloads();
        let kill = format!("kill -HUP {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        wait::until("the reload", async || (self.reloads() > before).then_some(())).await;
    }
}

impl Drop for QuickStart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}\n{}", self.text("stdout"), self.text("stderr"));
        }
    }
}

#[tokio::test]
async fn the_printed_call_streams_and_the_printed_operator_token_outlives_every_reload() {
    let quick = QuickStart::start(&[]);
    let call = quick.printed_call().await;
    quick.expect_streams(&call);
    let said = quick.text("stdout");
    let token = said.lines().find_map(|line| line.strip_prefix("Operator token of this run: ")).unwrap();
    // The first start makes the pepper, which the watch sees and reads.
    wait::until("the first reading", async || (quick.reloads() > 0).then_some(())).await;
    assert_eq!(quick.operator("GET", "/config", token), "200");
    quick.hang_up().await;
    assert_eq!(quick.operator("POST", "/config/reload", token), "200");
    assert_eq!(quick.operator("GET", "/config", token), "200");
    assert!(!quick.text("stderr").contains("operator_tokens: changed"), "{}", quick.text("stderr"));
    quick.expect_streams(&call);
    for (place, text) in [("the log", quick.text("stderr")), ("the answer", call)] {
        assert!(!text.contains(token), "the operator token is in {place}");
    }
}

#[tokio::test]
async fn an_operator_token_from_the_environment_leaves_the_printed_call() {
    let token = "op-of-the-environment-0123456789abcdefghij";
    let quick = QuickStart::start(&[("AIONE_OPERATOR_TOKEN", token)]);
    let call = quick.printed_call().await;
    quick.expect_streams(&call);
    assert_eq!(quick.operator("GET", "/config", token), "200");
    assert!(!quick.text("stdout").contains(token), "what the caller chose is not repeated");
}
