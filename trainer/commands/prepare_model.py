"""``mmprolong prepare-model``: a model folder with its RoPE base scaled for long context."""

from __future__ import annotations

import argparse

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path
from mmprolong_data.errors import SettingsError

DESCRIPTION = """\
Copy a Qwen2.5-VL or Qwen3-VL model and scale its RoPE base for a longer context.

The base follows from the ratio of the new to the trained context (Dynamic NTK, rounded to one digit: x 4 turns 1e6 into
4e6). It is written where transformers 4 and 5 look for it, and read back to prove it. Weights are not changed.
"""

EXAMPLES = """\
examples:
  mmprolong prepare-model Qwen/Qwen2.5-VL-7B-Instruct models/7b-128k --context 131072
  mmprolong prepare-model models/7b models/7b-8e6 --rope-theta 8e6       another base
  mmprolong prepare-model tiny models/tiny --dataset mmprolong           a random one for trying things on a CPU
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "prepare-model",
        help="scale a model's RoPE base for long context",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="MODEL", help="model folder, Hub id, or 'tiny'")
    parser.add_argument("out", type=local_path, metavar="OUT", help="new folder")
    parser.add_argument("--context", type=int, default=131_072, metavar="N", help="positions (default: 131072)")
    parser.add_argument("--rope-theta", type=float, metavar="BASE", help="use this base instead of the computed one")
    parser.add_argument("--trained-context", type=int, metavar="N", help="positions that the model was trained on")
    parser.add_argument("--link", action="store_true", help="hard-link the weights instead of copying them")
    parser.add_argument(
        "--dataset", type=local_path, metavar="DIR", help="with 'tiny': a dataset whose texts train the tokenizer"
    )
    parser.add_argument("--seed", type=int, default=0, help="with 'tiny': of the random weights")
    parser.set_defaults(run=_prepare)


def _prepare(options: argparse.Namespace) -> int:
    output = terminal.console()
    for name in ("context", "trained_context"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise SettingsError(f"--{name.replace('_', '-')} {value}: must be positive")
    if options.rope_theta is not None and not 1 < options.rope_theta < 1e12:
        raise SettingsError(f"--rope-theta {options.rope_theta:g}: must be between 1 and 1e12")
    source = options.source
    if source == "tiny":
        from ..tiny import make_tiny_model

        if options.dataset is None:
            raise SettingsError("prepare-model tiny: needs --dataset DIR, whose texts train the tokenizer")
        size = make_tiny_model(options.out, options.dataset, options.seed)
        output.print(f"{options.out}: a random model of {size:,} parameters", highlight=False, soft_wrap=True)
        return 0
    from ..prepare import prepare_model

    done = prepare_model(
        source, options.out, options.context, options.rope_theta, options.trained_context, options.link
    )
    how = "as given" if options.rope_theta is not None else f"computed: {done.exact_base:.4g}, rounded to one digit"
    output.print(
        f"{options.out}: RoPE base {done.old_base:g} -> {done.new_base:g} ({how}), {done.context:,} positions",
        highlight=False,
        soft_wrap=True,
    )
    return 0
