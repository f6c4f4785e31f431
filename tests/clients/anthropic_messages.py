"""What the official Anthropic SDK sees of the gateway."""

import os
import time

import anthropic
from anthropic import Anthropic
from common import AIONE, CITY, KEY, MODELS, raised, run, simulate

client = Anthropic(base_url=AIONE, api_key=KEY, max_retries=0, timeout=30)
ASK = [{"role": "user", "content": "Say it."}]
TOOL = {"name": "get_weather", "description": "The weather of a city", "input_schema": CITY}
LONGEST_RETRY_SECONDS = 10


def plain(model):
    answer = client.messages.create(model=model, max_tokens=100, messages=ASK, system="Be brief.")
    assert answer.content[0].type == "text" and answer.content[0].text, answer
    assert answer.stop_reason == "end_turn" and answer.role == "assistant", answer
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer.usage
    assert answer._request_id, answer
    raw = client.messages.with_raw_response.create(model=model, max_tokens=100, messages=ASK)
    assert raw.headers["request-id"] == raw.parse()._request_id


def streamed(model):
    with client.messages.stream(model=model, max_tokens=100, messages=ASK) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text and message.content[0].text == text, message
    assert message.stop_reason == "end_turn" and message.usage.output_tokens > 1, message
    assert message.usage.input_tokens > 0, message.usage
    events = list(client.messages.create(model=model, max_tokens=100, messages=ASK, stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds
    plain = client.messages.create(model=model, max_tokens=100, messages=ASK)
    assert plain.content[0].text == text and plain.usage.output_tokens == message.usage.output_tokens


def length(model):
    asks = dict(model=model, max_tokens=16, messages=ASK, extra_headers=simulate("tokens=60"))
    answer = client.messages.create(**asks)
    assert answer.stop_reason == "max_tokens" and answer.usage.output_tokens == 16, answer


def second_turn(model, first, **more):
    call = next(block for block in first.content if block.type == "tool_use")
    assert first.stop_reason == "tool_use" and call.name == "get_weather" and call.input["city"], first
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Rain."}
    messages = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    return dict(model=model, max_tokens=4000, messages=messages, tools=[TOOL], **more)


def tools_over_two_turns(model):
    named = {"type": "tool", "name": "get_weather"}
    first = client.messages.create(model=model, max_tokens=400, messages=ASK, tools=[TOOL], tool_choice=named)
    answer = client.messages.create(**second_turn(model, first))
    assert answer.content[0].text and answer.stop_reason == "end_turn", answer


def streamed_tools_over_two_turns(model):
    with client.messages.stream(
        model=model, max_tokens=400, messages=ASK, tools=[TOOL], tool_choice={"type": "any"}
    ) as stream:
        events = list(stream)
        first = stream.get_final_message()
    assert any(event.type == "input_json" for event in events), events
    with client.messages.stream(**second_turn(model, first)) as stream:
        assert stream.get_final_text()


def thinking_is_sent_back(model):
    thinking = {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}
    asks = dict(model=model, max_tokens=4000, messages=ASK, tools=[TOOL], thinking=thinking)
    for streams in (False, True):
        if streams:
            with client.messages.stream(**asks) as stream:
                signatures = [event for event in stream if event.type == "signature"]
                first = stream.get_final_message()
            assert signatures or model == "openai_chat", first
        else:
            first = client.messages.create(**asks)
        thoughts = [block for block in first.content if block.type == "thinking"]
        # Chat has no place for a thought.
        assert thoughts or model == "openai_chat", first
        # Of Gemini's the text is one block, and what signs the call another.
        assert model == "openai_chat" or any(block.signature for block in thoughts), first
        answer = client.messages.create(**second_turn(model, first, thinking=thinking))
        assert any(block.type == "text" for block in answer.content), answer


def caching(model):
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    answer = client.messages.create(model=model, max_tokens=100, messages=ASK, system=system)
    assert answer.content[0].text, answer


def counts(model):
    counted = client.messages.count_tokens(model=model, messages=ASK, system="Be brief.", tools=[TOOL])
    assert counted.input_tokens > 0, counted


def models_page_by_page():
    page = client.models.list(limit=2)
    assert len(page.data) == 2 and page.has_more, page
    ids = [model.id for model in client.models.list(limit=2)]
    assert sorted(ids) == sorted([*MODELS, "embedding"]), ids
    assert client.models.retrieve(MODELS[0]).id == MODELS[0]
    error = raised(anthropic.NotFoundError, "no such model", lambda: client.models.retrieve("missing"))
    assert error.body["error"]["type"] == "not_found_error", error.body


ERRORS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    409: anthropic.ConflictError,
    413: anthropic.APIStatusError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    503: anthropic.InternalServerError,
    529: anthropic.InternalServerError,
}


def errors_of_the_upstream(model):
    for status, kind in ERRORS.items():
        for stream in (False, True):
            headers = simulate(f"status={status}")
            asks = dict(model=model, max_tokens=100, messages=ASK, stream=stream, extra_headers=headers)
            error = raised(kind, f"{status}", lambda: client.messages.create(**asks))
            assert error.status_code == status and f"Simulated error {status}" in str(error), error
            assert error.request_id, error
            assert error.body["type"] == "error" and error.body["error"]["type"], error.body


def error_in_mid_stream(model):
    for what in ("error_event=3", "cut_after=3"):

        def read():
            headers = simulate(f"tokens=50,{what}")
            with client.messages.stream(model=model, max_tokens=100, messages=ASK, extra_headers=headers) as stream:
                stream.get_final_message()

        error = raised(anthropic.APIError, what, read)
        assert error.body["error"]["message"] and error.body["request_id"], error.body


def refusals_of_the_gateway():
    ask = lambda **change: client.messages.create(**{"max_tokens": 9, "messages": ASK, **change})
    error = raised(anthropic.NotFoundError, "no such model", lambda: ask(model="missing"))
    assert error.body["error"]["type"] == "not_found_error" and error.request_id, error.body
    stranger = client.with_options(api_key="sk-aione-wrong")
    error = raised(anthropic.AuthenticationError, "a wrong key", stranger.models.list)
    assert error.body["error"]["type"] == "authentication_error", error.body


def our_429_tells_the_sdk_when_to_come_back():
    limited = client.with_options(api_key=os.environ["LIMITED_KEY"])
    asks = dict(model=MODELS[2], max_tokens=9, messages=ASK)
    limited.messages.create(**asks)
    error = raised(anthropic.RateLimitError, "a second request", lambda: limited.messages.create(**asks))
    headers = error.response.headers
    assert error.body["error"]["type"] == "rate_limit_error", error.body
    assert headers["anthropic-ratelimit-requests-remaining"] == "0", headers
    assert 0 < int(headers["retry-after-ms"]) <= 61_000 and 0 < int(headers["retry-after"]) <= 61


def sdk_retries_a_429_by_our_headers(model):
    calls = []
    patient = client.with_options(max_retries=1)
    send = patient._client.send

    def counting(*args, **kwargs):
        calls.append(time.monotonic())
        return send(*args, **kwargs)

    patient._client.send = counting
    headers = simulate("status=429,retry_after=1")
    asks = lambda: patient.messages.create(model=model, max_tokens=9, messages=ASK, extra_headers=headers)
    raised(anthropic.RateLimitError, "429 after 429", asks)
    patient._client.send = send
    assert len(calls) == 2 and 0.9 <= calls[1] - calls[0] < LONGEST_RETRY_SECONDS, calls


run(
    plain,
    streamed,
    length,
    tools_over_two_turns,
    streamed_tools_over_two_turns,
    thinking_is_sent_back,
    caching,
    counts,
    models_page_by_page,
    errors_of_the_upstream,
    error_in_mid_stream,
    refusals_of_the_gateway,
    our_429_tells_the_sdk_when_to_come_back,
    sdk_retries_a_429_by_our_headers,
)
