"""The words of an explained text: contributions, the effect of removing each, and low and high frequencies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.results.relevance import Explained, default_relevance
from hf_fourier.results.table import Table

#: Low frequencies have periods of at least so many tokens.
THEME = 8
#: What `explainer.words` adds to a result: by position the score that is lost and the confidence that is left without
#: the word there, and what the model answers to the two parts.
LOST, LEFT, PARTS = "word_lost", "word_left", "word_parts"
#: The heading of what comes after the words.
BY_FREQUENCY = f"Low frequencies (periods of {THEME} tokens or more) and high frequencies (shorter periods)"
#: A run of bytes, as SentencePiece and `bytes_written` write them; one that goes on a character of several.
_BYTES, _GOES_ON = re.compile(r"(?:<0x[0-9A-F]{2}>)+"), re.compile(r"<0x[89AB][0-9A-F]>")
#: Words that a sentence names, at most, and characters of a word in it.
NAMED, CHARACTERS = 3, 24


def token_pieces(names: Sequence[str]) -> list[tuple[str, bool]]:
    """Tokens without the marks of byte-level BPE, SentencePiece, WordPiece and classic BPE, and whether a word starts.

    Byte-level tokens are turned back into characters. A word also ends after a token that holds a line's end.
    """
    texts = list(names)
    byte_level = _byte_level(names)
    if byte_level:
        texts = [_from_bytes(name) for name in texts]
    texts = [text.replace("▁", " ").replace("<0x0A>", "\n") for text in texts]
    first = [i == 0 or "\n" in texts[i - 1] for i in range(len(texts))]
    if byte_level or any(text.startswith(" ") for text in texts):
        starts = [text.startswith((" ", "\n")) or new for text, new in zip(texts, first, strict=True)]
    elif any(len(text) > 2 and text.startswith("##") for text in texts):
        starts = [not text.startswith("##") or new for text, new in zip(texts, first, strict=True)]
        texts = [text.removeprefix("##") or text for text in texts]
    else:
        starts, texts = _classic(texts)
    starts = [start and not _GOES_ON.match(text) for text, start in zip(texts, starts, strict=True)]
    return [(text.strip(" ") or "␣", start) for text, start in zip(texts, starts, strict=True)]


def bytes_written(token: str) -> str:
    """A token that holds a part of a character as a byte-level vocabulary writes it, its bytes as "<0xC3>"."""
    alphabet = _byte_alphabet()
    if any(character not in alphabet for character in token):
        return token
    data = bytes(alphabet[character] for character in token)
    try:
        return token if token.isascii() else data.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 128 else f"<0x{byte:02X}>" for byte in data)


def is_text(attribution: Explained) -> bool:
    """Whether a result is of a text, token by token, and holds it."""
    signal = attribution.layout.signal
    own = attribution.signal is not None and bool(attribution.names) and len(signal.ordered_axes) == 1
    return own and signal.axes[signal.ordered_axes[0]].name == "token"


def word_numbers(attribution: Explained) -> np.ndarray:
    """The number of the word that each token belongs to, from 0; a word ends where a text of a pair does."""
    starts = np.array([start for _, start in token_pieces(attribution.names)])
    ends = np.cumsum(attribution.layout.signal.segments)[:-1].astype(int)
    starts[[end for end in ends if end < len(starts)]] = True
    return np.cumsum(starts) - 1


def words(attribution: Explained) -> Table:
    """See `Attribution.words`."""
    if not is_text(attribution):
        got = f"words() of {attribution.layout.signal.kind}, or of a compact result"
        raise InputError(got, "a text's result", "call input_relevance()")
    numbers = word_numbers(attribution)
    texts = _word_texts(attribution.names, numbers)
    found = default_relevance(attribution, 1.0)
    values = np.bincount(numbers, np.asarray(found.values, dtype=float).ravel(), len(texts))
    best = np.argsort(-np.abs(values), kind="stable")
    columns: dict[str, Sequence[Any]] = {
        "rank": range(1, len(best) + 1),
        "word": [texts[i] for i in best],
        "place": (best + 1).tolist(),
        "relevance": values[best].tolist(),
        "measure": [found.measure] * len(best),
    }
    firsts = np.unique(numbers, return_index=True)[1][best]
    for name, title in ((LOST, "score lost without it"), (LEFT, "confidence without it")):
        if name in attribution.extras:
            columns[title] = np.asarray(attribution.extras[name], dtype=float)[firsts].tolist()
    return Table(columns)


def summary(attribution: Explained) -> list[str]:
    """Sentences: words for and against the label, the word whose removal costs most, low and high frequencies.

    Args:
        attribution: A result of a text.
    """
    table = words(attribution)
    found = default_relevance(attribution, 1.0)
    pairs = list(zip(table["word"], table["relevance"], strict=True))
    sentences = []
    if found.signed:
        sides = (("for", [p for p in pairs if p[1] > 0]), ("against", [p for p in pairs if p[1] < 0]))
        listed = [f"{side} “{_short(attribution.label)}”: {_listed(some)}" for side, some in sides if some]
        sentences += [f"Words {'; '.join(listed)}."] if listed else []
    lost = table.columns.get("score lost without it")
    if lost is not None and len(lost) and attribution.confidence is not None:
        most = int(np.argmax(lost))
        left, word = table["confidence without it"][most], _short(table["word"][most])
        change = f"from {attribution.confidence:.3f} to {left:.3f}"
        lowered = f"Removing “{word}” lowers the score most: the confidence goes {change}."
        sentences.append(lowered if lost[most] > 0 else "No removal of a single word lowers the score.")
    parts = attribution.extras.get(PARTS)
    if isinstance(parts, dict):
        sentences.append(
            f"Low frequencies alone (periods of {THEME} tokens or more) {_answer(parts['theme'])}; high frequencies "
            f"alone (shorter periods) {_answer(parts['single'])}."
        )
    return sentences


def _answer(part: dict[str, Any]) -> str:
    verb = "keep the prediction" if part["agreement"] > 0.5 else "lose the prediction"
    return verb if part["confidence"] is None else f"{verb} (confidence {part['confidence']:.3f})"


def _listed(pairs: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"“{_short(word)}” ({value:+.2g})" for word, value in pairs[:NAMED])


def _short(word: str) -> str:
    return word if len(word) <= CHARACTERS else word[: CHARACTERS - 1] + "…"


def _classic(texts: list[str]) -> tuple[list[bool], list[str]]:
    """Tokens that say at their end whether the word goes on (`@@`) or stops (`</w>`); else each is a word."""
    before = ["", *texts[:-1]]
    if any(text.endswith("</w>") for text in texts):
        starts = [not text or text.endswith("</w>") for text in before]
    else:
        starts = [not text.endswith("@@") for text in before]
    return starts, [text.removesuffix("</w>").removesuffix("@@") or text for text in texts]


def _byte_level(names: Sequence[str]) -> bool:
    """Whether tokens are as such a vocabulary writes them, without spaces; "Ġ" is also a letter."""
    return any("Ġ" in name or "Ċ" in name for name in names) and not any(" " in name for name in names)


def _word_texts(names: Sequence[str], numbers: np.ndarray) -> list[str]:
    """The text of each word, by the number of each token's word; characters of several byte tokens are put together."""
    texts = [""] * (int(numbers[-1]) + 1)
    if _byte_level(names):
        for number, name in zip(numbers, names, strict=True):
            texts[number] += name
        return [_from_bytes(text).strip(" ") or "␣" for text in texts]
    for number, (piece, _) in zip(numbers, token_pieces(names), strict=True):
        texts[number] += piece
    texts = [text.removeprefix("␣") or text for text in texts]
    return [without_bytes(text) for text in texts]


def without_bytes(text: str) -> str:
    """A text with the characters that written bytes make; what makes none becomes "\ufffd"."""
    return _BYTES.sub(lambda run: bytes.fromhex(re.sub("[<>]|0x", "", run[0])).decode("utf-8", "replace"), text)


def _from_bytes(token: str) -> str:
    alphabet = _byte_alphabet()
    if any(character not in alphabet for character in token):
        return token
    return bytes(alphabet[character] for character in token).decode("utf-8", errors="replace")


@lru_cache(maxsize=1)
def _byte_alphabet() -> dict[str, int]:
    """The characters that byte-level tokenizers write for bytes: printable Latin-1 as it is, the rest from 256 on."""
    printable = [b for b in range(256) if 33 <= b <= 126 or (b >= 161 and b != 173)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
