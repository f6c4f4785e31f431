"""The official SDK meets our own 429 and comes back by our headers: `OPENAI_BASE_URL` and `OPENAI_API_KEY` say where and who.

The key admits one request at once and another client holds that place; it gives it up after our first refusal.
"""

import time

from openai import OpenAI

RETRY_LATEST_SECONDS = 3

calls = []
client = OpenAI(timeout=30)  # with as many retries as the SDK makes by itself
send = client._client.send


def watched(*args, **kwargs):
    began = time.monotonic()
    answer = send(*args, **kwargs)
    calls.append((began, time.monotonic(), answer.status_code, dict(answer.headers)))
    return answer


client._client.send = watched

answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Say it."}])
assert answer.choices[0].message.content, answer

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
