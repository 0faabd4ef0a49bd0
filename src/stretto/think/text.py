"""The tokenizer of a language model: text to ids and back, at once or as a stream, by the model's name.

Byte-level BPE: a token is a few bytes, so a character may end in a later token. The streaming decoder holds such bytes
back; its whole state is those bytes, at most three. What a person types never becomes a special token: `<|im_end|>` in
it is ten ordinary characters unless the caller asks for `special=True`.

SmolLM2's own tokenizer cuts out every single digit before the byte-level split. The GGUF file says so by the name of
its pre-tokenizer (`smollm`); transformers does not look at that name when it reads a GGUF, and differs where a number
follows two white-space characters. The word list has no token for 21 bytes (six control characters, and bytes that only
unassigned characters have): they are dropped.

    text = load_text("smollm2-135m")
    text.decode(text.encode("Turn on the stove."))
    state = text.start()
    said, state = text.push(ids, state)

Source: GPT-2's byte-level BPE; ChatML. Needs: tokenizers; no torch, no transformers.
"""

import codecs
import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from stretto.core.errors import StrettoError, unknown
from stretto.think.llama import Gguf, find, read_gguf

T = TypeVar("T", bound=Sequence[int])

_MARKS = ".?!"  # each is heard by itself
_CONTROL = 3  # token type of special tokens in a GGUF file


@functools.lru_cache(maxsize=8)
def load_text(name: str) -> "Text":
    """The tokenizer of a language model: `smollm2-135m`, a directory, a `.gguf` file or a hub id, built once a process.

    Raises StrettoError for an unknown name, a missing or broken file, and a tokenizer that is not byte-level BPE.
    """
    path = find(name, ("tokenizer.json",))
    return Text(_from_gguf(read_gguf(path)) if path.suffix == ".gguf" else _from_json(path / "tokenizer.json"))


