"""The language guess on short running texts, mixed ones, and what is no language at all."""

from __future__ import annotations

import pytest
from mmprolong_builders.language import guess_language

TEXTS = {
    "en": "The report describes how the pumps are tested before they are put into service, and which of the "
    "results have to be kept for the inspection of the following year.",
    "fr": "Le rapport décrit comment les pompes sont contrôlées avant leur mise en service et quels résultats "
    "doivent être conservés pour la visite de l'année suivante par les inspecteurs de la ville.",
    "de": "Der Bericht beschreibt, wie die Pumpen geprüft werden, bevor sie in Betrieb gehen, und welche der "
    "Ergebnisse für die Abnahme im folgenden Jahr aufzubewahren sind, damit sie nicht verloren gehen.",
    "es": "El informe describe cómo se prueban las bombas antes de entrar en servicio y qué resultados deben "
    "guardarse para la inspección del año siguiente por los técnicos de la ciudad.",
    "it": "Il rapporto descrive come le pompe sono provate prima della messa in servizio e quali dei risultati "
    "si devono conservare per la verifica dell'anno seguente da parte dei tecnici della città.",
    "pt": "O relatório descreve como as bombas são testadas antes de entrarem em serviço e quais dos "
    "resultados devem ser guardados para a inspeção do ano seguinte pelos técnicos da cidade, não só uma "
    "vez.",
    "nl": "Het verslag beschrijft hoe de pompen worden getest voordat zij in gebruik gaan, en welke van de "
    "uitkomsten bewaard moeten worden voor de keuring in het jaar daarop door de stad.",
    "ru": "Отчёт описывает, как проверяются насосы перед вводом в эксплуатацию и какие из результатов нужно "
    "хранить для осмотра в следующем году, если это не было сделано при приёмке или по договору.",
    "zh": "本报告说明水泵在投入使用之前如何进行测试，以及哪些结果必须保存以备来年检查之用。",
    "ja": "この報告書は、ポンプが使用される前にどのように試験されるか、またどの結果を翌年の検査のために保存すべ"
    "きかを述べる。",
    "ko": "이 보고서는 펌프를 사용하기 전에 어떻게 시험하는지 그리고 어떤 결과를 다음 해의 검사를 위해 "
    "보관해야 하는지 설명한다.",
}


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_running_text(language: str) -> None:
    assert guess_language(TEXTS[language]) == language
    assert guess_language(TEXTS[language].upper()) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Figure 3",
        "0.1 0.2 0.3 " * 50,
        r"\def\foo#1{\bar{#1}} \newcommand \alpha \beta \gamma \delta \sum \int \frac " * 5,
        "x = y + e, a y o e " * 30,
        "Lorem ipsum dolor sit amet consectetuer adipiscing elit ut purus elit vestibulum ut placerat ac vitae",
        "Το κείμενο αυτό είναι γραμμένο στα ελληνικά και δεν ανήκει σε καμία από τις γλώσσες που αναγνωρίζονται",
    ],
)
def test_what_cannot_be_told(text: str) -> None:
    assert guess_language(text) == "und"


def test_chinese_that_quotes_english() -> None:
    assert guess_language(TEXTS["zh"] * 3 + TEXTS["en"]) == "zh"
    assert guess_language(TEXTS["en"] * 4 + "水泵测试报告") == "en"


def test_german_with_formulas() -> None:
    assert guess_language(TEXTS["de"] + " sin cos tan log exp max min lim det dim ker" * 4) == "de"


def test_dutch_with_latin_filler_is_no_french() -> None:
    """``et``, ``est`` and ``qui`` are words of both Latin and French."""
    filler = (
        "Sed ut perspiciatis unde omnis iste natus error sit voluptatem accusantium doloremque laudantium, totam rem"
        " aperiam et quasi architecto. Neque porro quisquam est, qui dolorem ipsum quia dolor sit amet, sed quia non"
        " numquam eius modi tempora incidunt ut labore et dolore magnam aliquam quaerat voluptatem. Quis autem vel"
        " eum iure qui in ea voluptate velit esse vel illum qui dolorem eum fugiat. "
    )
    assert guess_language(filler + "Herhaling van de theorie. Een beetje Cicero. Inhoudsopgave.") == "und"
    assert guess_language(filler + TEXTS["nl"] * 3) == "nl"
    assert guess_language(TEXTS["fr"] * 2 + "Sed ut perspiciatis unde omnis iste natus error sit") == "fr"
