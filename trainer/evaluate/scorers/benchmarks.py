"""Small metrics that benchmarks define: substring and exact match, choices, counts, contains-all."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from mmprolong_data.errors import missing_extra

from .text import final_answer, parse_list, word_f1, words_of


def sub_em(gold: str, prediction: str, answer_format: str) -> float:
    """1 if one of the right answers stands in the reply (SQuAD's normal form). ``gold``: one, or a JSON list."""
    reply = " ".join(words_of(prediction))
    return float(any(" ".join(words_of(answer)) in reply for answer in alternatives(gold)))


def exact_match(gold: str, prediction: str, answer_format: str) -> float:
    """1 if the reply is one of the right answers (SQuAD's normal form)."""
    reply = words_of(final_answer(prediction))
    return float(any(words_of(answer) == reply for answer in alternatives(gold)))


def bag_f1(gold: str, prediction: str, answer_format: str) -> float:
    """F1 of the bags of words, the best over the right answers (SlideVQA)."""
    return max(word_f1(answer, final_answer(prediction)) for answer in alternatives(gold))


def choice(gold: str, prediction: str, answer_format: str) -> float:
    """1 if the reply chooses the letter ``gold``.

    It stands alone, in brackets, before a full stop or colon, or behind "option", "choice" or "answer is".
    """
    reply = final_answer(prediction).strip()
    found = re.match(r"\(?\s*([A-Za-z])\s*(?:[).:,]|$)", reply) or re.search(
        r"(?i)\b(?:option|choice)\s+\(?([a-z])\b|\banswer is:?\s+\(?([a-z])\b(?!['\u2019 ]\w)", reply
    )
    letter = next(filter(None, found.groups()), "") if found else ""
    return float(letter.upper() == gold.strip().upper())


def yes_no(gold: str, prediction: str, answer_format: str) -> float:
    """1 if the first word that is yes or no is the right one (Visual Haystacks)."""
    found = re.search(r"\b(yes|no)\b", final_answer(prediction).lower())
    return float(found is not None and found.group(1) == gold.strip().lower())


def count_sum(gold: str, prediction: str, answer_format: str) -> float:
    """MMLongBench's ``soft_acc``: the sums of the two lists of counts are equal."""
    wanted, found = _numbers(gold), _numbers(final_answer(prediction))
    return float(bool(found) and sum(wanted) == sum(found))


def positions(gold: str, prediction: str, answer_format: str) -> float:
    """MM-NIAH's soft accuracy for counting: share of positions in which the lists agree."""
    wanted, found = _numbers(gold), _numbers(final_answer(prediction))
    return sum(a == b for a, b in zip(wanted, found, strict=False)) / len(wanted) if wanted else 0.0


def contains_all(gold: str, prediction: str, answer_format: str) -> float:
    """VTCBench's ``containsAll``: share of the right answers that stand in the reply, case ignored."""
    wanted = alternatives(gold)
    return sum(answer.lower() in prediction.lower() for answer in wanted) / len(wanted)


def class_number(gold: str, prediction: str, answer_format: str) -> float:
    """MMLongBench's ``cls_acc``: the number behind ``label:``, else the last one in the reply, is the right class."""
    found = re.search(r"(?i)label:\s*([0-9]+)", prediction)
    numbers = [found.group(1)] if found else re.findall(r"[0-9]+", prediction)
    return float(bool(numbers) and numbers[-1].lstrip("0") == gold.strip().lstrip("0"))


def rouge_lsum(gold: str, prediction: str, answer_format: str) -> float:
    """ROUGE-Lsum, F1 with Porter stems (Lin 2004): the longest common subsequences of lines, by ``rouge-score``.

    Raises:
        MMProLongError: the package is missing.
    """
    return max(float(_rouge().score(answer, prediction)["rougeLsum"].fmeasure) for answer in alternatives(gold))


@functools.lru_cache(maxsize=1)
def _rouge() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise missing_extra("rouge-score", "evaluate") from None
    return RougeScorer(["rougeLsum"], use_stemmer=True)


def alternatives(gold: str) -> list[str]:
    """The right answers: the items of a JSON list, or the text itself."""
    return (parse_list(gold) or [gold]) if gold.lstrip().startswith("[") else [gold]


def _numbers(text: str) -> list[float]:
    """A JSON list of numbers; without one, the first number."""
    found = re.search(r"\[[^\[\]]*\]", text)
    if found:
        try:
            return [float(value) for value in json.loads(found.group())]
        except (ValueError, TypeError):
            return []
    number = re.search(r"-?\d+(?:\.\d+)?", text)
    return [float(number.group())] if number else []
