// What the official Anthropic SDK for JavaScript sees of the gateway.
"use strict";
const Anthropic = require("@anthropic-ai/sdk");
const { AIONE, KEY, CITY, assert, simulate, raised, run } = require("./common.cjs");

const client = new Anthropic({ baseURL: AIONE, apiKey: KEY, maxRetries: 0, timeout: 30_000 });
const ASK = [{ role: "user", content: "Say it." }];
const TOOLS = [{ name: "get_weather", description: "The weather of a city", input_schema: CITY }];

async function plain(model) {
  const { data, request_id } = await client.messages.create({ model, max_tokens: 100, messages: ASK }).withResponse();
  assert(data.content[0].text && data.stop_reason === "end_turn" && data.usage.output_tokens > 0);
  assert(request_id);
}

async function streamed(model) {
  const stream = client.messages.stream({ model, max_tokens: 100, messages: ASK });
  let text = "";
  stream.on("text", (piece) => (text += piece));
  const message = await stream.finalMessage();
  assert(text && message.content[0].text === text && message.stop_reason === "end_turn");
}

async function tools(model) {
  const asks = { model, max_tokens: 4000, tools: TOOLS, thinking: { type: "enabled", budget_tokens: 1024 } };
  const first = await client.messages.stream({ ...asks, messages: ASK }).finalMessage();
  const call = first.content.find((block) => block.type === "tool_use");
  assert(call.name === "get_weather" && call.input.city);
  const content = [{ type: "tool_result", tool_use_id: call.id, content: "Rain." }];
  const messages = [...ASK, { role: "assistant", content: first.content }, { role: "user", content }];
  const answer = await client.messages.create({ ...asks, messages });
  assert(answer.content.some((block) => block.type === "text"));
}

async function errors(model) {
  for (const [status, kind] of [[400, Anthropic.BadRequestError], [429, Anthropic.RateLimitError], [529, Anthropic.InternalServerError]]) {
    const ask = () => client.messages.create({ model, max_tokens: 9, messages: ASK }, simulate(`status=${status}`));
    const error = await raised(kind, `${status}`, ask);
    assert.equal(error.status, status);
    assert(error.message.includes(`Simulated error ${status}`) && error.requestID, error.message);
  }
  const read = () =>
    client.messages.stream({ model, max_tokens: 100, messages: ASK }, simulate("tokens=50,error_event=3")).finalMessage();
  await raised(Anthropic.APIError, "an error in mid-stream", read);
}

run(plain, streamed, tools, errors);
