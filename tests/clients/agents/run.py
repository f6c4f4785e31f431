"""Coding agents against a built gateway: each completes a task with a tool call and a streamed answer.

    run.py AIONE FOLDER [AGENT…]

AIONE is the gateway's program; agents are installed once into FOLDER. Each agent speaks its own dialect, and meets a
model of every vendor's dialect. No vendor is reached: the models' upstream is `vendor.py`, and whatever an agent
would send elsewhere ends at a closed port. HOME is a temporary folder, and nothing else is in the environment.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from agents import AGENTS
from vendor import DIALECTS, Vendor

PATIENCE_SECONDS = 180
# Characters of what an agent said that are shown where it failed.
SHOWN = 4000
START_SECONDS = 30
TASK = "Write hello to greeting.txt"
TEXT = "The file greeting.txt is written, and all is well."
KINDS = {"anthropic_messages": "anthropic", "gemini": "gemini"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """The program in a folder of its own, with a model for each dialect of its upstream."""

    def __init__(self, program, vendor, folder):
        self.program, self.folder, self.port = program, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        names = [dialect.__name__ for dialect in DIALECTS]
        config = {
            "version": 1,
            "server": {"listen": f"127.0.0.1:{self.port}"},
            "admin": {"listen": f"127.0.0.1:{free_port()}"},
            "metrics": {"listen": f"127.0.0.1:{free_port()}"},
            "storage": {"database": "sqlite://data/aione.db", "journal": "data/journal"},
            "secrets": {"key_pepper": "file:data/pepper"},
            "log": {"format": "json"},
            "providers": {
                name: {
                    "kind": KINDS.get(name, "openai_compatible"),
                    "base_url": vendor.base_url,
                    "credentials": ["sk-upstream"],
                    **({} if name in KINDS else {"dialects": [name]}),
                }
                for name in names
            },
            "models": {
                name: {
                    "context_window": 200_000,
                    "max_output_tokens": 64_000,
                    "price": {
                        "input": "1",
                        "cache_read": "1",
                        "output": "1",
                        "cache_write_5m": "1",
                        "cache_write_1h": "1",
                    },
                    "route": {"deployments": [{"provider": name, "model": f"up-{name}"}]},
                }
                for name in names
            },
            "default_plan": "all",
            "plans": {"all": {"name": "All", "models": ["*"]}},
        }
        (folder / "aione.yaml").write_text(json.dumps(config, indent=1))
        self.log = open(folder / "log", "w")
        serve = [program, "serve", "-c", "aione.yaml"]
        self.process = subprocess.Popen(serve, cwd=folder, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        keys = [program, "keys", "create", "-c", "aione.yaml", "--name", "agents"]
        self.key = subprocess.run(keys, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"{self.url}/readyz", timeout=1).status == 200
        except OSError:
            return False

    def close(self):
        self.process.terminate()
        self.process.wait(START_SECONDS)
        self.log.close()


def install(agent, folder):
    """Where the agent's programs are; it is installed once."""
    place = folder / re.sub(r"[/@=]+", "-", agent.package).strip("-")
    mark = place / "installed"
    if not mark.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for command in agent.install(place):
            subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL)
        mark.write_text(agent.package)
    return place


def set_up(heading):
    """The commands below a heading of the page that tells of agents."""
    page = (Path(__file__).parents[3] / "docs/agents.md").read_text()
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    return section.split("```sh\n")[1].split("```")[0]


def environment(home, place, gateway, model):
    """All that an agent sees, before its set-up."""
    node = Path(shutil.which("node")).parent
    proxies = {f"{what}_PROXY": "http://127.0.0.1:9" for what in ("HTTP", "HTTPS", "ALL")}
    proxies["NO_PROXY"] = "127.0.0.1,localhost"
    return {
        "PATH": os.pathsep.join([str(place / "node_modules/.bin"), str(place / "bin"), str(node), "/usr/bin", "/bin"]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        **proxies,
        **{name.lower(): value for name, value in proxies.items()},
        "AIONE": gateway.url,
        "KEY": gateway.key,
        "MODEL": model,
    }


def ask(agent, place, gateway, model, folder):
    """How the agent ended, with all that it said."""
    (folder / "home").mkdir()
    (folder / "work").mkdir()
    (folder / "set-up.sh").write_text(set_up(agent.heading))
    command = ["sh", "-c", f'set -eu; . "{folder}/set-up.sh"; exec "$@"', "sh", *agent.command(TASK)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    everything = environment(folder / "home", place, gateway, model)
    process = subprocess.Popen(
        command, cwd=folder / "work", env=everything, start_new_session=True, text=True, errors="replace", **streams
    )
    try:
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        # With all that it has started.
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return "none in time", said
    return process.returncode, said


def complete(agent, place, gateway, vendor, model):
    """What went wrong; nothing where the task was completed."""
    with tempfile.TemporaryDirectory(prefix="aione-agent-", ignore_cleanup_errors=True) as temporary:
        target = Path(temporary) / "work/greeting.txt"
        calls = agent.calls(target)
        vendor.play(calls, agent.text(target, TEXT))
        code, said = ask(agent, place, gateway, model, Path(temporary))
        asked = [ask for ask in vendor.asked if ask["streamed"]]
        expected = {
            f"its exit is {code}": code == 0,
            "no stream was asked for": bool(asked),
            "another model was asked": {ask["dialect"] for ask in vendor.asked} <= {model},
            "no tool was called": not calls or any(ask["called"] for ask in asked),
            "no result of the tool came back": not calls or any(ask["results"] for ask in asked),
            "a call came back without its signature": not agent.keeps_signatures
            or not any(ask.get("unsigned") for ask in asked),
            "the file is not written": target.exists() and target.read_text() == "hello\n",
            "the answer is not shown": TEXT in said,
        }
    wrong = [why for why, is_fine in expected.items() if not is_fine]
    if wrong:
        print(said[-SHOWN:])
        for seen in vendor.asked:
            print({**seen, "results": str(seen["results"])[:SHOWN]})
    return wrong


def main(program, folder, *wanted):
    folder = Path(folder).resolve()
    faults = 0
    vendor = Vendor()
    with tempfile.TemporaryDirectory(prefix="aione-agents-") as own:
        gateway = Gateway(str(Path(program).resolve()), vendor, Path(own))
        try:
            for agent in AGENTS:
                if wanted and agent.heading not in wanted:
                    continue
                place = install(agent, folder)
                for dialect in DIALECTS:
                    model = dialect.__name__
                    began = time.monotonic()
                    wrong = complete(agent, place, gateway, vendor, model)
                    faults += bool(wrong)
                    took = f"{time.monotonic() - began:.0f} s"
                    print(f"{agent.package:36} {model:19}", "; ".join(wrong) or "completed", f"({took})", flush=True)
        finally:
            gateway.close()
            if faults:
                print((Path(own) / "log").read_text()[-3000:])
    vendor.close()
    sys.exit(1 if faults else 0)


main(*sys.argv[1:])
