"""What a task asks of a Ray cluster, and what is said where that is not there: also of machines that no test has."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from mmprolong_builders.engines.on_ray import RayEngine
from mmprolong_builders.engines.ray_session import check_address
from mmprolong_builders.recipe import Ray

from mmprolong_data.errors import MMProLongError, SettingsError


class Machines:
    """Stands in for the module ``ray``, connected to machines with GPUs."""

    def __init__(self, *machines: dict[str, float]) -> None:
        self._machines = machines
        self.options: dict[str, Any] = {}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": machine} for machine in self._machines]

    def remote(self, **options: Any) -> Any:
        self.options = options
        return lambda function: function


@pytest.mark.parametrize(
    ("settings", "reads_on_gpu", "taken"),
    [
        (Ray(), 0.0, {"num_cpus": 1, "num_gpus": 0, "resources": {}}),
        (Ray(cpus=4), 1.0, {"num_cpus": 4, "num_gpus": 1, "resources": {}}),
        (Ray(gpus=0.25), 1.0, {"num_cpus": 1, "num_gpus": 0.25, "resources": {}}),
        (Ray(gpus=0), 1.0, {"num_cpus": 1, "num_gpus": 0, "resources": {}}),
        (
            Ray(memory=8 << 30, resources={"fast": 0.5}),
            0.0,
            {"num_cpus": 1, "num_gpus": 0, "memory": 8 << 30, "resources": {"fast": 0.5}},
        ),
    ],
)
def test_what_a_task_takes(settings: Ray, reads_on_gpu: float, taken: dict[str, Any]) -> None:
    ray = Machines()
    RayEngine(ray, settings, reads_on_gpu, private=False).task()
    assert ray.options == taken | {"max_retries": 3, "retry_exceptions": False}


def test_what_a_cluster_lacks() -> None:
    ray = Machines({"CPU": 64.0}, {"CPU": 8.0, "GPU": 2.0, "node:127.0.0.1": 1.0})
    assert RayEngine(ray, Ray(cpus=8), 1.0, private=True).shortage() == ""
    assert RayEngine(ray, Ray(cpus=9), 1.0, private=False).shortage() == (
        "A task asks for CPU 9, GPU 1, and the Ray cluster has machines with: CPU 64; CPU 8, GPU 2."
    )
    with pytest.raises(SettingsError, match="smaller settings of ray"):
        RayEngine(ray, Ray(cpus=9), 1.0, private=True)
    assert "no machine" in RayEngine(Machines(), Ray(), 0.0, private=False).shortage()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MMProLongError, match=r'pip install "mmprolong\[ray\]"'):
        check_address(None)
