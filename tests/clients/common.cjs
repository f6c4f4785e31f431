// What the scripts of the JavaScript SDKs share, as common.py does for Python's.
"use strict";
const assert = require("node:assert/strict");

const { AIONE, KEY } = process.env;
const MODELS = ["openai_chat", "openai_responses", "anthropic_messages", "gemini"];
const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

const simulate = (text) => ({ headers: { "x-aione-simulate": text } });

async function all(stream) {
  const seen = [];
  for await (const event of stream) seen.push(event);
  return seen;
}

/** The error of `kind` that `call` ends with; any other, or none, is a failure. */
async function raised(kind, what, call) {
  try {
    await call();
  } catch (error) {
    assert(error instanceof kind, `${what}: ${error.stack} instead of ${kind.name}`);
    return error;
  }
  assert.fail(`${what}: no ${kind.name}`);
}

/** Each step with each model, each with its name. */
async function run(...steps) {
  for (const step of steps) {
    for (const model of MODELS) {
      try {
        await step(model);
      } catch (error) {
        console.log(step.name, model, "failed");
        throw error;
      }
      console.log(step.name, model, "ok");
    }
  }
  console.log("all as expected");
}

module.exports = { AIONE, KEY, CITY, assert, simulate, all, raised, run };
