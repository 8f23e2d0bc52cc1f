"""Settings: the shipped files load, what is wrong is named, the command explains itself; schedule and guards."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from mmprolong_trainer.__main__ import main
from mmprolong_trainer.config import Guard, Optimizer, TrainConfig
from mmprolong_trainer.data import GROUPS, group_of, grouped, num_groups
from mmprolong_trainer.guard import LossGuard
from mmprolong_trainer.metrics import bucket_names, bucket_of, step_flops
from mmprolong_trainer.schedule import learning_rate

from mmprolong_data.errors import SettingsError
from mmprolong_data.settings import from_plain, load_settings, to_plain

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FILES = sorted(CONFIGS.rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_shipped_configurations_load(path: Path) -> None:
    config = load_settings(TrainConfig, path)
    config.validate()
    if path.stem != "tiny-cpu":
        assert config.packs_per_step() == 32
        assert config.run.token_budget // config.run.global_batch_tokens == 1280
        assert sum(config.data.configs.values()) == pytest.approx(1)


def test_the_recipe_is_the_papers() -> None:
    config = load_settings(TrainConfig, CONFIGS / "mmprolong-7b-128k.yaml")
    assert config.model.rope_theta == 4e6
    assert (config.optimizer.lr, config.optimizer.min_lr, config.optimizer.warmup) == (1e-5, 1e-6, 0.1)
    assert (config.optimizer.weight_decay, config.optimizer.betas) == (0.1, [0.9, 0.95])
    assert config.data.configs == {"extract_single": 0.4, "extract_multi": 0.4, "reasoning": 0.2}
    defaults = from_plain(TrainConfig, {"model": {"path": config.model.path, "rope_theta": 4e6}})
    assert defaults.optimizer == config.optimizer
    names = {path.stem for path in FILES}
    assert {"ratio-0-10", "ratio-10-0", "rope-8e6", "short-80", "only-ocr-needle", "long-biased"} <= names


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"optimizer": {"lrr": 1}}, "unknown setting optimizer.lrr; did you mean optimizer.lr"),
        ({"optimizer": {"lr": "fast"}}, "must be of type float"),
        ({"run": {"global_batch_tokens": 1000}}, "a multiple of data.max_tokens"),
        ({"data": {"configs": {"poetry": 1.0}}}, "data.configs"),
        ({"data": {"configs": {"reasoning": 0.0}}}, "not all zero"),
        ({"model": {"freeze": ["ears"]}}, "must be one of vision, merger, language, embeddings, lm_head"),
        ({"short_context": {"share": 0.4}}, "short_context.path"),
        ({"optimizer": {"min_lr": 1.0}}, "optimizer.min_lr"),
        ({"model": {"path": ""}}, "prepare-model"),
    ],
)
def test_wrong_settings_are_named(changed: dict[str, object], message: str) -> None:
    plain = {"model": {"path": "m"}} | changed
    with pytest.raises(SettingsError, match=message):
        from_plain(TrainConfig, plain).validate()


def test_scientific_notation_without_a_point_is_a_number(tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-5 as text."""
    path = tmp_path / "c.yaml"
    path.write_text("optimizer: {lr: 1e-5}\nmodel: {rope_theta: 4e6}\n", encoding="utf-8")
    config = load_settings(TrainConfig, path, ["optimizer.min_lr=2E-6"])
    assert (config.optimizer.lr, config.optimizer.min_lr, config.model.rope_theta) == (1e-5, 2e-6, 4e6)


def test_only_what_decides_the_curve_identifies_a_run() -> None:
    base = from_plain(TrainConfig, {"model": {"path": "m"}})
    for changed in ({"parallel": {"sp": 4}}, {"run": {"out": "x", "keep": 9}}, {"loss": {"chunk": 7}}):
        assert from_plain(TrainConfig, {"model": {"path": "n"}} | changed).hash() == base.hash()
    for changed in (
        {"optimizer": {"lr": 2e-5}},
        {"run": {"seed": 1}},
        {"data": {"pack": False}},
        {"loss": {"target": "all"}},
    ):
        assert from_plain(TrainConfig, {"model": {"path": "m"}} | changed).hash() != base.hash()
    assert from_plain(TrainConfig, to_plain(base)) == base


def test_command_reports_wrong_settings_with_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "absent.yaml")]) == 2
    assert "absent.yaml: cannot be read" in capsys.readouterr().err
    assert main([str(CONFIGS / "tiny-cpu.yaml"), "--set", "run.keep=0"]) == 2
    assert "run.keep = 0: must be from 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "torchrun" in capsys.readouterr().out


def test_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    settings = Optimizer(lr=1e-5, min_lr=1e-6, warmup=0.1)
    assert learning_rate(settings, 50, 1000) == pytest.approx(5e-6)
    assert learning_rate(settings, 100, 1000) == pytest.approx(1e-5)
    assert learning_rate(settings, 550, 1000) == pytest.approx(5.5e-6)
    assert learning_rate(settings, 1000, 1000) == pytest.approx(1e-6)
    assert learning_rate(settings, 2000, 1000) == pytest.approx(1e-6)
    assert learning_rate(Optimizer(warmup=0.0), 0, 10) == pytest.approx(1e-5)


def test_guard_stops_at_spikes_and_at_what_is_no_number() -> None:
    guard = LossGuard(Guard(spike=3.0, window=4, skip=1))
    assert [guard.check(loss, 1.0) for loss in (9.0, 2.0, 2.0, 2.0)] == [None] * 4
    assert guard.check(5.9, 1.0) is None
    assert "above 3 times the median 2.0000" in str(guard.check(6.1, 1.0))
    assert guard.check(math.nan, 1.0) == "skip"
    assert "not a number" in str(guard.check(2.0, math.inf))
    again = LossGuard(Guard(spike=3.0, window=4), guard.history)
    assert "median" in str(again.check(6.1, 1.0))
    assert LossGuard(Guard(spike=0.0, window=1), [1.0]).check(1e9, 1.0) is None


def test_losses_are_told_apart_by_source_and_length() -> None:
    assert bucket_names() == ["len_0_8k", "len_8k_32k", "len_32k_64k", "len_64k_up"]
    assert [bucket_of(n) for n in (1, 8192, 8193, 131_072)] == [0, 0, 1, 3]
    sums, counts = [0.0] * num_groups(), [0.0] * num_groups()
    for source, tokens, loss, labels in (
        ("reasoning", 100, 6.0, 3),
        ("reasoning", 90_000, 2.0, 1),
        ("ocr_full", 50, 5.0, 1),
    ):
        sums[group_of(source, tokens)] += loss
        counts[group_of(source, tokens)] += labels
    means = grouped(sums, counts)
    assert means == {
        "loss/reasoning": 2.0, "loss/ocr_full": 5.0, "loss/len_0_8k": 11 / 4, "loss/len_64k_up": 2.0,
    }  # fmt: skip
    assert "short_context" in GROUPS


def test_operations_of_a_step() -> None:
    """A 7B at one document of 128K: 6 N D for the layers, 6 L H D^2 for causal attention, the head on labels."""
    sizes = {"language": 6_525_000_000, "vision": 630_000_000, "head": 3584 * 152_064, "attention": 28 * 3584}
    length = 131_072
    flops = step_flops(sizes, length, 4 * length, 100, length**2)
    assert flops == pytest.approx(
        6 * (6.525e9 * length + 6.3e8 * 4 * length + 5.45e8 * 100) + 6 * 100_352 * length**2, rel=1e-3
    )
