"""What a user does with ``load_dataset("mmprolong", ...)``, in a process of its own, for any release of ``datasets``.

python use_load_dataset.py PARQUET_DATASET TAR_DATASET EMPTY_FOLDER before|after
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

parquet, tar, empty, order = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]

if order == "after":
    import datasets
    import datasets.inspect

    import mmprolong_data
else:
    import mmprolong_data

    assert "datasets" not in sys.modules
    import datasets
    import datasets.inspect

from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset, load_dataset_builder  # noqa: E402

CONFIG = "extract_multi"


def rows(root: Path | None = None, **settings: object) -> list[dict[str, object]]:
    """All rows of the training split; the pages as bytes."""
    keywords = {"split": "train"} | ({"data_dir": str(root)} if root else {}) | settings
    loaded = load_dataset("mmprolong", CONFIG, **keywords)
    assert loaded.column_names[:7] == ["id", "doc_id", "config", "version", "num_pages", "num_tokens", "images"]
    undecoded = loaded.cast_column("images", datasets.Sequence(datasets.Image(decode=False)))
    return [dict(row) for row in undecoded]


def in_a_worker(root: str) -> list[str]:
    """What a worker process sees."""
    os.environ["MMPROLONG_ROOT"] = root
    return [str(row["id"]) for row in rows(streaming=True)]


def error_of(**settings: object) -> str:
    """The message that ``load_dataset`` fails with."""
    try:
        load_dataset("mmprolong", **({"name": CONFIG} | settings))
    except (ValueError, mmprolong_data.errors.MMProLongError) as error:
        return str(error)
    raise AssertionError(f"no error for {settings}")


def main() -> None:
    """All of it."""
    from datasets.distributed import split_dataset_by_node

    os.chdir(empty)
    message = error_of()
    for word in ("./mmprolong", "data_dir=", "MMPROLONG_ROOT", "mmprolong init"):
        assert word in message, message

    expected = rows(parquet, streaming=True)
    assert [len(row["images"]) for row in expected] == [3] * 5
    if order == "after":
        undo()
        return
    for root in (parquet, tar):
        for settings in ({"streaming": True}, {}, {"num_proc": 2, "download_mode": "force_redownload"}):
            assert rows(root, **settings) == expected, (root, settings)

    os.environ["MMPROLONG_ROOT"] = str(parquet)
    assert get_dataset_config_names("mmprolong")[:2] == ["extract_single", "extract_multi"]
    assert get_dataset_split_names("mmprolong", CONFIG) == ["train", "validation"]
    assert rows(streaming=True) == expected
    places = []
    for folder in (empty, Path("/")):
        os.chdir(folder)
        builder = load_dataset_builder("mmprolong", CONFIG)
        assert type(builder).__name__ == "MMProLong"
        assert str(builder.info.version) == "1.0.0"
        places.append(builder.cache_dir)
    assert places[0] == places[1]
    os.chdir(empty)

    stream = load_dataset("mmprolong", CONFIG, split="train", streaming=True)
    assert stream.num_shards == 2 if hasattr(stream, "num_shards") else stream.n_shards == 2
    parts = [[row["id"] for row in split_dataset_by_node(stream, rank, 2)] for rank in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(row["id"] for row in expected)
    assert all(parts)
    page = next(iter(stream))["images"][0]
    assert page.size == (84, 112), page

    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply(in_a_worker, (str(tar),)) == [row["id"] for row in expected], method

    assert "'nothing' not found" in error_of(name="nothing")
    assert "no config 'reasoning'; it has extract_single, extract_multi" in error_of(name="reasoning")
    assert "test" in error_of(split="test")
    assert "version 1.0.0, not 2.0.0" in error_of(revision="v2.0.0")
    assert "no dataset there" in error_of(data_dir="elsewhere")

    # ./mmprolong wins; a card alone is left to stock datasets.
    (empty / "mmprolong").symlink_to(tar)
    assert rows(parquet, streaming=True) == expected
    builder = load_dataset_builder("mmprolong", CONFIG, data_dir=str(parquet))
    assert builder.config.data_dir == str(empty / "mmprolong")
    (empty / "mmprolong").unlink()
    (empty / "mmprolong").mkdir()
    card = (parquet / "README.md").read_text(encoding="utf-8").replace("path: data/", f"path: {parquet}/data/")
    (empty / "mmprolong" / "README.md").write_text(card, encoding="utf-8")
    builder = load_dataset_builder("mmprolong", CONFIG)
    assert type(builder).__name__ != "MMProLong"
    assert rows(streaming=True) == expected
    (empty / "mmprolong" / "README.md").unlink()
    (empty / "mmprolong").rmdir()

    # Damage is an error, in full and in streaming mode.
    shard = sorted((parquet / "data" / CONFIG).iterdir())[1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 0xFF
    shard.write_bytes(content)
    for settings in ({"streaming": True}, {"download_mode": "force_redownload"}):
        try:
            rows(parquet, **settings)
        except Exception as error:  # noqa: BLE001 - datasets wraps it
            text = f"{error} {error.__cause__}"
            assert shard.name in text, text
            assert "damaged" in text, text
        else:
            raise AssertionError("damage went unseen")

    other = load_dataset("json", data_files={"train": other_file(empty)}, split="train")
    assert other["x"][0] == 1
    undo()


def undo() -> None:
    """Undo the registration, and do it again."""
    mmprolong_data.unregister()
    assert not hasattr(datasets.load.dataset_module_factory, "mmprolong_original")
    assert not hasattr(datasets.inspect.dataset_module_factory, "mmprolong_original")
    try:
        left = load_dataset_builder("mmprolong", "extract_single")
    except Exception as error:  # noqa: BLE001 - whatever the release raises
        left = error
    assert isinstance(left, Exception), left
    assert not isinstance(left, mmprolong_data.errors.MMProLongError), left
    mmprolong_data.register()
    mmprolong_data.register()
    os.environ["MMPROLONG_ROOT"] = str(parquet)
    assert type(load_dataset_builder("mmprolong", CONFIG)).__name__ == "MMProLong"
    print("fine with datasets", datasets.__version__)


def other_file(folder: Path) -> str:
    """A file of another format, which the registration must not touch."""
    path = folder / "other.jsonl"
    path.write_text('{"x": 1}\n', encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # read-ahead threads of Arrow's, still running, can abort an interpreter that ends in order
