"""A vendor that speaks all four dialects, for agents: it asks for one tool call, and says a text once it has the result.

It is written without the gateway's codecs, and keeps what it was asked.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PROMPT_TOKENS, ANSWER_TOKENS = 100, 20
# Gemini refuses a call that comes back without it.
SIGNATURE = "c2lnbmVk"


class Vendor:
    """Listens on loopback until `close`."""

    def __init__(self):
        self.calls, self.text, self.asked = {}, "", []
        handler = type("Handler", (Handler,), {"vendor": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def play(self, calls, text):
        """From now on: `calls` are the arguments by the tool's name, a text those of a tool that takes one."""
        self.calls, self.text, self.asked = calls, text, []

    def close(self):
        self.server.shutdown()

    def reply(self, ask):
        """The call of the first tool that is offered and scripted, or the text where there is a result already."""
        wanted = next((name for name in self.calls if name in ask["tools"]), None)
        ask["called"] = None if ask["results"] else wanted
        self.asked.append(ask)
        if ask["called"]:
            return {"name": wanted, "arguments": self.calls[wanted]}
        return {"text": self.text}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vendor = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        dialect = next(dialect for dialect in DIALECTS if dialect.serves(self.path))
        if "count" in self.path.lower():
            return self.send({"input_tokens": PROMPT_TOKENS, "totalTokens": PROMPT_TOKENS})
        ask = {"dialect": dialect.__name__, "streamed": dialect.streams(self.path, body), **dialect.read(body)}
        reply = self.vendor.reply(ask)
        if not ask["streamed"]:
            return self.send(dialect.answer(body, reply))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in dialect.stream(body, reply):
            named = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
            data = event if isinstance(event, str) else json.dumps(event)
            self.chunk(f"{named}data: {data}\n\n".encode())
        self.chunk(b"")

    def send(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def pieces(text):
    return [text[at : at + 7] for at in range(0, len(text), 7)]


class Dialect:
    """Streams unless its body says otherwise."""

    suffix = ""

    @classmethod
    def serves(cls, path):
        return path.split("?")[0].endswith(cls.suffix)

    @classmethod
    def streams(cls, path, body):
        return bool(body.get("stream"))


class openai_chat(Dialect):
    suffix = "/chat/completions"

    @staticmethod
    def read(body):
        tools = [tool["function"]["name"] for tool in body.get("tools") or [] if "function" in tool]
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return {"tools": tools, "results": results}

    @staticmethod
    def usage():
        total = PROMPT_TOKENS + ANSWER_TOKENS
        return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": ANSWER_TOKENS, "total_tokens": total}

    @classmethod
    def head(cls, body, kind):
        return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": body["model"]}

    @classmethod
    def answer(cls, body, reply):
        message = {"role": "assistant", "content": reply.get("text")}
        if "name" in reply:
            function = {"name": reply["name"], "arguments": json.dumps(reply["arguments"])}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        finish = "tool_calls" if "name" in reply else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {**cls.head(body, "chat.completion"), "choices": [choice], "usage": cls.usage()}

    @classmethod
    def stream(cls, body, reply):
        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return {**cls.head(body, "chat.completion.chunk"), "choices": [choice]}

        yield chunk({"role": "assistant", "content": ""})
        if "name" in reply:
            function = {"name": reply["name"], "arguments": ""}
            yield chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
            for piece in pieces(json.dumps(reply["arguments"])):
                yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            for piece in pieces(reply["text"]):
                yield chunk({"content": piece})
        yield chunk({}, "tool_calls" if "name" in reply else "stop")
        yield {**cls.head(body, "chat.completion.chunk"), "choices": [], "usage": cls.usage()}
        yield "[DONE]"


class openai_responses(Dialect):
    suffix = "/responses"

    @staticmethod
    def read(body):
        tools = [tool["name"] for tool in body.get("tools") or [] if "name" in tool]
        items = body["input"] if isinstance(body["input"], list) else []
        kinds = ("function_call_output", "custom_tool_call_output")
        return {"tools": tools, "results": [item["output"] for item in items if item.get("type") in kinds]}

    @classmethod
    def item(cls, body, reply):
        if "text" in reply:
            part = {"type": "output_text", "text": reply["text"], "annotations": [], "logprobs": []}
            return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        named = {"call_id": "call_1", "name": reply["name"], "status": "completed"}
        if isinstance(reply["arguments"], str):
            return {"id": "ctc_1", "type": "custom_tool_call", "input": reply["arguments"], **named}
        return {"id": "fc_1", "type": "function_call", "arguments": json.dumps(reply["arguments"]), **named}

    @classmethod
    def whole(cls, body, status, output, usage=None):
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": status,
            "model": body["model"],
            "output": output,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
        }

    @classmethod
    def answer(cls, body, reply):
        total = PROMPT_TOKENS + ANSWER_TOKENS
        usage = {
            "input_tokens": PROMPT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": ANSWER_TOKENS,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": total,
        }
        return cls.whole(body, "completed", [cls.item(body, reply)], usage)

    @classmethod
    def stream(cls, body, reply):
        events = cls.events(body, reply)
        yield from ({**event, "sequence_number": number} for number, event in enumerate(events))

    @classmethod
    def events(cls, body, reply):
        item = cls.item(body, reply)
        at = {"item_id": item["id"], "output_index": 0}
        yield {"type": "response.created", "response": cls.whole(body, "in_progress", [])}
        yield {"type": "response.in_progress", "response": cls.whole(body, "in_progress", [])}
        begun = {**item, "status": "in_progress"}
        for field, empty in (("content", []), ("arguments", ""), ("input", "")):
            begun.update({field: empty} if field in item else {})
        yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
        if "text" in reply:
            part = {**at, "content_index": 0}
            empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            yield {"type": "response.content_part.added", **part, "part": empty}
            for piece in pieces(reply["text"]):
                yield {"type": "response.output_text.delta", **part, "delta": piece, "logprobs": []}
            yield {"type": "response.output_text.done", **part, "text": reply["text"], "logprobs": []}
            yield {"type": "response.content_part.done", **part, "part": item["content"][0]}
        else:
            kind, field = ("custom_tool_call_input", "input") if "input" in item else ("function_call_arguments", "arguments")
            for piece in pieces(item[field]):
                yield {"type": f"response.{kind}.delta", **at, "delta": piece}
            yield {"type": f"response.{kind}.done", **at, field: item[field]}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield {"type": "response.completed", "response": cls.answer(body, reply)}


