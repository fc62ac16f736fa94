"""Reading a config that nobody vouches for: every value typed and bounded, every error naming its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from estimators.provenance import Refusal

MAX_COUNT = 1 << 24  # no width, vocabulary or head count of a real model comes near
MAX_LAYERS = 4096
MAX_TOKENS = 1 << 40

T = TypeVar("T")


class ConfigError(Refusal):
    """A config that cannot be read: the message and `field` name what is wrong in it."""


class MissingField(ConfigError):
    """A config without a field that its family needs."""


class UnknownArchitecture(Refusal):
    """A model type nobody has described here."""


class Fields:
    """One section of a config. A field the config leaves out is looked up among the family's defaults.

    An explicit null stays null, as it does in the config classes of transformers.
    """

    __slots__ = ("_data", "_defaults", "path")

    def __init__(
        self, data: Mapping[str, object], defaults: Mapping[str, object] | None = None, path: str = ""
    ) -> None:
        self._data = data
        self._defaults = defaults or {}
        self.path = path

    def has(self, name: str) -> bool:
        """Whether the config itself states the field, with a value."""
        return self._data.get(name) is not None

    def filled(self) -> dict[str, object]:
        """Everything said here, over the defaults."""
        return {**self._defaults, **self._data}

    def over(self, defaults: Mapping[str, object]) -> Fields:
        """The same section over other defaults."""
        return Fields(self._data, defaults, self.path)

    def having(self, name: str, value: object) -> Fields:
        """The same section with one field set."""
        return Fields({**self._data, name: value}, self._defaults, self.path)

    def get(self, name: str) -> object:
        if name in self._data:
            return self._data[name]
        return self._defaults.get(name)

    def error(self, name: str, problem: str, remedy: str = "") -> ConfigError:
        field = f"{self.path}{name}"
        remedy = remedy or "Use the config.json of a published model."
        kind = MissingField if problem == "is missing" else ConfigError
        return kind(f"The model's config cannot be used: {field} {problem}.", field=field, remedy=remedy)

    def optional_count(self, name: str, *, low: int = 1, high: int = MAX_COUNT) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(name, f"should be a whole number and is {shown(value)}")
        if not low <= value <= high:
            raise self.error(name, f"should be between {low} and {high} and is {shown(value)}")
        return value

    def count(self, name: str, *, low: int = 1, high: int = MAX_COUNT, instead: int | None = None) -> int:
        """A whole number; `instead` stands in for one that is missing or null."""
        value = self.optional_count(name, low=low, high=high)
        if value is not None:
            return value
        if instead is None:
            raise self.error(name, "is missing")
        return instead

    def number(self, name: str, *, low: float, high: float) -> float:
        value = self.get(name)
        if value is None:
            raise self.error(name, "is missing")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(name, f"should be a number and is {shown(value)}")
        if not low <= value <= high:
            raise self.error(name, f"should be between {low} and {high} and is {shown(value)}")
        return float(value)

    def flag(self, name: str, instead: bool | None = None) -> bool:
        value = self.get(name)
        if value is None and instead is not None:
            return instead
        if not isinstance(value, bool):
            raise self.error(name, "is missing" if value is None else f"should be true or false and is {shown(value)}")
        return value

    def optional_text(self, name: str) -> str | None:
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > 4096:
            raise self.error(name, f"should be a short text and is {shown(value)}")
        return value

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None:
            raise self.error(name, "is missing")
        return value

    def optional_items(self, name: str, *, limit: int = MAX_LAYERS) -> Sequence[object] | None:
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise self.error(name, f"should be a list and is {shown(value)}")
        if len(value) > limit:
            raise self.error(name, f"should hold at most {limit} entries and holds {len(value)}")
        return value

    def texts(self, name: str, *, length: int | None = None, limit: int = MAX_LAYERS) -> tuple[str, ...]:
        """A list of texts, empty when missing; `length` asks for exactly that many."""
        items = self.optional_items(name, limit=limit) or ()
        if length is not None and len(items) != length:
            raise self.error(name, f"should have {length} entries, one per layer, and has {len(items)}")
        return tuple(self._checked(name, item, str) for item in items)

    def counts(self, name: str, *, low: int = 0, high: int = MAX_COUNT, limit: int = MAX_LAYERS) -> tuple[int, ...]:
        items = self.optional_items(name, limit=limit) or ()
        numbers = tuple(self._checked(name, item, int) for item in items)
        for number in numbers:
            if not low <= number <= high:
                raise self.error(name, f"should hold numbers between {low} and {high} and holds {shown(number)}")
        return numbers

    def _checked(self, name: str, item: object, kind: type[T]) -> T:
        if not isinstance(item, kind) or isinstance(item, bool):
            raise self.error(name, f"holds {shown(item)} where a {kind.__name__} belongs")
        return item

    def names(self, *, limit: int) -> tuple[str, ...]:
        """The keys of this section, in order."""
        if len(self._data) > limit:
            raise self.error("", f"should hold at most {limit} entries and holds {len(self._data)}")
        return tuple(self._data)

    def layers(self, name: str = "num_hidden_layers") -> int:
        return self.count(name, high=MAX_LAYERS)

    def section(self, name: str, defaults: Mapping[str, object] | None = None) -> Fields:
        value = self.get(name)
        if value is None:
            raise self.error(name, "is missing")
        if not isinstance(value, Mapping):
            raise self.error(name, f"should be a section of fields and is {shown(value)}")
        return Fields(value, defaults, f"{self.path}{name}.")

    def shares(self, whole: str, total: int, parts_name: str, parts: int) -> int:
        """`total` / `parts` where a config promises that it divides."""
        if total % parts:
            raise self.error(parts_name, f"({parts}) should divide {whole} ({total})")
        return total // parts


def shown(value: object) -> str:
    """A hostile value, short enough for a sentence. No repr of a container: it may be deep or endless."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else f"a number of about {value.bit_length() * 3 // 10} digits"
    if isinstance(value, float):
        return str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:40] + "...")
    return {"list": "a list", "tuple": "a list", "dict": "a section"}.get(type(value).__name__, "something else")
