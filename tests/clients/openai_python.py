"""What the official SDK sees of the gateway: `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `LIMITED_KEY` say where and who.

The simulated provider does what the header `x-aione-simulate` asks for.
"""

import os
import time

import openai
from openai import OpenAI

CHAT = "sim-1"
EMBED = "sim-embed"
ASK = [{"role": "user", "content": "Say it."}]
LONGEST_RETRY_SECONDS = 10

client = OpenAI(max_retries=0, timeout=30)


def simulate(text):
    return {"x-aione-simulate": text}


def plain_chat():
    answer = client.chat.completions.create(model=CHAT, messages=ASK)
    assert answer.choices[0].message.content, answer
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    raw = client.chat.completions.with_raw_response.create(model=CHAT, messages=ASK)
    assert raw.headers["x-request-id"], raw.headers
    assert raw.parse()._request_id == raw.headers["x-request-id"]


def streamed_chat():
    chunks = list(client.chat.completions.create(model=CHAT, messages=ASK, stream=True))
    assert all(chunk.choices for chunk in chunks), "a chunk without choices was not asked for"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop", chunks[-1]


def streamed_chat_with_usage():
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=CHAT, messages=ASK, stream=True, stream_options=options))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1]
    assert all(chunk.usage is None for chunk in chunks[:-1])


def tools():
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    forced = {"type": "function", "function": {"name": "get_weather"}}
    answer = client.chat.completions.create(model=CHAT, messages=ASK, tools=[tool], tool_choice=forced)
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather", call
    assert call.function.arguments.startswith("{"), call
    name, arguments = "", ""
    for chunk in client.chat.completions.create(model=CHAT, messages=ASK, tools=[tool], tool_choice=forced, stream=True):
        for part in chunk.choices[0].delta.tool_calls or []:
            name += part.function.name or ""
            arguments += part.function.arguments or ""
    assert name == "get_weather" and arguments.startswith("{"), (name, arguments)


def embeddings():
    answer = client.embeddings.create(model=EMBED, input=["one", "two"], encoding_format="float")
    assert len(answer.data) == 2 and len(answer.data[0].embedding) > 1, answer
    assert answer.usage.prompt_tokens > 0


def models():
    ids = [model.id for model in client.models.list()]
    assert CHAT in ids and EMBED in ids, ids
    assert client.models.retrieve(CHAT).id == CHAT


ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


def errors_of_the_upstream():
    for status, kind in ERRORS.items():
        for stream in (False, True):
            try:
                client.chat.completions.create(
                    model=CHAT, messages=ASK, stream=stream, extra_headers=simulate(f"status={status}")
                )
            except kind as error:
                assert error.status_code == status, error
                assert error.message and isinstance(error.body, dict), error
                assert error.response.headers["x-request-id"]
            else:
                raise AssertionError(f"no {kind.__name__} for {status}")


def refusals_of_the_gateway():
    for change, kind, code in (
        ({"model": "missing"}, openai.NotFoundError, "model_not_found"),
        ({"model": CHAT, "max_tokens": -1}, openai.BadRequestError, "invalid_request"),
    ):
        try:
            client.chat.completions.create(**{"messages": ASK, **change})
        except kind as error:
            assert error.code == code, error
            assert error.type, error
        else:
            raise AssertionError(f"no {kind.__name__}")
    try:
        client.with_options(api_key="sk-aione-wrong").models.list()
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error
    else:
        raise AssertionError("a wrong key lists models")


def error_in_mid_stream():
    for what in ("error_event=2", "cut_after=2"):
        seen = 0
        try:
            for _ in client.chat.completions.create(
                model=CHAT, messages=ASK, stream=True, extra_headers=simulate(f"tokens=50,{what}")
            ):
                seen += 1
        except Exception as error:  # an APIError, or the transport's own where the framing breaks
            assert seen > 0, (what, error)
        else:
            raise AssertionError(f"{what}: a clean end")


def our_429_tells_the_sdk_when_to_come_back():
    limited = client.with_options(api_key=os.environ["LIMITED_KEY"])
    limited.chat.completions.create(model=CHAT, messages=ASK)
    try:
        limited.chat.completions.create(model=CHAT, messages=ASK)
    except openai.RateLimitError as error:
        assert error.code == "rate_limit_exceeded", error
        headers = error.response.headers
        assert headers["x-aione-refused"] == "rate_limit_exceeded"
        assert 0 < int(headers["retry-after-ms"]) <= 61_000 and 0 < int(headers["retry-after"]) <= 61
    else:
        raise AssertionError("a second request under a limit of one")


def sdk_retries_a_429_by_our_headers():
    began = time.monotonic()
    calls = []
    patient = OpenAI(max_retries=1, timeout=30)
    send = patient._client.send

    def counting(*args, **kwargs):
        calls.append(time.monotonic())
        return send(*args, **kwargs)

    patient._client.send = counting
    try:
        patient.chat.completions.create(
            model=CHAT, messages=ASK, extra_headers=simulate("status=429,retry_after=1")
        )
    except openai.RateLimitError:
        pass
    else:
        raise AssertionError("429 after 429 is an error")
    assert len(calls) == 2, calls
    assert 0.9 <= calls[1] - calls[0] < LONGEST_RETRY_SECONDS, calls
    assert time.monotonic() - began < LONGEST_RETRY_SECONDS


def own_parameters_pass():
    answer = client.chat.completions.create(model=CHAT, messages=ASK, extra_headers=simulate("seed=7,tokens=12"))
    again = client.chat.completions.create(model=CHAT, messages=ASK, extra_headers=simulate("seed=7,tokens=12"))
    assert answer.choices[0].message.content == again.choices[0].message.content
    assert answer.usage.completion_tokens == 12, answer.usage


for step in (
    plain_chat,
    streamed_chat,
    streamed_chat_with_usage,
    tools,
    embeddings,
    models,
    own_parameters_pass,
    errors_of_the_upstream,
    refusals_of_the_gateway,
    error_in_mid_stream,
    our_429_tells_the_sdk_when_to_come_back,
    sdk_retries_a_429_by_our_headers,
):
    step()
    print(step.__name__, "ok", flush=True)
print("all as expected")
