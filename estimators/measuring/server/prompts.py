"""Synthetic prompts: no text of a person ever leaves, and no two begin alike, so that a prefix cache cannot help."""

from __future__ import annotations

import random

# Short, common English words: one token each in the tokenizers of current models, with the space before them.
_COMMON = (
    "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were her all she there would their we him been has when who will more no if out so said what up its "
    "about into than them can only other new some could time these two may then do first any my now such like our "
    "over man me even most made after also did many before must through back years where much your way well down "
    "should because each just those people how too little state good very make world still own see men work long "
    "get here between both life being under never day same another know while last might us great old year off"
)
WORDS = tuple(_COMMON.split())


def synthetic_prompt(words: int, seed: int) -> str:
    """`words` words drawn with `seed`; the seed itself opens the prompt, so that prompts differ from the start."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    return " ".join([str(seed), *draw.choices(WORDS, k=max(1, words - 1))])


def words_for(tokens: int, *, short: tuple[int, int], long: tuple[int, int]) -> int:
    """Words that come to `tokens` prompt tokens, from two probes (words sent, tokens counted by the server).

    Two points of a line: 8 words = 20 tokens and 108 words = 120 tokens say 1 token a word and 12 around them, so
    128 tokens are 116 words.
    """
    (few, few_tokens), (many, many_tokens) = short, long
    if many <= few or many_tokens <= few_tokens:
        return max(1, tokens)
    per_word = (many_tokens - few_tokens) / (many - few)
    around = few_tokens - per_word * few
    return max(1, round((tokens - around) / per_word))
