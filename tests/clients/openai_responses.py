"""What the official OpenAI SDK sees of the gateway in Responses."""

import json

import openai
from openai import OpenAI
from pydantic import BaseModel

from common import AIONE, CITY, KEY, raised, run, simulate

client = OpenAI(base_url=f"{AIONE}/v1", api_key=KEY, max_retries=0, timeout=30)
ASK = [{"role": "user", "content": "Say it."}]
TOOL = {"type": "function", "name": "get_weather", "description": "Of a city", "parameters": CITY, "strict": False}
THINKING = {
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
}


def plain(model):
    answer = client.responses.create(model=model, input="Say it.", instructions="Be brief.")
    assert answer.output_text and answer.status == "completed", answer
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer.usage
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert answer._request_id, answer


def streamed(model):
    events = list(client.responses.create(model=model, input=ASK, stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert [event.sequence_number for event in events] == list(range(len(events))), kinds
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    final = events[-1].response
    assert text and final.output_text == text and final.usage.output_tokens > 0, final
    assert final.id == events[0].response.id
    # The helper folds the events itself, and fails where one refers to what was not begun.
    with client.responses.stream(model=model, input=ASK) as stream:
        seen = list(stream)
        folded = stream.get_final_response()
    assert folded.output_text == text, (folded, text)
    assert "response.output_item.done" in {event.type for event in seen}


def second_turn(model, first, streams):
    call = next(item for item in first.output if item.type == "function_call")
    assert call.name == "get_weather" and call.call_id and json.loads(call.arguments)["city"], call
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}
    asks = dict(model=model, input=[*ASK, *first.output, result], tools=[TOOL])
    if not streams:
        return client.responses.create(**asks)
    with client.responses.stream(**asks) as stream:
        return stream.get_final_response()


def tools_over_two_turns(model):
    named = {"type": "function", "name": "get_weather"}
    first = client.responses.create(model=model, input=ASK, tools=[TOOL], tool_choice=named)
    assert second_turn(model, first, streams=False).output_text


def streamed_tools_over_two_turns(model):
    with client.responses.stream(model=model, input=ASK, tools=[TOOL], tool_choice="required") as stream:
        events = list(stream)
        first = stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    call = next(item for item in first.output if item.type == "function_call")
    assert "".join(deltas) == call.arguments, (deltas, call)
    assert second_turn(model, first, streams=True).output_text


def reasoning_is_sent_back(model):
    # Chat has no place for a thought.
    for streams in (False, True):
        asks = dict(model=model, input=ASK, tools=[TOOL], **THINKING)
        if streams:
            with client.responses.stream(**asks) as stream:
                first = stream.get_final_response()
        else:
            first = client.responses.create(**asks)
        thoughts = [item for item in first.output if item.type == "reasoning"]
        if model == "openai_chat":
            assert not thoughts, first
        else:
            # Of Gemini's the summary is one item, and what signs the call another.
            assert any(thought.encrypted_content for thought in thoughts), first
            assert first.usage.output_tokens_details.reasoning_tokens > 0, first.usage
        assert second_turn(model, first, streams).output_text


class City(BaseModel):
    name: str
    inhabitants: int


def structured(model):
    answer = client.responses.parse(model=model, input=ASK, text_format=City)
    assert isinstance(answer.output_parsed, City) and answer.output_parsed.name, answer


def length(model):
    answer = client.responses.create(
        model=model, input=ASK, max_output_tokens=16, extra_headers=simulate("tokens=60")
    )
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens", answer
    assert answer.usage.output_tokens == 16, answer.usage


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
            asks = dict(model=model, input=ASK, stream=stream, extra_headers=simulate(f"status={status}"))
            error = raised(kind, f"{status}", lambda: client.responses.create(**asks))
            assert error.status_code == status and f"Simulated error {status}" in error.message, error
            assert error.request_id and isinstance(error.body, dict), error


def error_in_mid_stream(model):
    def read(what):
        headers = simulate(f"tokens=50,{what}")
        return list(client.responses.create(model=model, input=ASK, stream=True, extra_headers=headers))

    error = raised(openai.APIError, "an error in mid-stream", lambda: read("error_event=5"))
    assert "Simulated error" in error.message, error
    raised(openai.APIError, "a stream that breaks off", lambda: read("cut_after=5"))


def what_is_not_kept_cannot_be_gone_on_from():
    asks = lambda: client.responses.create(model="openai_chat", input=ASK, previous_response_id="resp_1")
    error = raised(openai.BadRequestError, "an earlier response", asks)
    assert error.param == "previous_response_id", error
    raised(openai.NotFoundError, "an answer of before", lambda: client.responses.retrieve("resp_1"))


run(
    plain,
    streamed,
    tools_over_two_turns,
    streamed_tools_over_two_turns,
    reasoning_is_sent_back,
    structured,
    length,
    errors_of_the_upstream,
    error_in_mid_stream,
    what_is_not_kept_cannot_be_gone_on_from,
)
