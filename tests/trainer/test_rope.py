"""The RoPE base reaches the model, and every reader of the written configuration; what would be ignored is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmprolong_trainer.model import build_model
from mmprolong_trainer.prepare import check_written, load_config, prepare_model
from mmprolong_trainer.rope import base_of, check_built, scaled_base, set_base, with_legacy_keys
from support.vlm import HF_CLASSES, load_model, tiny_folder
from transformers import AutoConfig

from mmprolong_data.cli import main
from mmprolong_data.errors import MMProLongError


def test_base_follows_from_the_context_ratio_as_in_the_paper() -> None:
    assert [scaled_base(1e6, ratio, 128) for ratio in (0.5, 1, 2, 4, 8)] == [1e6, 1e6, 2e6, 4e6, 8e6]
    assert math.isclose(1e6 * 4 ** (128 / 126), 4.09e6, rel_tol=1e-3)


def test_only_the_text_configuration_before_building_counts(qwen2_5: Path) -> None:
    """What transformers ignores in silence stays refused: a base on the outer configuration, and one set too late."""
    config = load_config(qwen2_5)
    set_base(config, 4e6)
    check_built(build_model(config), 4e6)

    ignored = load_config(qwen2_5)
    ignored.rope_theta = 4e6
    with pytest.raises(MMProLongError, match="did not reach the model"):
        check_built(build_model(ignored), 4e6)

    late = load_config(qwen2_5)
    model = build_model(late)
    set_base(late, 4e6)
    with pytest.raises(MMProLongError, match="did not reach the model"):
        check_built(model, 4e6)

    argument = AutoConfig.from_pretrained(qwen2_5, rope_theta=4e6)
    assert base_of(argument.text_config) == 1e6


def test_frequencies_in_bfloat16_or_never_initialised_are_refused(qwen2_5: Path) -> None:
    model = load_model(qwen2_5)
    check_built(model, 1e6)
    with pytest.raises(MMProLongError, match="bfloat16"):
        check_built(model.bfloat16(), 1e6)
    config = load_config(qwen2_5)
    with torch.device("meta"):
        empty = HF_CLASSES["qwen2_5_vl"](config)
    empty.to_empty(device="cpu")
    for buffer in empty.buffers():
        buffer.zero_()
    with pytest.raises(MMProLongError, match="did not reach"):
        check_built(empty, 1e6)


def test_known_second_frequencies(qwen2_5: Path, tmp_path: Path) -> None:
    """With head size 16, 1e6 gives 0.17783 and 4e6 gives 0.14953: figures measured on the library itself."""
    model = load_model(qwen2_5)
    assert float(model.model.language_model.rotary_emb.inv_freq[1]) == pytest.approx(0.17783, abs=1e-5)
    prepare_model(str(qwen2_5), tmp_path / "out", 131_072, 4e6)
    scaled = load_model(tmp_path / "out")
    assert float(scaled.model.language_model.rotary_emb.inv_freq[1]) == pytest.approx(0.14953, abs=1e-5)


def read_like_transformers_4(folder: Path) -> tuple[float, Any]:
    """What ``Qwen2_5_VLTextConfig`` of 4.57 takes from a file: ``rope_theta`` (default 1e6) and ``rope_scaling``."""
    text = json.loads((folder / "config.json").read_text(encoding="utf-8"))["text_config"]
    return text.get("rope_theta", 1_000_000.0), text.get("rope_scaling")


@pytest.mark.parametrize("link", [False, True])
def test_prepared_folder_is_read_alike_by_both_generations(qwen2_5: Path, tmp_path: Path, link: bool) -> None:
    out = tmp_path / "long"
    done = prepare_model(str(qwen2_5), out, 131_072, 4e6, link=link)
    assert (done.old_base, done.new_base) == (1e6, 4e6)
    theta, scaling = read_like_transformers_4(out)
    assert theta == 4e6
    assert (scaling["type"], scaling["mrope_section"]) == ("default", [2, 3, 3])
    again = AutoConfig.from_pretrained(out)
    assert base_of(again.text_config) == 4e6
    assert again.text_config.max_position_embeddings == 131_072
    reference = HF_CLASSES["qwen2_5_vl"].from_pretrained(out, dtype=torch.bfloat16)
    assert reference.model.language_model.rotary_emb.inv_freq.dtype == torch.float32
    check_built(reference, 4e6)
    assert (out / "model.safetensors").read_bytes() == (qwen2_5 / "model.safetensors").read_bytes()
    assert (out / "tokenizer.json").is_file()


def test_a_flat_configuration_of_the_hub_is_scaled_too(qwen2_5: Path, tmp_path: Path) -> None:
    """Released files keep the text settings at the top level, base included: nothing of it may survive there."""
    plain = json.loads((qwen2_5 / "config.json").read_text(encoding="utf-8"))
    text = plain.pop("text_config")
    flat = {**text, **plain, "rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}
    for key in ("rope_parameters", "layer_types", "model_type"):
        flat.pop(key, None)
    flat |= {"model_type": "qwen2_5_vl"}
    source = tmp_path / "hub"
    source.mkdir()
    for path in qwen2_5.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    (source / "config.json").write_text(json.dumps(flat), encoding="utf-8")
    prepare_model(str(source), tmp_path / "out", 131_072, 4e6)
    assert read_like_transformers_4(tmp_path / "out")[0] == 4e6
    written = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert "rope_theta" not in written
    check_built(load_model(tmp_path / "out"), 4e6)


def test_a_configuration_that_one_generation_would_misread_is_noticed(qwen2_5: Path, tmp_path: Path) -> None:
    plain = json.loads((qwen2_5 / "config.json").read_text(encoding="utf-8"))
    for key in ("rope_theta", "rope_scaling"):
        del plain["text_config"][key]
    plain["text_config"]["rope_parameters"]["rope_theta"] = 4e6
    (tmp_path / "config.json").write_text(json.dumps(plain), encoding="utf-8")
    with pytest.raises(MMProLongError, match="transformers 4"):
        check_written(tmp_path, 4e6)
    (tmp_path / "config.json").write_text(json.dumps(with_legacy_keys(plain)), encoding="utf-8")
    check_written(tmp_path, 4e6)


def test_qwen3_within_its_trained_context_keeps_its_base(qwen3: Path, tmp_path: Path) -> None:
    done = prepare_model(str(qwen3), tmp_path / "out", 131_072)
    assert done.new_base == done.old_base
    check_built(load_model(tmp_path / "out"), done.old_base)


def test_scaled_rope_and_unknown_models_are_refused(qwen2_5: Path, tmp_path: Path) -> None:
    config = load_config(qwen2_5)
    config.text_config.rope_parameters = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6}
    with pytest.raises(MMProLongError, match="yarn"):
        base_of(config.text_config)
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(MMProLongError, match="model_type 'bert' is none of qwen2_5_vl, qwen3_vl"):
        load_config(tmp_path / "bert")


def test_command_prepares_and_explains_what_is_wrong(
    qwen2_5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: Path | str) -> tuple[int, str]:
        code = main(["prepare-model", *map(str, arguments)])
        output = capsys.readouterr()
        return code, output.out + output.err

    assert call(qwen2_5, tmp_path / "out", "--rope-theta", "8e6")[0] == 0
    assert base_of(load_config(tmp_path / "out").text_config) == 8e6
    for arguments, message in (
        ((qwen2_5, tmp_path / "out"), "not empty"),
        ((tmp_path / "absent", tmp_path / "other"), "neither a folder nor a Hub id"),
        ((qwen2_5, tmp_path / "small", "--rope-theta", "1e5"), "smaller than the model's own base"),
        (("tiny", tmp_path / "small"), "needs --dataset"),
    ):
        code, text = call(*arguments)
        assert code != 0
        assert message in " ".join(text.split())
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize("tied", [False, True])
def test_weights_arrive_under_either_naming(tmp_path: Path, tied: bool) -> None:
    folder = tiny_folder(tmp_path / "model", tied=tied)
    ours = dict(load_model(folder).named_parameters())
    theirs = dict(HF_CLASSES["qwen2_5_vl"].from_pretrained(folder, dtype=torch.float32).named_parameters())
    assert set(ours) == set(theirs)
    assert ("lm_head.weight" in ours) != tied
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    HF_CLASSES["qwen2_5_vl"].from_pretrained(folder, dtype=torch.float32).save_pretrained(tmp_path / "saved")
    saved = dict(load_model(tmp_path / "saved").named_parameters())
    assert all(torch.equal(ours[name], saved[name]) for name in ours)


def test_missing_or_wrong_weights_are_named(qwen2_5: Path, qwen3: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((qwen2_5 / name).read_bytes())
    with pytest.raises(MMProLongError, match="57 tensors are missing"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((qwen3 / "model.safetensors").read_bytes())
    with pytest.raises(MMProLongError, match=r"model\.safetensors"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x10" + b"\0" * 30)
    with pytest.raises(MMProLongError, match="damaged"):
        load_model(tmp_path)
