"""Settings as frozen dataclasses: read from YAML and ``key=value`` overrides, refuse what is unknown or mistyped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .errors import SettingsError

T = TypeVar("T")

MAX_BYTES = 1_000_000
"""Of a file of settings: a PDF or a device that was named by mistake must not fill the memory."""


def load_settings(cls: type[T], path: str | Path | None = None, overrides: list[str] | None = None) -> T:
    """Build the settings class ``cls`` from its defaults, then a YAML file, then overrides.

    Args:
        cls: A dataclass whose fields are plain types, lists, dicts or further dataclasses.
        path: A YAML file with a mapping of the same shape; what it leaves out keeps its default.
        overrides: ``section.key=value`` strings; the value is read as YAML. The last one wins.

    Raises:
        SettingsError: unreadable file, unknown key (with the nearest known one), a key given twice, or wrong type.
    """
    values: dict[str, Any] = {}
    if path is not None:
        values = _read_yaml(path)
        try:
            from_plain(cls, values)
        except SettingsError as error:
            raise SettingsError(f"{path}: {error}") from None
    for override in overrides or []:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"--set {override}: write it as section.key=value, such as select.pages=[8,50]")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError) as error:
            raise SettingsError(f"--set {override}: the value is not valid YAML: {error}") from None
        node = values
        *parents, last = key.strip().split(".")
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                raise SettingsError(f"--set {override}: {parent} is no section")
            node = child
        node[last] = value
    return from_plain(cls, values)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error: YAML itself would silently keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See ``yaml.SafeLoader``."""
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here for the second time", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(path: str | Path) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_BYTES:,} bytes: no file of settings")
        loaded = yaml.load(content.decode(), Loader=_Loader)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if loaded is not None and not isinstance(loaded, dict):
        raise SettingsError(f"{path}: the top level must be a mapping of settings")
    return loaded or {}


def from_plain(cls: type[T], values: dict[str, Any]) -> T:
    """The inverse of ``to_plain``; what ``values`` leaves out keeps its default.

    Raises:
        SettingsError: unknown key or wrong type.
    """
    return typing.cast(T, _convert(cls, values, ""))


def to_plain(settings: Any) -> dict[str, Any]:
    """The settings as nested dicts, lists and scalars."""
    return dataclasses.asdict(settings)


def fingerprint(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a plain value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Lines ``section.key: old -> new`` for every setting in which two plain settings differ."""
    lines = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key, "(absent)"), new.get(key, "(absent)")
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {before!r} -> {after!r}")
    return lines


def require(ok: bool, kind: str, name: str, value: object, allowed: str) -> None:
    """Refuse the value of a setting unless ``ok``.

    Args:
        ok: Whether it is allowed.
        kind: What the settings are: ``recipe``, ``config``.
        name: The setting, as ``section.key``.
        value: What it is.
        allowed: What it must be.

    Raises:
        SettingsError: ``KIND: NAME = VALUE: must be ALLOWED``.
    """
    if not ok:
        raise SettingsError(f"{kind}: {name} = {value!r}: must be {allowed}")


def require_ranges(settings: Any, kind: str, ranges: Iterable[tuple[str, float, float]]) -> None:
    """Refuse numbers out of their range.

    Args:
        settings: A settings object with sections.
        kind: See ``require``.
        ranges: ``(section.key, least, most)``, both allowed.

    Raises:
        SettingsError: naming the first setting out of its range (or no number at all, ``nan``).
    """
    for name, low, high in ranges:
        value = settings
        for key in name.split("."):
            value = getattr(value, key)
        require(low <= value <= high, kind, name, value, f"from {low:,} to {high:,}")


def require_weights(weights: dict[str, float], kind: str, name: str, known: Collection[str]) -> None:
    """Refuse weights of a mixture that are negative (or ``nan``), all zero, or of something unknown.

    Raises:
        SettingsError: naming the setting and what is known.
    """
    require(bool(weights) and set(weights) <= set(known), kind, name, weights, f"weights of some of {', '.join(known)}")
    ok = all(0 <= weight < math.inf for weight in weights.values()) and sum(weights.values()) > 0
    require(ok, kind, name, weights, "weights >= 0, not all zero")


def _convert(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _convert_dataclass(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise SettingsError(f"{where} = {value!r}: must be one of {', '.join(map(str, arguments))}")
    if origin is list and isinstance(value, list):
        return [_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {_convert(arguments[0], k, where): _convert(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)  # YAML 1.1 takes 1e-5, without a point, for text
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    name = getattr(kind, "__name__", str(kind)) if origin is None else str(kind)
    raise SettingsError(f"{where} = {value!r}: must be of type {name}")


def _convert_dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise SettingsError(f"{where or 'the settings'} = {value!r}: must be a section with settings of its own")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    prefix = f"{where}." if where else ""
    for key in value:
        if key not in names:
            import difflib

            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known: {', '.join(names)}"
            raise SettingsError(f"unknown setting {prefix}{key}{hint}")
    return kind(**{key: _convert(hints[key], item, prefix + key) for key, item in value.items()})
