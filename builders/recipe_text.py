"""A recipe as YAML with the meaning of every setting beside it, taken from the docstrings in ``recipe.py``."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
from typing import Any

import yaml

from . import recipe as module
from .recipe import Recipe


def recipe_yaml(recipe: Recipe) -> str:
    """The complete recipe; reading it back with ``load_settings`` gives an equal one."""
    meanings = _meanings()
    lines = ["# A recipe of mmprolong. What you leave out keeps its default.", ""]
    for item in dataclasses.fields(recipe):
        value = getattr(recipe, item.name)
        if not dataclasses.is_dataclass(value):
            lines += _setting("Recipe", item.name, value, meanings, "")
            continue
        owner = type(value).__name__
        lines += ["", f"# {meanings[owner, '']}", f"{item.name}:"]
        for child in dataclasses.fields(value):
            lines += _setting(owner, child.name, getattr(value, child.name), meanings, "  ")
    return "\n".join(lines) + "\n"


def _setting(owner: str, name: str, value: Any, meanings: dict[tuple[str, str], str], indent: str) -> list[str]:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    text = text.removesuffix("...\n").strip()
    return [f"{indent}# {meanings[owner, name]}", f"{indent}{name}: {text}"]


def _meanings() -> dict[tuple[str, str], str]:
    """(class, field) -> the string that follows the field in the source; (class, "") -> the class's docstring."""
    found = {}
    sections = [type(getattr(Recipe(), item.name)) for item in dataclasses.fields(Recipe)]
    names = {section.__module__ for section in sections if dataclasses.is_dataclass(section)}
    modules = [module, *(sys.modules[name] for name in sorted(names - {module.__name__}))]
    for node in [node for owner in modules for node in ast.parse(inspect.getsource(owner)).body]:
        if not isinstance(node, ast.ClassDef):
            continue
        found[node.name, ""] = " ".join((ast.get_docstring(node) or "").split())
        for field, text in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[node.name, field.target.id] = " ".join(str(text.value.value).split()).replace("``", "")
    return found
