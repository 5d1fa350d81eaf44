"""One grammar of names for methods and domains: `"ffc:kappa=.03"`, `"wavelet:db4,level=3"`, or the objects."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from hf_fourier.errors import SEE_NAMES, FourierError, SpecError

T = TypeVar("T")
#: The largest whole number in the spec of a method or a domain (steps, samples, a window), and a spec's characters.
SPEC_NUMBER, SPEC_CHARACTERS = 10**6, 10_000
#: Digits of a whole number in a spec; longer ones are read as real numbers.
_DIGITS = 300

_FROM_MAPS = "make the maps with another library (Captum) and pass them to `explainer.from_maps`, with lift='magnitude'"
_GRADCAM = "write its class after 'gradcam:', as in 'gradcam:HiResCAM' (extra `peers`)"
_CONTRIBUTIONS = (
    "make the maps with that library and pass them to `explainer.from_maps`, with lift='transport' where they are "
    "contributions (gradient × input, LRP), else lift='magnitude'"
)
#: Methods that people ask for and other libraries have, by their bare names.
_ELSEWHERE = {
    "gradcam++": _GRADCAM, "hirescam": _GRADCAM, "eigencam": _GRADCAM, "layercam": _GRADCAM, "xgradcam": _GRADCAM,
    "guidedgradcam": _FROM_MAPS, "scorecam": _FROM_MAPS, "ablationcam": _FROM_MAPS,
    "attention": _FROM_MAPS, "attentionrollout": _FROM_MAPS, "rollout": _FROM_MAPS, "lime": _FROM_MAPS,
    "inseq": _CONTRIBUTIONS, "lxt": _CONTRIBUTIONS, "attnlrp": _CONTRIBUTIONS, "interpreto": _CONTRIBUTIONS,
    "innvestigate": _CONTRIBUTIONS, "ferret": _CONTRIBUTIONS,
}  # fmt: skip

#: The method where none is given.
DEFAULT_METHOD = "tracking"


class Registry(Generic[T]):
    """Classes by name, each a frozen dataclass whose fields are its parameters.

    Args:
        kind: What is registered, for messages ("method", "domain").

    Attributes:
        needs: The library that each cannot run without, by name; "" for none.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[T]] = {}
        self._aliases: dict[str, str] = {}
        self.needs: dict[str, str] = {}

    def register(self, name: str, aliases: Sequence[str] = (), needs: str = "") -> Callable[[type[T]], type[T]]:
        """A decorator that enters a frozen dataclass under `name` (also kept as its `name` attribute).

        Args:
            name: The name in results.
            aliases: Other names that people type ("ig", "shap:GradientExplainer"). Case, hyphens and underscores never
                matter.
            needs: The library that it cannot run without; it is listed where that is installed.
        """

        def enter(cls: type[T]) -> type[T]:
            if not (dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen):  # type: ignore[attr-defined]
                raise TypeError(f"{cls.__name__} must be a frozen dataclass to be registered as {self.kind} {name!r}")
            known = self._classes.get(name, cls)
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"{self.kind} {name!r} is registered already, by {known.__module__}")
            cls.name = name  # type: ignore[attr-defined]
            self._classes[name], self.needs[name] = cls, needs
            for alias in (name, *aliases):
                if self._aliases.setdefault(bare_name(alias), name) != name:
                    raise ValueError(f"{alias!r} names {self.kind} {self._aliases[bare_name(alias)]!r} already")
            return cls

        return enter

    def aliases(self, name: str) -> list[str]:
        """The other names of a registered one."""
        return [alias for alias, known in self._aliases.items() if known == name and alias != bare_name(name)]

    def remove(self, name: str) -> None:
        """Take `name` out again."""
        del self._classes[name], self.needs[name]
        self._aliases = {alias: known for alias, known in self._aliases.items() if known != name}

    def __iter__(self) -> Iterator[str]:
        """The names of those that can run here."""
        return iter(sorted(name for name, library in self.needs.items() if not library or find_spec(library)))

    @property
    def missing(self) -> dict[str, str]:
        """The names of those that cannot run here, with the library that each needs."""
        return {name: library for name, library in sorted(self.needs.items()) if library and not find_spec(library)}

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __getitem__(self, name: str) -> type[T]:
        if name in self._classes:
            return self._classes[name]
        bare = bare_name(name)
        if bare in self._aliases:
            return self._classes[self._aliases[bare]]
        near = difflib.get_close_matches(bare, self._aliases, n=1)
        hint = f"did you mean {self._aliases[near[0]]!r}?" if near else "choose one of them"
        if self.kind == "method":
            hint = _ELSEWHERE.get(bare, hint)
        raise SpecError(f"{self.kind} {name!r}", f"one of {', '.join(sorted(self._classes))}", hint)

    def parse(self, spec: str | T) -> T:
        """The object that `spec` names.

        `"name"`, `"name:value,key=value"`: values without a key fill the parameters in their order; `+` separates
        the items of a tuple. `"name:preset=x"` starts from one of the class's `presets`. Aliases stand for names.
        Objects pass through.

        Raises:
            SpecError: If the name, a parameter or a value is unknown, a whole number is above `SPEC_NUMBER`, or
                the text is longer than `SPEC_CHARACTERS`.
        """
        if not isinstance(spec, str):
            if type(spec) in self._classes.values():
                return self._bounded(spec)
            raise SpecError(f"{spec!r}", f"the name of a {self.kind} or one of its objects", SEE_NAMES)
        if len(spec) > SPEC_CHARACTERS:
            got = f"the name and options of a {self.kind} in {len(spec)} characters"
            raise SpecError(got, f"at most {SPEC_CHARACTERS}", "pass an object of the class")
        name, _, rest = spec.partition(":")
        first, _, others = rest.partition(",")
        if bare_name(f"{name}:{first}") in self._aliases:
            name, rest = f"{name}:{first}", others
        cls = self[name.strip()]
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        values: dict[str, Any] = {}
        for position, part in enumerate(filter(None, (p.strip() for p in rest.split(",")))):
            key, equals, text = part.partition("=")
            if not equals:
                key, text = names[position] if position < len(names) else "", part
            key = key.strip()
            if key == "preset":
                values = {**self._preset(cls, text.strip()), **values}
            elif key in names:
                values[key] = _value(text.strip())
            else:
                known = ", ".join(names) or "no parameters"
                raise SpecError(f"parameter {part!r} for {self.kind} {name!r}", known, "correct the spec")
        try:
            return self._bounded(cls(**values))
        except FourierError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            got = f"spec {spec:.200} ({str(error).strip().splitlines()[0]})"
            raise SpecError(got, f"values that {self.kind} {name!r} takes", "correct the spec") from error

    def _bounded(self, value: T) -> T:
        """The object itself.

        Raises:
            SpecError: If one of its parameters is a whole number above `SPEC_NUMBER`.
        """
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            given = getattr(value, field.name)
            if isinstance(given, int) and abs(given) > SPEC_NUMBER:
                got = f"{field.name} {_shortened(given)} of {self.kind} {value.name!r}"  # type: ignore[attr-defined]
                raise SpecError(got, f"at most {SPEC_NUMBER}", f"correct `{field.name}`")
        return value

    def _preset(self, cls: type[T], name: str) -> dict[str, Any]:
        presets: dict[str, dict[str, Any]] = getattr(cls, "presets", {})
        if name not in presets:
            known = ", ".join(presets) or "none (it has no presets)"
            raise SpecError(f"preset {name!r}", f"one of {known}", "choose one of them")
        return presets[name]

    def spec(self, value: T) -> str:
        """The spec that `parse` turns back into `value`, with every parameter that is not at its default.

        A class with `first_is_bare` always has its first parameter there, without its name.
        """
        parts = []
        for position, field in enumerate(dataclasses.fields(value)):  # type: ignore[arg-type]
            current = getattr(value, field.name)
            if position == 0 and getattr(value, "first_is_bare", False):
                parts.append(spec_value(current))
            elif current != field.default:
                parts.append(f"{field.name}={spec_value(current)}")
        return value.name + (":" + ",".join(parts) if parts else "")  # type: ignore[attr-defined]


def bare_name(name: str) -> str:
    """A name in lower case, without hyphens, underscores and blanks."""
    return re.sub(r"[-_\s]", "", name.lower())


def _value(text: str) -> Any:
    """Read one value: None, a truth value, a number, a `+`-separated tuple, or the text itself."""
    if "+" in text[1:] and not _is_number(text):
        return tuple(_value(part) for part in text.split("+") if part)
    fixed = {"none": None, "true": True, "false": False}
    if text.lower() in fixed:
        return fixed[text.lower()]
    if not _is_number(text):
        return text
    return int(text) if text.lstrip("+-").isdigit() and len(text) < _DIGITS else float(text)


def _shortened(number: int) -> str:
    """A whole number in few digits."""
    return str(number) if abs(number) < 10**_DIGITS else "of very many digits"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def spec_value(value: Any) -> str:
    """A parameter's value as specs have it: truth values and None in small letters, tuples joined by +."""
    if isinstance(value, tuple):
        return "+".join(spec_value(item) for item in value) + ("+" if len(value) == 1 else "")
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
