"""Text from outside says what it says and does nothing else."""

from __future__ import annotations

import pytest

from app.text import in_code, in_figure, in_html, in_markdown, in_markdown_with_links, in_spreadsheet
from tests.hostile import PAYLOADS, acts_in_markdown

J = "\u2060"  # a word joiner: no width, and no part of an address, an icon or an emoji


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$5 to $6", r"\$5 to \$6"),
        ("[here](https://evil.example)", rf"\[here\](https:{J}//evil.example)"),
        ("![](https://evil.example/pixel)", rf"!\[\](https:{J}//evil.example/pixel)"),
        (":red[all is well] :material/check:", rf":{J}red\[all is well\] :{J}material/check:"),
        (":100: at 12:30, 16:9", f":{J}100: at 12:30, 16:9"),
        ("www.evil.example/login", f"www{J}.evil.example/login"),
        ("WWW.evil.example", f"WWW{J}.evil.example"),
        ("a@evil.example, name@main", f"a@{J}evil.example, name@main"),
        ("a_b*c`d`", r"a\_b\*c\`d\`"),
        ("<b>x</b> &#35;", r"\<b\>x\</b\> \&#35;"),
        ("one\n\n# two\rthree\u2028four\u202efive", "one  # two three four five"),
        ("# one", r"\# one"),
        ("    - one", r"\- one"),
        ("12. one", r"12\. one"),
        ("8.5 GiB", "8.5 GiB"),
        ("===", r"\==="),
        ("\\[x](y)", r"\\\[x\](y)"),
        ("Llama 3.1 8B in BF16 fits one L4 (g6.xlarge).", "Llama 3.1 8B in BF16 fits one L4 (g6.xlarge)."),
    ],
)
def test_in_a_sentence_nothing_acts(text: str, shown: str) -> None:
    assert in_markdown(text) == shown


@pytest.mark.parametrize("text", PAYLOADS[:-1])
def test_what_finds_hostile_text_finds_each_and_none_after(text: str) -> None:
    assert acts_in_markdown(text)
    assert not acts_in_markdown(in_markdown(text))
    assert not acts_in_markdown(f"- {in_markdown(text)}")
    assert not acts_in_markdown(f"Said {in_code(text)}.")


def test_sources_of_our_own_tables_are_links_and_nothing_else_is() -> None:
    said = "see https://a.example/b_c~d, [2], www.b.example"
    assert in_markdown_with_links(said) == rf"see https://a.example/b_c~d, \[2\], www{J}.b.example"


def test_in_code_a_backtick_cannot_end_it() -> None:
    assert in_code("a`b\u202ec\nd") == "`a b c d`"
    assert in_code("") == "` `"


def test_in_a_figure_tags_are_text() -> None:
    assert in_figure('<a href="x">y</a> & co\n') == '&lt;a href="x"&gt;y&lt;/a&gt; &amp; co '


def test_in_html_tags_and_quotes_are_text() -> None:
    assert in_html("<img src=\"x\" onerror='y'> & co") == (
        "&lt;img src=&quot;x&quot; onerror=&#x27;y&#x27;&gt; &amp; co"
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_in_a_spreadsheet_no_cell_starts_a_formula(text: str) -> None:
    assert in_spreadsheet(text) == f"'{text}"
    assert in_spreadsheet("1=1") == "1=1"
