"""The questions of a manager, clicked as they are written in questions.json: the sentence that answers each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import WAIT_MS, go_to, quiet, settle, unfold

pytestmark = pytest.mark.browser
QUESTIONS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "questions.json").read_text(encoding="utf-8"))


def do(page: Page, what: str, *said: str) -> None:
    """One step: what a person would do on the page."""
    match what:
        case "model":
            enter(page, "Model", said[0])
        case "box" | "number":
            enter(page, said[0], said[1])
        case "lines":
            box = page.get_by_label(said[0], exact=True)
            box.fill(said[1])
            box.press("Control+Enter")
        case "task":
            page.locator(".st-key-task").get_by_text(said[0], exact=True).click()
        case "open":
            unfold(page, said[0])
        case "choose" | "pick" | "add":
            box = page.get_by_label(said[0], exact=True).first
            box.click()
            box.fill(said[1])
            page.get_by_role("option").filter(has_text=said[1]).first.click()
        case "page":
            go_to(page, said[0])
        case _:
            raise ValueError(what)
    quiet(page)


def enter(page: Page, label: str, text: str) -> None:
    box = page.get_by_label(label, exact=True).first
    box.fill(text)
    box.press("Enter")


@pytest.mark.parametrize("asked", QUESTIONS, ids=[asked["question"] for asked in QUESTIONS])
def test_a_manager_gets_the_answer_from_the_first_screen(page: Page, base: str, asked: dict[str, Any]) -> None:
    page.goto(base)
    settle(page)
    for step in asked["steps"]:
        do(page, *step)
    shown = page.get_by_test_id("stMainBlockContainer")
    for sentence in asked["answer"]:
        expect(shown).to_contain_text(re.compile(sentence), timeout=WAIT_MS)
    for unwanted in asked.get("never", ()):
        expect(shown).not_to_contain_text(unwanted)
    expect(page.get_by_test_id("stException")).to_have_count(0)
