"""A run as VeOmni's arguments; what VeOmni makes of them is tested in its own environment (tests/contract)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from mmprolong_trainer.config import TrainConfig
from mmprolong_trainer.veomni.arguments import veomni_arguments

from mmprolong_data.cli import main
from mmprolong_data.errors import SettingsError
from mmprolong_data.settings import from_plain, load_settings

RECIPE = Path(__file__).resolve().parents[2] / "configs" / "mmprolong-7b-128k.yaml"


def test_the_recipe_in_veomnis_words() -> None:
    written = veomni_arguments(load_settings(TrainConfig, RECIPE))
    data, train = written["data"], written["train"]
    assert (data["max_seq_len"], train["global_batch_size"], train["max_steps"]) == (131_072, 32, 1280)
    assert (train["micro_batch_size"], train["dyn_bsz"]) == (1, False)
    assert train["accelerator"]["ulysses_size"] == 2
    rate = train["optimizer"]
    assert (rate["lr"], rate["lr_min"], rate["lr_warmup_ratio"], rate["lr_decay_style"]) == (1e-5, 1e-6, 0.1, "cosine")
    assert (rate["weight_decay"], rate["betas"], rate["max_grad_norm"]) == (0.1, [0.9, 0.95], 1.0)
    assert data["mm_configs"]["mmprolong"]["data"]["configs"] == {
        "extract_single": 0.4, "extract_multi": 0.4, "reasoning": 0.2,
    }  # fmt: skip
    own = from_plain(TrainConfig, data["mm_configs"]["mmprolong"])
    assert own.data == load_settings(TrainConfig, RECIPE).data


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": {"path": "m", "freeze": ["vision"]}}, r"model.freeze = \['vision'\]: VeOmni 0.1.12 can do"),
        ({"optimizer": {"eps": 1e-6}}, "optimizer.eps"),
        ({"guard": {"skip": 2}}, "guard.skip"),
        ({"run": {"probe": "p", "eval_every_tokens": 5}}, "run.probe"),
    ],
)
def test_what_veomni_cannot_do_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        veomni_arguments(from_plain(TrainConfig, {"model": {"path": "m"}} | changed))


def test_no_clipping_and_freezing_of_the_whole_tower_are_translated() -> None:
    plain = {"model": {"path": "m", "freeze": ["vision", "merger"]}, "optimizer": {"grad_clip": 0.0}}
    train = veomni_arguments(from_plain(TrainConfig, plain))["train"]
    assert train["freeze_vit"]
    assert train["optimizer"]["max_grad_norm"] == 1e9


def test_command_writes_once_and_points_to_a_prepared_folder(
    qwen2_5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: Path | str) -> tuple[int, str]:
        code = main(["export-veomni", str(RECIPE), str(tmp_path / "out"), *map(str, arguments)])
        output = capsys.readouterr()
        return code, " ".join((output.out + output.err).split())

    model = ("--set", f"model.path={qwen2_5}", "--set", "model.rope_theta=null")
    code, text = call("--set", f"model.path={tmp_path / 'none'}")
    assert (code != 0, "no model here" in text) == (True, True)
    code, text = call(*model[:2])
    assert (code != 0, "prepare-model --rope-theta 4e+06" in text) == (True, True)
    code, text = call(*model)
    assert code == 0
    assert "-m mmprolong_trainer.veomni.adapter" in text
    written = yaml.safe_load((tmp_path / "out" / "veomni.yaml").read_text(encoding="utf-8"))
    assert written["model"]["model_path"] == str(qwen2_5)
    code, text = call(*model)
    assert (code != 0, "exists" in text) == (True, True)
    # A folder that transformers 5.9 and 5.23 would read differently.
    broken = tmp_path / "broken"
    broken.mkdir()
    config = json.loads((qwen2_5 / "config.json").read_text(encoding="utf-8"))
    config["text_config"]["rope_theta"] = 5e5
    config["text_config"]["rope_parameters"]["rope_theta"] = 4e6
    (broken / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert call("--set", f"model.path={broken}")[0] != 0
