// What the official OpenAI SDK for JavaScript sees of the gateway, in both of its dialects.
"use strict";
const OpenAI = require("openai");
const { AIONE, KEY, CITY, assert, simulate, all, raised, run } = require("./common.cjs");

const client = new OpenAI({ baseURL: `${AIONE}/v1`, apiKey: KEY, maxRetries: 0, timeout: 30_000 });
const ASK = [{ role: "user", content: "Say it." }];
const TOOL = { name: "get_weather", description: "The weather of a city", parameters: CITY };

async function plain(model) {
  const { data, request_id } = await client.chat.completions.create({ model, messages: ASK }).withResponse();
  assert(data.choices[0].message.content && data.usage.completion_tokens > 0);
  assert(request_id);
  const answer = await client.responses.create({ model, input: ASK });
  assert.equal(answer.output_text, data.choices[0].message.content);
  assert(answer.usage.output_tokens > 0);
}

async function streamed(model) {
  const stream = client.chat.completions.stream({ model, messages: ASK });
  const text = await stream.finalContent();
  const answer = await client.responses.stream({ model, input: ASK }).finalResponse();
  assert(text);
  assert.equal(answer.output_text, text);
}

async function tools(model) {
  const chat = { model, tools: [{ type: "function", function: TOOL }] };
  const first = client.chat.completions.stream({ ...chat, messages: ASK });
  const { message } = (await first.finalChatCompletion()).choices[0];
  const [call] = message.tool_calls;
  assert(call.function.name === "get_weather" && JSON.parse(call.function.arguments).city);
  const result = { role: "tool", tool_call_id: call.id, content: "Rain." };
  const answer = await client.chat.completions.create({ ...chat, messages: [...ASK, message, result] });
  assert(answer.choices[0].message.content);
}

async function toolsOfResponses(model) {
  const asks = { model, tools: [{ type: "function", ...TOOL, strict: false }] };
  const first = await client.responses.stream({ ...asks, input: ASK }).finalResponse();
  const call = first.output.find((item) => item.type === "function_call");
  assert(call.name === "get_weather" && JSON.parse(call.arguments).city);
  const result = { type: "function_call_output", call_id: call.call_id, output: "Rain." };
  // What the helper has added for its callers is not for the API.
  const output = first.output.map(({ parsed_arguments, ...item }) => item);
  const answer = await client.responses.create({ ...asks, input: [...ASK, ...output, result] });
  assert(answer.output_text);
}

async function errors(model) {
  for (const [status, kind] of [[400, OpenAI.BadRequestError], [429, OpenAI.RateLimitError], [503, OpenAI.InternalServerError]]) {
    for (const call of [
      () => client.chat.completions.create({ model, messages: ASK }, simulate(`status=${status}`)),
      () => client.responses.create({ model, input: ASK, stream: true }, simulate(`status=${status}`)),
    ]) {
      const error = await raised(kind, `${status}`, call);
      assert.equal(error.status, status);
      assert(error.message.includes(`Simulated error ${status}`) && error.requestID, error.message);
    }
  }
  const broken = simulate("tokens=50,error_event=3");
  const read = async () => all(await client.chat.completions.create({ model, messages: ASK, stream: true }, broken));
  await raised(OpenAI.APIError, "an error in mid-stream", read);
}

run(plain, streamed, tools, toolsOfResponses, errors);
