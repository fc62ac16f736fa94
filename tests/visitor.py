"""One visit as a stranger makes it: a socket that speaks Streamlit's protocol, with no browser to hold it back."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.message import Message
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one run of a page drew, and how long it took."""

    seconds: float
    texts: tuple[str, ...]
    boxes: Mapping[str, str]  # label to id
    kinds: Mapping[str, str]  # id to what it is: "button", "text_input"

    def says(self, words: str) -> bool:
        return any(words in text for text in self.texts)


class Visitor:
    """`with Visitor(base) as visit: visit.open("recommend", "model=8B").says("a month")`."""

    def __init__(
        self,
        base: str,
        *,
        origin: str | None = None,
        host: str | None = None,
        cookie: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """With `tls`, whatever name `base` has is this machine."""
        address = f"{base.replace('http', 'ws', 1)}/_stcore/stream"
        headers = {"Host": host, "Cookie": cookie}
        self._connecting = connect(
            address,
            origin=origin or base,  # type: ignore[arg-type]
            additional_headers={name: text for name, text in headers.items() if text},
            sock=socket.create_connection(("127.0.0.1", urlsplit(base).port or 443)) if tls else None,
            ssl=tls,
            max_size=None,
            max_queue=None,  # else who leaves without reading waits ten seconds for the answer to that
            compression=None,
            open_timeout=30,
        )
        self._socket = self._connecting.__enter__()
        self.base, self.session = base, ""
        self._cached: set[str] = set()
        self.boxes: dict[str, WidgetState] = {}

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connecting.__exit__(None, None, None)

    def ask(self, page: str = "", query: str = "", **values: tuple[str, Any]) -> None:
        """Sends what a page asks of the server, and waits for nothing. `values`: box id to (kind, value)."""
        asked = BackMsg()
        asked.rerun_script.page_name, asked.rerun_script.query_string = page, query
        asked.rerun_script.context_info.url = f"{self.base}/{page}?{query}"
        asked.rerun_script.cached_message_hashes.extend(self._cached)
        for box, (kind, value) in values.items():
            state = WidgetState(id=box)
            if isinstance(value, list):
                getattr(state, kind).data.extend(value)
            else:
                setattr(state, kind, value)
            self.boxes[box] = state
        asked.rerun_script.widget_states.widgets.extend(self.boxes.values())
        self.send(asked)

    def send(self, message: BackMsg) -> None:
        self._socket.send(message.SerializeToString())

    def open(self, page: str = "", query: str = "", *, longest_s: float = 60.0, **values: tuple[str, Any]) -> Drawn:
        """Asks and waits for the end of the run."""
        started = time.monotonic()
        self.ask(page, query, **values)
        texts: list[str] = []
        labels: dict[str, str] = {}
        kinds: dict[str, str] = {}
        while True:
            message = ForwardMsg.FromString(self._socket.recv(timeout=longest_s, decode=False))
            kind = message.WhichOneof("type")
            if message.metadata.cacheable:
                self._cached.add(message.hash)
            if kind == "new_session":
                self.session = message.new_session.initialize.session_id or self.session
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                element = message.delta.new_element
                what = str(element.WhichOneof("type"))
                drawn = getattr(element, what)
                texts += strings(drawn)
                if hasattr(drawn, "label") and hasattr(drawn, "id"):
                    labels[drawn.label] = drawn.id
                    kinds[drawn.id] = what
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return Drawn(time.monotonic() - started, tuple(texts), labels, kinds)


def strings(message: Message) -> Iterator[str]:
    """Every text of a message, however deep."""
    for field, value in message.ListFields():
        for item in value if field.is_repeated else [value]:
            if isinstance(item, str):
                yield item
            elif isinstance(item, Message):
                yield from strings(item)


def address_of(base: str) -> tuple[str, int]:
    parts = urlsplit(base)
    return str(parts.hostname), int(parts.port or 80)
