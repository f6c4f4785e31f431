"""What the scripts of the Python SDKs share: where the gateway is, and the order of their steps.

`AIONE`, `KEY` and `LIMITED_KEY` (one request a minute) say where and who. Of the four models each has the name
of the dialect that its simulated provider speaks, and speaks alone; `x-aione-simulate` asks it for something.
"""

import os

AIONE = os.environ["AIONE"]
KEY = os.environ["KEY"]
MODELS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def simulate(text):
    return {"x-aione-simulate": text}


def raised(kind, what, call):
    """The exception of `kind` that `call` raises; any other, or none, is a failure."""
    try:
        call()
    except Exception as error:
        assert isinstance(error, kind), f"{what}: {error!r} instead of {kind}"
        return error
    raise AssertionError(f"{what}: no {kind}")


def run(*steps):
    """Each step with each model it takes, each with its name."""
    for step in steps:
        takes_model = step.__code__.co_argcount == 1
        for arguments in [(model,) for model in MODELS] if takes_model else [()]:
            try:
                step(*arguments)
            except Exception:
                print(step.__name__, *arguments, "failed", flush=True)
                raise
            print(step.__name__, *arguments, "ok", flush=True)
    print("all as expected")
