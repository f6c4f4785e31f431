"""The agents: how each is installed, and asked without a person; docs/agents.md says how it is pointed at the gateway.

The versions are those that the tests were written against; a newer one is a change of its own.
"""

import sys


class Agent:
    # The heading of docs/agents.md whose commands are run before it, and what is installed.
    heading = package = ""
    # Whether it sends back what signs a call.
    keeps_signatures = True

    def install(self, place):
        yield ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(place), self.package]

    def calls(self, target):
        """The arguments by the names of tools that write `hello` into the file; none where it has no tools."""
        return {}

    def text(self, target, text):
        """What the last answer says."""
        return text

    def command(self, task):
        raise NotImplementedError


class Codex(Agent):
    heading, package = "Codex", "@openai/codex@0.169.0"

    def calls(self, target):
        shell = f"printf 'hello\\n' > {target}"
        return {
            "exec_command": {"cmd": shell},
            "shell_command": {"command": shell},
            "shell": {"command": ["sh", "-c", shell]},
        }

    def command(self, task):
        # The folder is no repository, and nobody is there to approve.
        return ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", task]


class GeminiCli(Agent):
    heading, package = "Gemini CLI", "@google/gemini-cli@0.61.0"

    def calls(self, target):
        return {"write_file": {"file_path": str(target), "content": "hello\n"}}

    def command(self, task):
        return ["gemini", "--skip-trust", "--approval-mode", "yolo", "-p", task]


class ClaudeCode(Agent):
    heading, package = "Claude Code", "@anthropic-ai/claude-code@2.1.330"

    def calls(self, target):
        return {"Write": {"file_path": str(target), "content": "hello\n"}}

    def command(self, task):
        return ["claude", "-p", task, "--allowedTools", "Write"]


class Opencode(Agent):
    heading, package = "opencode", "opencode-ai@1.18.33"
    # Its library for this dialect keeps it under the provider's name, and looks for it under Google's.
    keeps_signatures = False

    def calls(self, target):
        return {"write": {"filePath": str(target), "content": "hello\n"}}

    def command(self, task):
        return ["opencode", "run", "--auto", task]


class Aider(Agent):
    heading, package = "aider", "aider-chat==0.86.2"

    def install(self, place):
        yield [sys.executable, "-m", "venv", str(place)]
        yield [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", self.package]

    def text(self, target, text):
        return f"{text}\n\n{target.name}\n```\nhello\n```\n"

    def command(self, task):
        options = ["--yes-always", "--no-git", "--no-check-update", "--no-show-model-warnings", "--analytics-disable"]
        return ["aider", *options, "--edit-format", "whole", "--message", task, "greeting.txt"]


AGENTS = (Codex(), GeminiCli(), ClaudeCode(), Opencode(), Aider())
