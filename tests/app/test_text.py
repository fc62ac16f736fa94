"""Text from outside says what it says and does nothing else."""

from __future__ import annotations

import pytest

from app.text import in_code, in_html, in_markdown, in_spreadsheet


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$5 to $6", r"\$5 to \$6"),
        ("[here](https://evil.example)", r"\[here\](https://evil.example)"),
        ("![](https://evil.example/pixel)", r"!\[\](https://evil.example/pixel)"),
        (":red[all is well] :material/check:", r"\:red\[all is well\] \:material/check:"),
        ("see https://a.example/b_c~d, [2]", r"see https://a.example/b_c~d, \[2\]"),
        ("a_b*c`d`", r"a\_b\*c\`d\`"),
        ("<b>x</b>", r"\<b\>x\</b\>"),
        ("one\n# two", "one # two"),
        ("\\[x](y)", r"\\\[x\](y)"),
        ("Llama 3.1 8B in BF16 fits one L4 (g6.xlarge).", "Llama 3.1 8B in BF16 fits one L4 (g6.xlarge)."),
    ],
)
def test_in_a_sentence_nothing_acts(text: str, shown: str) -> None:
    assert in_markdown(text) == shown


def test_in_code_a_backtick_cannot_end_it() -> None:
    assert in_code("a`b\u202ec\nd") == "`a b c d`"


def test_in_html_tags_and_quotes_are_text() -> None:
    assert in_html("<img src=\"x\" onerror='y'> & co") == (
        "&lt;img src=&quot;x&quot; onerror=&#x27;y&#x27;&gt; &amp; co"
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_in_a_spreadsheet_no_cell_starts_a_formula(text: str) -> None:
    assert in_spreadsheet(text) == f"'{text}"
    assert in_spreadsheet("1=1") == "1=1"
