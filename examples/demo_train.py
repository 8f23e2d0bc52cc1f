"""Training in small: a dataset of small pages, a tiny random model, one run on the CPU, its curve, what it has learnt.

Run by ``make demo-train``. The folder given holds everything; a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from demo import run

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "tiny-cpu.yaml"
# Pages of about 12 tokens: nobody could read them, but a CPU gets through them, and answers can be learnt by heart.
SMALL = (
    "render.dpi=36", "render.min_dpi=36", "render.max_pixels=10000", "qa.per_document=2", "select.validation=0",
    # Only what is trained on; the one scanned document is left out, since reading it takes longer than all the rest.
    "tasks.configs=[extract_single]", "parse.ocr=never",
)  # fmt: skip


def main() -> None:
    """Build, prepare, train, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "pdfs").is_dir():
        run(sys.executable, "-m", "mmprolong_builders.demo", "pdfs", cwd=folder)
    settings = [word for setting in SMALL for word in ("--set", setting)]
    run("mmprolong", "build", "pdfs", "--out", "mmprolong-tiny", "--no-report", *settings, cwd=folder)
    if not (folder / "tiny-model").is_dir():
        run("mmprolong", "prepare-model", "tiny", "tiny-model", "--dataset", "mmprolong-tiny", cwd=folder)
    run(sys.executable, "-m", "mmprolong_trainer", str(CONFIG), cwd=folder)

    os.chdir(folder)
    import torch
    from mmprolong_trainer.accuracy import train_accuracy
    from mmprolong_trainer.config import TrainConfig

    from mmprolong_data.settings import load_settings

    config = load_settings(TrainConfig, CONFIG)
    torch.set_num_threads(config.run.threads)
    before, number = train_accuracy(config, Path(config.model.path))
    after, _ = train_accuracy(config, Path(config.run.out) / "model")
    print(f"\nAnswers written exactly: {before} of {number} before, {after} of {number} after training")
    print(f"The curve: {folder / config.run.out / 'metrics.png'}")
    if after < 0.9 * number:
        sys.exit("The model has not learnt its answers: something is broken.")


if __name__ == "__main__":
    main()
