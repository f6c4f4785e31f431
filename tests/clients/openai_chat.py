"""What the official OpenAI SDK sees of the gateway in its first dialect, chat completions."""

import json
import os
import time

import openai
from openai import OpenAI
from pydantic import BaseModel

from common import AIONE, CITY, KEY, MODELS, raised, run, simulate

EMBED = "embedding"
RECORDED = "openai_chat"
ASK = [{"role": "user", "content": "Say it."}]
LONGEST_RETRY_SECONDS = 10

client = OpenAI(base_url=f"{AIONE}/v1", api_key=KEY, max_retries=0, timeout=30)


def plain(model):
    answer = client.chat.completions.create(model=model, messages=ASK)
    assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop", answer
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASK)
    assert raw.headers["x-request-id"], raw.headers
    assert raw.parse()._request_id == raw.headers["x-request-id"]


def streamed(model):
    chunks = list(client.chat.completions.create(model=model, messages=ASK, stream=True))
    assert all(chunk.choices for chunk in chunks), "a chunk without choices was not asked for"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop", chunks[-1]
    assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
    assert len({chunk.id for chunk in chunks}) == 1, chunks
    assert text == client.chat.completions.create(model=model, messages=ASK).choices[0].message.content


def streamed_with_usage(model):
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=model, messages=ASK, stream=True, stream_options=options))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1]
    assert all(chunk.usage is None for chunk in chunks[:-1])


WEATHER = {"name": "get_weather", "description": "The weather of a city", "parameters": CITY}
TOOL = {"type": "function", "function": WEATHER}
FORCED = {"type": "function", "function": {"name": "get_weather"}}


def tools_over_two_turns(model):
    answer = client.chat.completions.create(model=model, messages=ASK, tools=[TOOL], tool_choice=FORCED)
    message = answer.choices[0].message
    call = message.tool_calls[0]
    assert answer.choices[0].finish_reason in ("tool_calls", "stop"), answer
    assert call.function.name == "get_weather" and call.id, call
    assert json.loads(call.function.arguments)["city"], call
    result = {"role": "tool", "tool_call_id": call.id, "content": "Rain."}
    answer = client.chat.completions.create(model=model, messages=[*ASK, message, result], tools=[TOOL])
    assert answer.choices[0].message.content and not answer.choices[0].message.tool_calls, answer


def streamed_tools_over_two_turns(model):
    with client.chat.completions.stream(model=model, messages=ASK, tools=[TOOL], tool_choice="required") as stream:
        events = list(stream)
        message = stream.get_final_completion().choices[0].message
    assert any(event.type == "tool_calls.function.arguments.delta" for event in events), events
    call = message.tool_calls[0]
    assert call.function.name == "get_weather" and json.loads(call.function.arguments)["city"], call
    result = {"role": "tool", "tool_call_id": call.id, "content": "Rain."}
    messages = [*ASK, message.model_dump(exclude_none=True), result]
    with client.chat.completions.stream(model=model, messages=messages, tools=[TOOL]) as stream:
        assert stream.get_final_completion().choices[0].message.content


class City(BaseModel):
    name: str
    inhabitants: int


def structured(model):
    answer = client.chat.completions.parse(model=model, messages=ASK, response_format=City)
    city = answer.choices[0].message.parsed
    assert isinstance(city, City) and city.name, answer


def embeddings():
    answer = client.embeddings.create(model=EMBED, input=["one", "two"], encoding_format="float")
    assert len(answer.data) == 2 and len(answer.data[0].embedding) > 1, answer
    assert answer.usage.prompt_tokens > 0


def recordings():
    sound = ("speech.mp3", b"sound" * 4000)
    answer = client.audio.transcriptions.create(model=RECORDED, file=sound, language="en", prompt="Ada, Grace")
    assert answer.text and answer.usage.type == "tokens", answer
    assert answer.usage.input_token_details.audio_tokens == 50, answer.usage
    events = list(client.audio.transcriptions.create(model=RECORDED, file=sound, stream=True))
    assert events[-1].type == "transcript.text.done" and events[-1].usage.output_tokens > 0, events[-1]
    told = "".join(event.delta for event in events[:-1])
    assert told == events[-1].text == answer.text, events
    in_english = client.audio.translations.create(model=RECORDED, file=sound, response_format="verbose_json")
    assert in_english.text == answer.text and in_english.segments[0].text == answer.text, in_english
    error = raised(openai.BadRequestError, "an upstream's error", lambda: client.audio.transcriptions.create(
        model=RECORDED, file=sound, extra_headers=simulate("status=400")
    ))
    assert "Simulated error 400" in error.message, error


