"""The ready files for launchers: valid, and their commands do what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.builds import SLICED, content

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
MANIFESTS = ("kubernetes.yaml", "kubernetes-finish.yaml")
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
ARRAY = {
    "SLURM_ARRAY_TASK_MIN": "5",
    "SLURM_ARRAY_TASK_COUNT": "3",
    "SLURM_ARRAY_TASK_ID": "6",
    "SLURM_CPUS_PER_TASK": "4",
}


def job(name: str) -> dict[str, Any]:
    """A manifest."""
    value: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return value


def container(name: str) -> dict[str, Any]:
    """The one container of a manifest."""
    [found] = job(name)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def contains(whole: Any, part: Any) -> bool:
    """True if everything in ``part`` stands in ``whole`` too, which may have more fields."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("name", MANIFESTS)
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubernetes_knows_every_field(name: str) -> None:
    """kubectl reads the file into the types of its API, which have no place for a field that does not exist."""
    own = job(name)
    own["metadata"].setdefault("name", "mmprolong")  # it wants one
    image = container(name)["image"]
    line = ["kubectl", "set", "image", "--local", "-f", "-", "-o", "json", f"mmprolong={image}-checked"]
    done = subprocess.run(line, input=json.dumps(own), capture_output=True, text=True, check=True)
    own["spec"]["template"]["spec"]["containers"][0]["image"] = f"{image}-checked"
    assert contains(json.loads(done.stdout), own)


def test_indexed_job() -> None:
    spec = job("kubernetes.yaml")["spec"]
    assert spec["completionMode"] == "Indexed"
    [arguments] = container("kubernetes.yaml")["args"]
    assert f'"$JOB_COMPLETION_INDEX/{spec["completions"]}"' in arguments
    assert arguments.startswith("exec ")  # the signal that ends a pod reaches mmprolong
    assert spec["maxFailedIndexes"] <= spec["completions"]
    # Both are demanded by the API where indexes fail by themselves.
    assert spec["backoffLimitPerIndex"] > 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    [rule] = [rule for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailIndex"]
    assert rule["onExitCodes"]["values"] == [2, 3, 4]
    assert rule["onExitCodes"]["containerName"] == container("kubernetes.yaml")["name"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_pods_are_locked_down(name: str) -> None:
    pod = job(name)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert container(name)["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container(name)["volumeMounts"]} <= volumes


def test_what_the_pods_run(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    """The commands of two pods and of the end, with the shared volume in a folder of the test's."""
    out = tmp_path / "mmprolong"
    pod = container("kubernetes.yaml")
    [arguments] = pod["args"]
    assert arguments.count("/shared/pdfs") == arguments.count("/shared/mmprolong") == 1
    script = re.sub(r"INDEX/\d+", "INDEX/2", arguments.replace("/shared/pdfs", str(pdfs)))
    script = f"{script.replace('/shared/mmprolong', str(out))} {shlex.join(map(str, SLICED))}"
    for index in ("1", "0"):
        environment = {**os.environ, "PATH": PATH, "JOB_COMPLETION_INDEX": index}
        subprocess.run([*pod["command"], script], env=environment, capture_output=True, timeout=200, check=True)
    end = [word.replace("/shared/mmprolong", str(out)) for word in container("kubernetes-finish.yaml")["command"]]
    subprocess.run(
        [*end, "--no-report"], env={**os.environ, "PATH": PATH}, capture_output=True, timeout=100, check=True
    )
    assert content(out) == whole


@pytest.mark.parametrize(
    ("mode", "environment", "line"),
    [
        ("plan", {}, "build pdfs --out out --workers 1 --dry-run --set seed=3"),
        ("part", {}, "build pdfs --out out --workers 1 --set seed=3 --part 0/1"),
        ("part", ARRAY, "build pdfs --out out --workers 4 --set seed=3 --part 1/3"),
        ("part", ARRAY | {"MMPROLONG_PARTS": "16"}, "build pdfs --out out --workers 4 --set seed=3 --part 6/16"),
        ("finish", {}, "build --finish --out out --set seed=3"),
    ],
)
def test_what_the_slurm_script_runs(mode: str, environment: dict[str, str], line: str) -> None:
    environment = {"PATH": os.environ["PATH"], "MMPROLONG": "echo", **environment}
    command = ["bash", str(DEPLOY / "slurm.sbatch"), mode, "pdfs", "out", "--set", "seed=3"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == line


def test_the_slurm_script_names_its_modes() -> None:
    command = ["bash", str(DEPLOY / "slurm.sbatch"), "start", "pdfs", "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "plan, part or finish" in done.stderr
