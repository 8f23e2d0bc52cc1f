"""``mmprolong recipe``: every setting with its default and meaning."""

from __future__ import annotations

import argparse
import sys

from mmprolong_data.settings import load_settings

from ..recipe import Recipe


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    recipe = commands.add_parser(
        "recipe",
        help="print every setting with its default and meaning",
        description="Print a complete recipe as YAML. Edit a copy and give it to 'mmprolong build --recipe'.",
    )
    recipe.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    recipe.set_defaults(run=_recipe)


def _recipe(options: argparse.Namespace) -> int:
    from ..recipe_text import recipe_yaml

    recipe = load_settings(Recipe, None, options.overrides)
    recipe.validate()
    sys.stdout.write(recipe_yaml(recipe))
    return 0