def models():
    ids = [model.id for model in client.models.list()]
    assert sorted(ids) == sorted([*MODELS, EMBED]), ids
    assert client.models.retrieve(MODELS[0]).id == MODELS[0]


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


def errors_of_the_upstream(model):
    for status, kind in ERRORS.items():
        for stream in (False, True):
            asks = dict(model=model, messages=ASK, stream=stream, extra_headers=simulate(f"status={status}"))
            error = raised(kind, f"{status}", lambda: client.chat.completions.create(**asks))
            assert error.status_code == status, error
            assert f"Simulated error {status}" in error.message and isinstance(error.body, dict), error
            assert error.response.headers["x-request-id"] == error.request_id


def refusals_of_the_gateway():
    for change, kind, code in (
        ({"model": "missing"}, openai.NotFoundError, "model_not_found"),
        ({"model": MODELS[0], "max_tokens": -1}, openai.BadRequestError, "invalid_request"),
    ):
        error = raised(kind, code, lambda: client.chat.completions.create(**{"messages": ASK, **change}))
        assert error.code == code and error.type, error
    stranger = client.with_options(api_key="sk-aione-wrong")
    error = raised(openai.AuthenticationError, "a wrong key", stranger.models.list)
    assert error.code == "invalid_api_key", error


def error_in_mid_stream(model):
    for what in ("error_event=2", "cut_after=2"):
        headers = simulate(f"tokens=50,{what}")
        asks = dict(model=model, messages=ASK, stream=True, extra_headers=headers)
        raised(openai.APIError, what, lambda: list(client.chat.completions.create(**asks)))


def our_429_tells_the_sdk_when_to_come_back():
    limited = client.with_options(api_key=os.environ["LIMITED_KEY"])
    limited.chat.completions.create(model=MODELS[0], messages=ASK)
    again = lambda: limited.chat.completions.create(model=MODELS[0], messages=ASK)
    error = raised(openai.RateLimitError, "a second request under a limit of one", again)
    assert error.code == "rate_limit_exceeded", error
    headers = error.response.headers
    assert headers["x-aione-refused"] == "rate_limit_exceeded"
    assert 0 < int(headers["retry-after-ms"]) <= 61_000 and 0 < int(headers["retry-after"]) <= 61


def sdk_retries_a_429_by_our_headers(model):
    began = time.monotonic()
    calls = []
    patient = client.with_options(max_retries=1)
    send = patient._client.send

    def counting(*args, **kwargs):
        calls.append(time.monotonic())
        return send(*args, **kwargs)

    patient._client.send = counting
    headers = simulate("status=429,retry_after=1")
    asks = lambda: patient.chat.completions.create(model=model, messages=ASK, extra_headers=headers)
    raised(openai.RateLimitError, "429 after 429", asks)
    patient._client.send = send
    assert len(calls) == 2, calls
    assert 0.9 <= calls[1] - calls[0] < LONGEST_RETRY_SECONDS, calls
    assert time.monotonic() - began < LONGEST_RETRY_SECONDS


def own_parameters_pass(model):
    asks = lambda: client.chat.completions.create(
        model=model, messages=ASK, extra_headers=simulate("seed=7,tokens=12")
    )
    answer, again = asks(), asks()
    assert answer.choices[0].message.content == again.choices[0].message.content
    assert answer.usage.completion_tokens == 12, answer.usage


run(
    plain,
    streamed,
    streamed_with_usage,
    tools_over_two_turns,
    streamed_tools_over_two_turns,
    structured,
    embeddings,
    recordings,
    models,
    own_parameters_pass,
    errors_of_the_upstream,
    refusals_of_the_gateway,
    error_in_mid_stream,
    our_429_tells_the_sdk_when_to_come_back,
    sdk_retries_a_429_by_our_headers,
)
