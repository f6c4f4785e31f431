"""What Google's official SDK sees of the gateway; `API_VERSION` is the one it calls."""

import os

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from common import AIONE, KEY, MODELS, raised, run, simulate

VERSION = os.environ["API_VERSION"]
ASK = "Say it."


def connect(key=KEY, headers=None):
    options = types.HttpOptions(base_url=AIONE, api_version=VERSION, headers=headers, timeout=30_000)
    return genai.Client(api_key=key, vertexai=False, http_options=options)


client = connect()
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather of a city",
    parameters=types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]),
)
TOOLS = [types.Tool(function_declarations=[WEATHER])]


def said(client, model, streams=False):
    """What is said in all."""
    if streams:
        return "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model=model, contents=ASK))
    return client.models.generate_content(model=model, contents=ASK).text


def plain(model):
    config = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=200)
    answer = client.models.generate_content(model=model, contents=ASK, config=config)
    assert answer.text and answer.candidates[0].finish_reason == types.FinishReason.STOP, answer
    usage = answer.usage_metadata
    assert usage.prompt_token_count > 0 and usage.candidates_token_count > 0, usage
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count, usage


def streamed(model):
    chunks = list(client.models.generate_content_stream(model=model, contents=ASK))
    text = "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP, chunks[-1]
    assert chunks[-1].usage_metadata.candidates_token_count > 0, chunks[-1]
    assert text == said(client, model)


def length(model):
    config = types.GenerateContentConfig(max_output_tokens=16)
    longer = connect(headers=simulate("tokens=60"))
    answer = longer.models.generate_content(model=model, contents=ASK, config=config)
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS, answer


def tools_over_two_turns(model):
    for streams in (False, True):
        for thinks in (False, True):
            two_turns(model, streams, thinks)


def two_turns(model, streams, thinks):
    any_tool = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=512)
    config = types.GenerateContentConfig(
        tools=TOOLS,
        tool_config=None if thinks else any_tool,
        thinking_config=thinking if thinks else None,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked = types.Content(role="user", parts=[types.Part(text=ASK)])
    parts = generate(model, [asked], config, streams)
    calls = [part.function_call for part in parts if part.function_call]
    assert [call.name for call in calls] == ["get_weather"] and calls[0].args["city"], parts
    # Chat has no place for a thought.
    if thinks and model != "openai_chat":
        assert any(part.thought for part in parts), parts
        assert any(part.thought_signature for part in parts), parts
    answered = types.FunctionResponse(id=calls[0].id, name="get_weather", response={"result": "Rain."})
    history = [
        asked,
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=[types.Part(function_response=answered)]),
    ]
    config.tool_config = None
    parts = generate(model, history, config, streams)
    assert any(part.text and not part.thought for part in parts), parts


def generate(model, contents, config, streams):
    """The parts of an answer; those of a stream as they came."""
    asks = dict(model=model, contents=contents, config=config)
    if not streams:
        return client.models.generate_content(**asks).candidates[0].content.parts
    chunks = client.models.generate_content_stream(**asks)
    contents = [chunk.candidates[0].content for chunk in chunks if chunk.candidates]
    return [part for content in contents if content for part in content.parts or []]


def sdk_calls_the_tool_itself(model):
    called = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return "Rain."

    config = types.GenerateContentConfig(tools=[get_weather])
    answer = client.models.generate_content(model=model, contents=ASK, config=config)
    assert len(called) == 1 and answer.text, (called, answer)


def chat_over_two_turns(model):
    chat = client.chats.create(model=model)
    assert chat.send_message(ASK).text
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream("And again."))
    assert len(chat.get_history()) >= 4


class City(BaseModel):
    name: str
    inhabitants: int


def structured(model):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    answer = client.models.generate_content(model=model, contents=ASK, config=config)
    assert isinstance(answer.parsed, City) and answer.parsed.name, answer


def counts(model):
    assert client.models.count_tokens(model=model, contents=ASK).total_tokens > 0


def embeddings():
    answer = client.models.embed_content(model="embedding", contents=["one", "two"])
    assert len(answer.embeddings) == 2 and len(answer.embeddings[0].values) > 1, answer


def models_page_by_page():
    pager = client.models.list(config=types.ListModelsConfig(page_size=2))
    assert len(pager.page) == 2, pager.page
    names = [model.name for model in pager]
    assert sorted(names) == sorted(f"models/{model}" for model in [*MODELS, "embedding"]), names
    assert client.models.get(model=MODELS[0]).name == f"models/{MODELS[0]}"
    error = raised(errors.ClientError, "no such model", lambda: client.models.get(model="missing"))
    assert (error.code, error.status) == (404, "NOT_FOUND"), error


def errors_of_the_upstream(model):
    for status in (400, 401, 403, 404, 409, 422, 429, 500, 503):
        kind = errors.ClientError if status < 500 else errors.ServerError
        failing = connect(headers=simulate(f"status={status}"))
        for streams in (False, True):
            error = raised(kind, f"{status}", lambda: said(failing, model, streams))
            assert error.code == status and f"Simulated error {status}" in error.message, error
            assert error.status and error.status.isupper(), error


def error_in_mid_stream(model):
    for what in ("error_event=3", "cut_after=3"):
        failing = connect(headers=simulate(f"tokens=50,{what}"))
        error = raised(errors.ServerError, what, lambda: said(failing, model, streams=True))
        assert error.code == error.details["error"]["code"], error


def refusals_of_the_gateway():
    error = raised(errors.ClientError, "no such model", lambda: said(client, "missing"))
    assert (error.code, error.status) == (404, "NOT_FOUND"), error
    stranger = connect(key="sk-aione-wrong")
    error = raised(errors.ClientError, "a wrong key", lambda: said(stranger, MODELS[0]))
    assert (error.code, error.status) == (401, "UNAUTHENTICATED"), error
    if VERSION == "v1":
        limited = connect(key=os.environ["LIMITED_KEY"])
        said(limited, "gemini")
        error = raised(errors.ClientError, "a second request", lambda: said(limited, "gemini"))
        assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED"), error
        assert int(error.response.headers["retry-after"]) > 0, error.response


run(
    plain,
    streamed,
    length,
    tools_over_two_turns,
    sdk_calls_the_tool_itself,
    chat_over_two_turns,
    structured,
    counts,
    embeddings,
    models_page_by_page,
    errors_of_the_upstream,
    error_in_mid_stream,
    refusals_of_the_gateway,
)
