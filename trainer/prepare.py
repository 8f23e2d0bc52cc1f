"""A model folder ready for long context: RoPE base scaled and written for every reader, weights as they were."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError, missing_extra

from .rope import TRAINED_CONTEXT, base_of, head_dim, scaled_base, set_base, with_legacy_keys

PREPARED_NAME = "mmprolong_prepared.json"
"""What ``prepare_model`` did, beside the model."""

_COPIED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.jinja", "*.md", "LICENSE*")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was made.

    Attributes:
        old_base, new_base: RoPE bases.
        exact_base: Before rounding.
        context: Positions the model now claims.
    """

    old_base: float
    new_base: float
    exact_base: float
    context: int


def load_config(folder: Path) -> Any:
    """The configuration of a model folder, of a kind that we train.

    Raises:
        MMProLongError: no model there, or of another kind.
    """
    try:
        from transformers import AutoConfig
    except ImportError:
        raise missing_extra("transformers", "train") from None
    path = folder / "config.json"
    try:
        plain = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise MMProLongError(f"{folder}: no model here (config.json is missing)") from None
    except ValueError as error:
        raise MMProLongError(f"{path}: damaged: not JSON ({error})") from None
    kind = plain.get("model_type") if isinstance(plain, dict) else None
    if kind not in TRAINED_CONTEXT:
        raise MMProLongError(f"{path}: model_type {kind!r} is none of {', '.join(TRAINED_CONTEXT)}")
    return AutoConfig.from_pretrained(folder, local_files_only=True)


def check_written(folder: Path, base: float) -> None:
    """Assert that both generations of readers find this base in ``config.json``.

    Raises:
        MMProLongError: one of them would not.
    """
    plain = json.loads((folder / "config.json").read_bytes())
    text = plain.get("text_config", plain)
    readings = {
        "transformers 5": base_of(load_config(folder).text_config),
        "transformers 4": float(text.get("rope_theta", 1e6)),
        "transformers 4, top level": float(plain.get("rope_theta", base)),
    }
    wrong = {reader: value for reader, value in readings.items() if value != base}
    if wrong:
        raise MMProLongError(f"{folder / 'config.json'}: the RoPE base should be {base:g}, but {wrong}")


def prepare_model(
    source: str,
    out: Path,
    context: int,
    rope_theta: float | None = None,
    trained_context: int | None = None,
    link: bool = False,
) -> Prepared:
    """Make ``out`` a copy of the model ``source`` for ``context`` positions.

    Args:
        source: A model folder, or a Hub id such as ``Qwen/Qwen2.5-VL-7B-Instruct``.
        out: New or empty folder.
        context: Positions, such as 131,072.
        rope_theta: The new base; None: ``scaled_base`` of the context ratio.
        trained_context: Positions the model was trained on; None: what is known of its kind.
        link: Hard-link the weights instead of copying them, where the file system can.

    Raises:
        MMProLongError: not a model of a known kind, no weights, ``out`` in use, or a base that readers would ignore.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _download(source)
    if out.exists() and any(out.iterdir()):
        raise MMProLongError(f"{out}: exists and is not empty. Remedy: another folder")
    config = load_config(folder)
    if not list(folder.glob("*.safetensors")):
        raise MMProLongError(f"{folder}: no *.safetensors here")
    old = base_of(config.text_config)
    ratio = context / (trained_context or TRAINED_CONTEXT[config.model_type])
    size = head_dim(config.text_config)
    new = float(rope_theta) if rope_theta is not None else scaled_base(old, ratio, size)
    if new < old:
        raise MMProLongError(f"--rope-theta {new:g}: smaller than the model's own base {old:g}")
    set_base(config, new)
    config.text_config.max_position_embeddings = max(config.text_config.max_position_embeddings, context)
    out.mkdir(parents=True, exist_ok=True)
    for pattern in _COPIED:
        for path in sorted(folder.glob(pattern)):
            if path.name != "config.json":
                _place(path, out / path.name, link and path.suffix == ".safetensors")
    write_config(out, config)
    check_written(out, new)
    exact = old * max(1.0, ratio) ** (size / (size - 2))
    facts = {"source": source, "context": context, "ratio": ratio, "old_rope_theta": old, "rope_theta": new}
    (out / PREPARED_NAME).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return Prepared(old, new, exact, context)


def write_config(folder: Path, config: Any) -> None:
    """Write ``config.json`` so that transformers 4 and 5 read the same."""
    plain = with_legacy_keys(json.loads(config.to_json_string(use_diff=False)))
    (folder / "config.json").write_text(json.dumps(plain, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _download(name: str) -> Path:
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise MMProLongError(f"{name}: neither a folder nor a Hub id (OWNER/NAME)")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_COPIED)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise MMProLongError(f"{name}: neither a folder here nor to be had from the Hub: {cause}") from None


def _place(source: Path, target: Path, link: bool) -> None:
    source = source.resolve()  # the Hub's cache consists of symbolic links
    if link:
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            pass
        else:
            return
    shutil.copyfile(source, target)
