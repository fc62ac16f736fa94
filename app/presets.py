"""Typical shapes of common tasks: tokens in, tokens out and the share of the prompt that repeats.

These are starting points to be replaced by one's own numbers, not measurements.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    prompt: int
    output: int
    prefix: float
    why: str


PRESETS: dict[str, Preset] = {
    "Classification": Preset(prompt=512, output=8, prefix=0.5, why="one label; the instructions repeat"),
    "Extraction": Preset(prompt=2048, output=256, prefix=0.25, why="fields out of a document"),
    "Summarization": Preset(prompt=4096, output=256, prefix=0.0, why="a long text in, a paragraph out"),
    "Routing": Preset(prompt=512, output=4, prefix=0.75, why="one decision of an agent, mostly shared instructions"),
    "Structured output": Preset(prompt=1024, output=256, prefix=0.5, why="JSON by a schema that repeats"),
    "RAG": Preset(prompt=4096, output=256, prefix=0.1, why="several retrieved passages and a short answer"),
    "Chat": Preset(prompt=1024, output=256, prefix=0.5, why="a conversation whose past is cached"),
    "Code": Preset(prompt=2048, output=512, prefix=0.25, why="files in, a function out"),
    "Agent": Preset(prompt=27_000, output=150, prefix=0.9, why="a step of many: all before it comes again, cached"),
    "Reasoning": Preset(prompt=1024, output=4096, prefix=0.0, why="what a model thinks is output, read or not"),
}