class anthropic_messages(Dialect):
    @classmethod
    def serves(cls, path):
        return "/messages" in path

    @staticmethod
    def read(body):
        blocks = [
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        ]
        results = [block.get("content") for block in blocks if block["type"] == "tool_result"]
        return {"tools": [tool["name"] for tool in body.get("tools") or []], "results": results}

    @classmethod
    def head(cls, body, content, usage, stop):
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": usage,
        }

    @staticmethod
    def usage(output):
        cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        return {"input_tokens": PROMPT_TOKENS, "output_tokens": output, **cache}

    @classmethod
    def answer(cls, body, reply):
        block = {"type": "text", "text": reply.get("text")}
        if "name" in reply:
            block = {"type": "tool_use", "id": "toolu_1", "name": reply["name"], "input": reply["arguments"]}
        return cls.head(body, [block], cls.usage(ANSWER_TOKENS), "tool_use" if "name" in reply else "end_turn")

    @classmethod
    def stream(cls, body, reply):
        yield {"type": "message_start", "message": cls.head(body, [], cls.usage(1), None)}
        if "name" in reply:
            block = {"type": "tool_use", "id": "toolu_1", "name": reply["name"], "input": {}}
            kind, field, text = "input_json_delta", "partial_json", json.dumps(reply["arguments"])
        else:
            block = {"type": "text", "text": ""}
            kind, field, text = "text_delta", "text", reply["text"]
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        yield {"type": "ping"}
        for piece in pieces(text):
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: piece}}
        yield {"type": "content_block_stop", "index": 0}
        delta = {"stop_reason": "tool_use" if "name" in reply else "end_turn", "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": ANSWER_TOKENS}}
        yield {"type": "message_stop"}


class gemini(Dialect):
    @classmethod
    def serves(cls, path):
        return "/models/" in path

    @classmethod
    def streams(cls, path, body):
        return ":streamGenerateContent" in path

    @staticmethod
    def read(body):
        tools = [
            function["name"]
            for tool in body.get("tools") or []
            for function in tool.get("functionDeclarations") or tool.get("function_declarations") or []
        ]
        parts = [part for content in body["contents"] for part in content.get("parts") or []]
        results = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
        unsigned = [part for part in parts if "functionCall" in part and part.get("thoughtSignature") != SIGNATURE]
        return {"tools": tools, "results": results, "unsigned": unsigned}

    @classmethod
    def chunk(cls, parts, finish):
        total = PROMPT_TOKENS + ANSWER_TOKENS
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        usage = {"promptTokenCount": PROMPT_TOKENS, "candidatesTokenCount": ANSWER_TOKENS, "totalTokenCount": total}
        candidate.update({"finishReason": "STOP"} if finish else {})
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted", "responseId": "r1"}

    @classmethod
    def part(cls, reply):
        return {"functionCall": {"name": reply["name"], "args": reply["arguments"]}, "thoughtSignature": SIGNATURE}

    @classmethod
    def answer(cls, body, reply):
        return cls.chunk([cls.part(reply)] if "name" in reply else [{"text": reply["text"]}], True)

    @classmethod
    def stream(cls, body, reply):
        if "name" in reply:
            yield cls.chunk([cls.part(reply)], False)
        else:
            for piece in pieces(reply["text"]):
                yield cls.chunk([{"text": piece}], False)
        yield cls.chunk([{"text": ""}], True)


DIALECTS = (openai_chat, openai_responses, anthropic_messages, gemini)
