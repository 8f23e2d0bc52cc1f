"""A server on loopback that answers as one with PaddleOCR-VL would: the same text for every picture."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class VlServer:
    """OpenAI's chat completions; ``status`` other than 200 is an error; ``models``: names that were asked for."""

    def __init__(self, text: str) -> None:
        self.status = 200
        self.models: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._send(200, {"object": "list", "data": []})

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert any(part["type"] == "image_url" for part in asked["messages"][0]["content"])
                outer.models.append(asked["model"])
                message = {"role": "assistant", "content": text}
                choice = {"index": 0, "finish_reason": "stop", "message": message}
                reply = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"]}
                self._send(outer.status, reply | {"choices": [choice]})

            def _send(self, status: int, value: dict[str, Any]) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> VlServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop. May be called twice."""
        self._server.shutdown()
        self._server.server_close()
