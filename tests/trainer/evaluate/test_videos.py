"""Videos as pages: which frames, how large, in which order; damaged ones; the readers of the video suites."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mmprolong_trainer.evaluate.backends.http import HttpBackend
from mmprolong_trainer.evaluate.backends.scripted import constant, oracle
from mmprolong_trainer.evaluate.evaluation import evaluate
from mmprolong_trainer.evaluate.readers.frames import Frames, Sampling, decode, duration_of
from mmprolong_trainer.evaluate.readers.videos import time_label
from mmprolong_trainer.evaluate.suites import open_suite
from PIL import Image
from support.builds import run
from support.llm_server import LLMServer
from support.videos import brightness, second_of, write_sound, write_video

from mmprolong_data.errors import FormatError, MMProLongError, SettingsError
from mmprolong_data.llm import Endpoint
from mmprolong_data.vision import image_tokens

RECIPE = Sampling()


def size_of(page: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(page)) as image:
        return image.size


def tokens_of(pages: list[bytes]) -> int:
    return sum(image_tokens(*size_of(page)) for page in pages)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.webm", "libvpx")])
def test_a_frame_a_second_from_the_middle_of_each(name: str, codec: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, 12, codec=codec)
    assert duration_of(path) == pytest.approx(12, abs=0.2)
    frames = Frames(RECIPE)
    pages = frames.pictures(path)
    assert [second_of(page) for page in pages] == list(range(12))
    assert [round(time, 1) for time in frames.times(path)] == pytest.approx([n + 0.5 for n in range(12)], abs=0.2)
    assert {size_of(page) for page in pages} == {(112, 84)}  # never larger than the video


def test_long_videos_are_thinned_out_and_frames_shrink_to_the_token_limit() -> None:
    assert len(RECIPE.times(767.9)) == 767
    hour = RECIPE.times(3600)
    assert len(hour) == 768
    assert hour[0] == pytest.approx(3600 / 768 / 2)
    assert hour[1] - hour[0] == pytest.approx(3600 / 768)
    assert RECIPE.times(0.3) == [0.15]
    assert 768 * RECIPE.frame_tokens(768) == 24_576
    assert RECIPE.frame_tokens(20) == 768  # the model's own limit for a frame


def test_the_tokens_of_all_frames_stay_below_the_limit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 10, size=(640, 360))
    whole = Frames(RECIPE).pictures(path)
    assert size_of(whole[0]) == (644, 364)
    few = Frames(Sampling(max_tokens=300, max_frames=8)).pictures(path)
    assert len(few) == 8
    assert tokens_of(few) <= 300
    width, height = size_of(few[0])
    assert width % 28 == height % 28 == 0
    assert width / height == pytest.approx(640 / 360, rel=0.3)


@pytest.mark.parametrize("gop", [8, 1000])
def test_jumping_to_keyframes_changes_nothing(gop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", 24, gop=gop)
    times = [0.5, 5.1, 10.3, 17.9, 18.0, 23.5]
    jumping = decode(path, times, 100)
    monkeypatch.setattr("mmprolong_trainer.evaluate.readers.frames.SEEK", 1e9)
    assert decode(path, times, 100) == jumping
    assert [second_of(page) for page in jumping] == [0, 5, 10, 17, 18, 23]


def test_many_threads_get_the_same_frames_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write_video(tmp_path / f"{n}.mp4", 3) for n in range(3)]
    calls: list[Path] = []

    def counted(path: Path, times: Any, tokens: int) -> list[bytes]:
        calls.append(path)
        return decode(path, times, tokens)

    monkeypatch.setattr("mmprolong_trainer.evaluate.readers.frames.decode", counted)
    frames = Frames(RECIPE)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(frames.pictures, paths * 6))
    assert sorted(calls) == paths
    assert all(results[n] == results[n % 3] for n in range(18))


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", 20)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(FormatError, match=r"cut\.mkv: damaged: its picture ends after \d+\.\d s, 19\.5 s wanted"):
        Frames(RECIPE).pictures(cut)
    (tmp_path / "noise.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(FormatError, match=r"noise\.mp4: cannot be read as a video"):
        Frames(RECIPE).pictures(tmp_path / "noise.mp4")
    with pytest.raises(FormatError, match=r"sound\.mp4: holds no picture"):
        Frames(RECIPE).pictures(write_sound(tmp_path / "sound.mp4"))
    with pytest.raises(FormatError, match=r"none\.mp4: cannot be read as a video \(No such file"):
        Frames(RECIPE).pictures(tmp_path / "none.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{0}'\n",
        "ffconcat version 1.0\nfile 'secret.mp4'\n",
    ],
)
def test_a_playlist_never_opens_another_file(text: str, tmp_path: Path) -> None:
    secret = write_video(tmp_path / "secret.mp4", 9)
    (tmp_path / "list.mp4").write_text(text.format(secret))
    with pytest.raises(FormatError, match="cannot be read as a video"):
        Frames(RECIPE).pictures(tmp_path / "list.mp4")


def test_ranges_are_checked() -> None:
    for sampling in (Sampling(fps=0), Sampling(max_frames=0), Sampling(max_tokens=100)):
        with pytest.raises(SettingsError, match="--video-"):
            Frames(sampling)


def test_time_labels() -> None:
    assert [time_label(t) for t in (0.5, 65.9, 3725)] == ["0:00", "1:05", "1:02:05"]


def video_mme(root: Path) -> Path:
    rows = []
    for number, (name, answer) in enumerate((("abc-1", "B"), ("abc-1", "D"), ("xyz_2", "A"))):
        write_video(root / "data" / f"{name}.mp4", 3 + number)
        rows.append(
            {
                "video_id": "001", "duration": "short", "domain": "Knowledge", "sub_category": "x", "url": "",
                "videoID": name, "question_id": f"001-{number}", "task_type": "Counting Problem",
                "question": f"Question {number}?", "options": [f"{c}. Option {c}." for c in "ABCD"], "answer": answer,
            }
        )  # fmt: skip
    (root / "videomme").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), root / "videomme" / "test-00000-of-00001.parquet")
    return root


def mlvu(root: Path) -> Path:
    (root / "json").mkdir(parents=True)
    for number, task in ((1, "plotQA"), (4, "count")):
        write_video(root / "video" / f"{number}_{task}" / "same_name.mp4", 2 + number)
        row = {"video": "same_name.mp4", "duration": 3, "question": "How many?", "question_type": task}
        rows = [row | {"candidates": ["1", "2", "3", "4"], "answer": "3"}]
        (root / "json" / f"{number}_{task}.json").write_text(json.dumps(rows))
    summary = [{"video": "same_name.mp4", "question": "Sum up.", "question_type": "summary", "answer": "Long."}]
    (root / "json" / "9_summary.json").write_text(json.dumps(summary))
    return root


def longvideobench(root: Path) -> Path:
    write_video(root / "videos" / "v1.mp4", 4)
    row = {
        "video_id": "v1", "question": "Which?", "question_wo_referring_query": "?", "candidates": list("vwxyz"),
        "correct_choice": 4, "question_category": "S2E", "id": "v1_0", "video_path": "v1.mp4",
        "subtitle_path": "v1_en.json", "duration_group": 15, "duration": 4.0,
    }  # fmt: skip
    (root / "lvb_val.json").write_text(json.dumps([row, row | {"id": "v1_1", "correct_choice": 0}]))
    return root


WRITERS = {"video-mme": (video_mme, 3), "mlvu": (mlvu, 2), "longvideobench": (longvideobench, 2)}


@pytest.mark.parametrize("name", WRITERS)
def test_every_suite_is_read_and_the_oracle_scores_100(name: str, tmp_path: Path) -> None:
    write, count = WRITERS[name]
    suite = open_suite(name, write(tmp_path / "data"))
    assert len(suite.items) == count
    for item in suite.items:
        assert sum(part is None for part in item.parts) == len(item.pages) == len(item.load())
    assert evaluate(suite, oracle(load_pages=True), tmp_path / "o").summary["overall"]["score"] == 100
    guess = evaluate(suite, constant("A"), tmp_path / "c").summary["overall"]
    assert guess["chance"] == pytest.approx(20 if name == "longvideobench" else 25)


def test_frames_options_and_groups_as_published(tmp_path: Path) -> None:
    item = open_suite("video-mme", video_mme(tmp_path / "a")).items[1]
    assert item.parts[:5] == ("0:00:", None, "0:01:", None, "0:02:")
    assert item.parts[-1] == (
        "Question 1?\nA. Option A.\nB. Option B.\nC. Option C.\nD. Option D.\n"
        "Answer with the letter of the right option alone."
    )
    assert item.groups == {"duration": "short", "kind": "Counting Problem", "domain": "Knowledge"}
    plot, count = open_suite("mlvu", mlvu(tmp_path / "b")).items
    assert (plot.task, plot.answer, len(plot.pages), len(count.pages)) == ("plotQA", "C", 3, 6)  # videos of one name
    assert "1 lines of 9_summary.json are left out" in " ".join(open_suite("mlvu", tmp_path / "b").notes)
    assert [i.answer for i in open_suite("longvideobench", longvideobench(tmp_path / "c")).items] == ["E", "A"]
    direct = open_suite("video-mme", tmp_path / "a" / "videomme" / "test-00000-of-00001.parquet")
    assert [i.pages for i in direct.items][1] == item.pages


def test_other_sampling_asks_anew(tmp_path: Path) -> None:
    root = longvideobench(tmp_path)
    usual = open_suite("longvideobench", root).items[0]
    for sampling in (Sampling(fps=2), Sampling(max_frames=2), Sampling(max_frames=9, max_tokens=2000)):
        other = open_suite("longvideobench", root, sampling).items[0]
        assert other.fingerprint() != usual.fingerprint()
    assert open_suite("longvideobench", root).items[0].fingerprint() == usual.fingerprint()


def test_a_damaged_or_missing_video_costs_its_questions_and_is_named(tmp_path: Path) -> None:
    root = video_mme(tmp_path / "data")
    (root / "data" / "xyz_2.mp4").write_bytes(b"noise")
    summary = evaluate(open_suite("video-mme", root), oracle(load_pages=True), tmp_path / "a")
    assert (summary.summary["overall"]["n_error"], summary.summary["overall"]["n"]) == (1, 3)
    assert "xyz_2.mp4: cannot be read as a video" in summary.results[2].error
    (root / "data" / "xyz_2.mp4").unlink()
    done = run("evaluate", "--suite", "video-mme", "--data", root, "--model", "oracle", "--out", tmp_path / "b", code=0)
    assert "100.00" in done.stdout  # the oracle looks at no page
    suite = open_suite("video-mme", root)
    with LLMServer(lambda body: "B") as server:
        backend = HttpBackend(Endpoint("tiny", server.url), tmp_path / "c", concurrency=2)
        evaluation = evaluate(suite, backend, tmp_path / "c")
        backend.close()
        assert server.books.requests == 2
    assert [bool(result.error) for result in evaluation.results] == [False, False, True]
    assert "xyz_2: no such video below" in evaluation.results[2].error


def test_wrong_data_says_what_is_wanted(tmp_path: Path) -> None:
    for name in WRITERS:
        with pytest.raises(MMProLongError, match="Wanted: "):
            open_suite(name, tmp_path)
    root = longvideobench(tmp_path / "data")
    (root / "lvb_val.json").write_text('[{"id": "x"}]')
    with pytest.raises(FormatError, match=r"lvb_val\.json: object 1 lacks video_path, question"):
        open_suite("longvideobench", root)
    (root / "videos" / "v1.mp4").unlink()
    with pytest.raises(FormatError, match="no videos below it"):
        open_suite("longvideobench", root)
    with pytest.raises(SettingsError, match="has no videos"):
        open_suite("mm-niah", tmp_path, Sampling(fps=2))


def test_the_command_takes_the_sampling(tmp_path: Path) -> None:
    root = longvideobench(tmp_path / "data")
    arguments = ("evaluate", "--suite", "longvideobench", "--data", root, "--model", "oracle", "--out", tmp_path / "o")
    run(*arguments, "--video-fps", "2", "--video-frames", "5", "--video-tokens", "100")
    assert "2 a second, at most 5, together at most 100 tokens" in (tmp_path / "o" / "report.html").read_text()
    assert "--video-tokens 3: must be at least" in run(*arguments, "--video-tokens", "3", code=2).stderr


def test_brightness_tells_the_second(tmp_path: Path) -> None:
    pages = Frames(RECIPE).pictures(write_video(tmp_path / "a.mp4", 2))
    assert brightness(pages[1]) == pytest.approx(10, abs=3)
