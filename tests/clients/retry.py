"""An official SDK, `openai` or `anthropic`, meets our own 429 and comes back by our headers.

The key admits one request at once and another client holds that place; it gives it up after our first refusal.
"""

import os
import sys
import time

AIONE, KEY = os.environ["AIONE"], os.environ["KEY"]
RETRY_LATEST_SECONDS = 3
MESSAGES = [{"role": "user", "content": "Say it."}]

# With as many retries as the SDK makes by itself.
if sys.argv[1] == "openai":
    from openai import OpenAI

    client = OpenAI(base_url=f"{AIONE}/v1", api_key=KEY, timeout=30)
    ask = lambda: client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content
else:
    from anthropic import Anthropic

    client = Anthropic(base_url=AIONE, api_key=KEY, timeout=30)
    ask = lambda: client.messages.create(model="m", max_tokens=9, messages=MESSAGES).content[0].text

calls = []
send = client._client.send


def watched(*args, **kwargs):
    began = time.monotonic()
    answer = send(*args, **kwargs)
    calls.append((began, time.monotonic(), answer.status_code, dict(answer.headers)))
    return answer


client._client.send = watched
assert ask()

assert [status for _, _, status, _ in calls] == [429, 200], calls
refusal, success = calls
headers = refusal[3]
assert headers["x-aione-refused"] == "rate_limit_exceeded", headers
wait = int(headers["retry-after-ms"]) / 1000
assert 0 < wait <= 60, headers
waited = success[0] - refusal[1]
assert wait * 0.9 <= waited <= wait + RETRY_LATEST_SECONDS, (wait, waited)
assert "x-aione-refused" not in success[3], success
print("all as expected")