class Text:
    """A byte-level tokenizer. Ids are those of the model's embedding; nothing is added at either end of a text.

    Raises StrettoError when the tokenizer is of another family.
    """

    def __init__(self, tokenizer: Tokenizer):
        if not isinstance(tokenizer.decoder, decoders.ByteLevel):
            raise StrettoError(
                f"Expected a byte-level BPE tokenizer (GPT-2, Llama 3, SmolLM2), got one that decodes by "
                f"{type(tokenizer.decoder).__name__}. Use a model with a byte-level tokenizer."
            )
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._plain = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._special = {token.content: at for at, token in sorted(added.items()) if token.special}
        self._bytes = _bytes_of(tokenizer, {at: token.content for at, token in added.items()})
        self._silent = frozenset(self._special.values())
        self._words: dict[str, list[int]] = {}

    @property
    def size(self) -> int:
        """How many ids there are, special ones included."""
        return len(self._bytes)

    @property
    def names(self) -> tuple[str, ...]:
        """The special tokens, in the order of their ids."""
        return tuple(self._special)

    def id(self, name: str) -> int:
        """The id of a special token such as `<|im_end|>`. Raises StrettoError with the nearest name."""
        if name not in self._special:
            raise unknown("special token", name, self._special)
        return self._special[name]

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The ids of `text`. Names of special tokens in it are ordinary text unless `special`.

        Raises StrettoError for text that is not Unicode (a lone half of a surrogate pair).
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise StrettoError(f"Expected Unicode text, got a lone surrogate at position {error.start}.") from error
        return (self._parsing if special else self._plain).encode(text, add_special_tokens=False).ids

    def heard(self, text: str) -> list[int]:
        """The ids of what is heard, a sentence or a part of one: words one by one, marks by themselves.

        A word is the same ids wherever it stands: behind a space, with its capital or without, whichever is fewer ids
        and then the one that was merged first, which is what people write most.
        """
        found: list[int] = []
        for part in text.split():
            word = part.rstrip(_MARKS)
            found += self._word(word) if word else []
            found += self.encode(part[len(word) :])
        return found

    def heard_words(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """What `heard` gives for each of many words without marks, in a fifth of the time."""
        forms = sorted({form for word in words for form in (word, word.lower())})
        ids = {
            form: tuple(some.ids)
            for form, some in zip(forms, self._plain.encode_batch([f" {form}" for form in forms]), strict=True)
        }
        return [_shorter(ids[word], ids[word.lower()]) for word in words]

    def _word(self, word: str) -> list[int]:
        if word not in self._words:
            self._words[word] = _shorter(*(self.encode(f" {form}") for form in (word, word.lower())))
        return self._words[word]

    def decode(self, ids: Iterable[int], special: bool = False) -> str:
        """The text of `ids`, without the special tokens among them unless `special`; broken characters become U+FFFD.

        Raises StrettoError for an id outside the vocabulary.
        """
        return self._joined(ids, special).decode("utf-8", "replace")

    def bytes_of(self, token: int) -> bytes:
        """What a token stands for; nothing for a special one. Raises StrettoError for an id outside the vocabulary."""
        return self._joined([token], special=False)

    def start(self) -> bytes:
        """The state of a streaming decoder that has seen nothing."""
        return b""

    def push(self, ids: Iterable[int], state: bytes) -> tuple[str, bytes]:
        """The text that became whole with `ids`, and the bytes of a character that is not whole yet.

        All texts of a stream together are what `decode` makes of all its ids, but for an unfinished end.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        decoder.setstate((state, 0))
        return decoder.decode(self._joined(ids, special=False)), decoder.getstate()[0]

    def chat(self, system: str, user: str) -> list[int]:
        """One turn in ChatML, as SmolLM2 was trained, up to where the assistant begins to speak.

        Raises StrettoError when the model has no `<|im_start|>`.
        """
        begin, end = self.id("<|im_start|>"), [self.id("<|im_end|>"), *self.encode("\n")]
        turns = (("system", system), ("user", user))
        said = [at for role, text in turns for at in (begin, *self.encode(f"{role}\n{text}"), *end)]
        return [*said, begin, *self.encode("assistant\n")]

    def _joined(self, ids: Iterable[int], special: bool) -> bytes:
        kept = list(ids) if special else [at for at in ids if at not in self._silent]
        if kept and not 0 <= min(kept) <= max(kept) < self.size:
            raise StrettoError(f"Expected token ids from 0 to {self.size - 1}, got {min(kept)} to {max(kept)}.")
        return b"".join([self._bytes[at] for at in kept])

    @functools.cached_property
    def _parsing(self) -> Tokenizer:
        """A second tokenizer that reads special tokens by name. Which of the two to do is no argument of `encode`."""
        return Tokenizer.from_str(self._plain.to_str())


def _shorter(one: T, other: T) -> T:
    """Whichever is fewer ids, then the one merged first."""
    return min(one, other, key=lambda ids: (len(ids), ids))


def _bytes_of(tokenizer: Tokenizer, added: dict[int, str]) -> list[bytes]:
    """What each id stands for. Byte-level tokens spell every byte as one printable character."""
    byte = _alphabet()
    by_id = {at: name.encode() for at, name in added.items()}
    for token, at in tokenizer.get_vocab(with_added_tokens=False).items():
        spelled = [byte.get(character, -1) for character in token]
        by_id.setdefault(at, token.encode() if -1 in spelled else bytes(spelled))
    return [by_id.get(at, b"") for at in range(max(by_id) + 1)]


def _alphabet() -> dict[str, int]:
    """GPT-2's spelling of bytes: a printable Latin-1 character is itself, all others are U+0100, U+0101 … in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = sorted(set(range(256)) - set(printable))
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


def _from_json(path: Path) -> Tokenizer:
    if not path.is_file():
        raise StrettoError(f"Expected {path}: the tokenizer of a model's directory is its tokenizer.json.")
    data = path.read_bytes()
    try:
        kind = json.loads(data)["model"]["type"]
    except (ValueError, KeyError, TypeError) as error:
        raise StrettoError(f"{path} is not a tokenizer ({error!r}). Download it again.") from error
    if kind != "BPE":
        raise StrettoError(f"{path}: expected a byte-level BPE tokenizer, got {kind}.")
    return Tokenizer.from_buffer(data)


def _from_gguf(file: Gguf) -> Tokenizer:
    """SmolLM2's tokenizer from the word list and the merges in a GGUF file."""
    meta = file.meta
    family = (meta.get("tokenizer.ggml.model"), meta.get("tokenizer.ggml.pre"))
    if family != ("gpt2", "smollm"):
        raise StrettoError(
            f"{file.path}: expected SmolLM2's tokenizer ('gpt2', 'smollm'), got {family}. "
            f"Give a directory with the model's tokenizer.json instead."
        )
    words = meta["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={word: at for at, word in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = meta["tokenizer.ggml.token_type"]
    special = [word for word, kind in zip(words, kinds, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in special])
    return tokenizer
