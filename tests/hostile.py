"""Text that wants to be more than text, and what finds it wherever it got through. Its word is `zqx`, and `zqx1`
where it would begin a line of a page as a heading, a list or a quotation."""

from __future__ import annotations

import re
from html.parser import HTMLParser

PAYLOADS = (
    "[zqx](https://zqx.example)",
    "![zqx](https://zqx.example/pixel)",
    "zqx\n\n# zqx1",
    "zqx\r\r## zqx1",
    "# zqx1",
    "- zqx1",
    "1. zqx1",
    "zqx\u2028> zqx1",
    "**zqx** _zqx_ ~~zqx~~",
    "`zqx` $zqx$",
    "<a href='https://zqx.example'>zqx</a><h1>zqx</h1><script>zqx</script>",
    ":red[zqx] :material/zqx: :zqx:",
    "www.zqx.example/login",
    "HTTPS://zqx.example",
    "zqx@zqx.example",
    "zqx&#35;zqx",
    "\u202ezqx",
    "=zqx",
)
ALL = " ".join(PAYLOADS)  # every one at once, where one text is enough

_CODE = re.compile(r"(?<!\\)`[^`\n]+`")
_ACTIVE = re.compile(
    r"(?<!\\)[\[<`$~_]/?\w*zqx"  # a link, a tag, code, mathematics, emphasis
    r"|(?<!\\)\*zqx|\w://zqx|www\.zqx|zqx@zqx|:(?:red|material|zqx)|(?<!\\)&\#35;"
    r"|(?:^|[\n\r])\s*(?:\#+|[-+>]|\d+\.)\s+zqx1|[\r\u2028\u202e]",
    re.I | re.M,
)


def acts_in_markdown(text: str) -> str:
    """The first part of `text` that the page would not show as it is; nothing where all of it is words."""
    found = _ACTIVE.search(_CODE.sub("", text))
    return found[0] if found else ""


class Tags(HTMLParser):
    """The elements of a page, in order; and what it would load or lead to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
