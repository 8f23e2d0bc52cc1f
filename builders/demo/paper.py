"""Demo document: a long research paper in two columns, with running heads, tables, figures, notes and references."""

from __future__ import annotations

from pathlib import Path

from .charts import bars, lines, section
from .flow import Report, Theme
from .prose import Bank, Writer

BANK: Bank = {
    "pattern": [
        "{we} {found}.", "{we} {found}, {hedge}.", "{claim} {cite}.", "{claim}, {hedge}.", "{method}.",
        "{contrast}, {claim}.", "{method}, and {we2} {found2}.", "{claim}; {we2} {found2} {cite}.",
    ],
    "we": ["we", "our cores", "the gauge records", "both replicate flumes", "the isotope series",
    "the survey transects"],
    "found": [
        "show that bedload peaks {n:2-9} hours before the flood crest",
        "point to a sand pulse of {d:1.1-8.4} kilotonnes",
        "give a median grain size of {d:0.2-2.8} millimetres", "resolve {n:3-11} graded beds per decimetre",
        "reproduce the bar migration of {n:4-33} metres a year", "suggest a hiding exponent near 0.{n:51-88}",
        "separate glacial flour from bank-derived silt", "bracket the avulsion between two ash layers",
        "agree with the acoustic profiles to within {n:4-18} per cent", "reveal a lag of {n:3-21} days",
    ],
    "we2": ["the same runs", "earlier transects", "independent tracers", "hand samples", "the upper gauges"],
    "found2": [
        "confirm this", "differ by less than {n:3-12} per cent", "shift the estimate by one class",
        "leave room for a second source", "show no armour layer", "follow the same rating curve",
    ],
    "claim": [
        "suspended load dominates on the rising limb", "gravel sheets shorten as the slope eases",
        "floodplain storage is renewed every {n:40-260} years", "ice jams scour the thalweg in spring",
        "the fines are supplied by two tributaries alone", "channel width adjusts faster than depth",
        "a lower threshold stress explains the early motion", "vegetated bars trap {n:11-46} per cent of the silt",
        "the delta front advances in bursts", "bank failures cluster after the first drawdown",
        "the transport rate scales with excess stress", "annual yield varies by a factor of {d:1.6-6.7}",
    ],
    "hedge": [
        "as far as the gauges allow", "with the usual caveat for bedload traps", "if hiding is accounted for",
        "at the scale of a single reach", "within one standard error", "once winter ice is left out",
        "though the tail is poorly sampled", "under steady flow at least",
    ],
    "cite": ["[{n:1-9}]", "[{n:10-18}]", "[{n:1-9}, {n:10-18}]"],
    "contrast": [
        "in contrast to the lower reach", "as in the flume", "unlike the lake outlet", "above the confluence",
        "in the dry year", "for the finest fraction", "downstream of the gorge",
    ],
    "method": [
        "samples were sieved at half-phi intervals", "turbidity was logged every {n:5-30} minutes",
        "the echo sounder was calibrated against bottle samples",
        "tracers carried passive tags of {n:12-32} millimetres",
        "cross-sections were levelled twice a season", "uncertainties were propagated by bootstrap",
        "missing hours were filled by linear interpolation",
        "the shear stress was computed from the depth-slope product",
    ],
    "place": ["Kettle Narrows", "Upper Sorrow", "Jonas Ferry", "Fallow Bend", "Spruce Delta", "Old Gorge", "Lime Cut"],
    "author": [
        "Arvidsson", "Bellamy", "Chidiebere", "Dostal", "Eskelin", "Fournier", "Gallardo", "Hoshino", "Ivanova",
        "Jarrell",
        "Kessler", "Lombardi", "Mbeki", "Novak", "Ostrom", "Pelletier", "Quiroga", "Rasmussen",
    ],
    "journal": ["River Mechanics", "Journal of Fluvial Records", "Quaternary Letters", "Bulletin of Sediment Studies"],
    "work": [
        "On the motion of mixed gravel", "Bars and their memory", "A century of stage readings",
        "Ice and the alluvial bed",
        "Trapping of silt by willow", "Tags in torrents", "Delta fronts in pulses", "Sampling rules for fine load",
    ],
}  # fmt: skip

SECTIONS = {
    "Introduction": ("Background", "Aims"),
    "Study Area": ("Catchment", "Gauges", "Glacial history"),
    "Methods": ("Field sampling", "Flume runs", "Tracer stones", "Grain-size analysis"),
    "Discharge and Stage": ("Rating curves", "Flood seasons", "Drought flows"),
    "Bedload": ("Onset of motion", "Sheet transport", "Armour", "Bank-derived gravel"),
    "Suspended Load": ("Rising limb", "Falling limb", "Washload", "Winter ice"),
    "Floodplain Storage": ("Overbank deposits", "Residence times", "Vegetation", "Oxbow fills"),
    "Delta Growth": ("Front surveys", "Channel switching", "Lake level"),
    "Sediment Budget": ("Sources", "Sinks", "Closure error"),
    "Numerical Model": ("Governing equations", "Calibration", "Sensitivity"),
    "Scenarios": ("Warmer springs", "Removal of the weir", "Replanted banks"),
    "Discussion": ("Comparison with other rivers", "Limits of the data", "Implications for dredging"),
    "Conclusions": ("Main results", "Outlook"),
}
MONTHS = ("J", "F", "M", "A", "M", "J", "J", "A", "S", "O", "N", "D")


def write(path: Path, seed: int) -> None:
    """Write the paper (about 34 pages)."""
    writer = Writer(BANK, seed, "paper")
    hand = writer.random
    theme = Theme(
        font="Times-Roman", bold="Times-Bold", italic="Times-Italic", size=11.5, colour="#000000", margin=62, columns=2,
        outline=False, ruled=False, header="Seasonal sediment transport in the Sorrow River", footer="{page}",
    )  # fmt: skip
    report = Report(theme, "Seasonal Sediment Transport in the Sorrow River: Forty Years of Gauges, Cores and Tracers",
                    "M. Arvidsson and others")  # fmt: skip
    names = writer.take("author", 3)
    report.opening(
        [", ".join(f"{'KMT'[i]}. {name}" for i, name in enumerate(names)), "Institute for River Studies, Lundby", ""]
    )
    report.text("<b>Abstract.</b> " + writer.paragraph(7, 8))
    for title, topics in SECTIONS.items():
        report.heading(1, title)
        report.text(writer.paragraph(6, 8))
        for number, topic in enumerate(topics):
            report.heading(2, topic)
            report.text(writer.paragraph(6, 9), note="Data and code are with the authors." if not number else "")
            report.text(writer.paragraph(6, 9))
            _evidence(report, writer, topic, number, title)
            report.text(writer.paragraph(6, 9))
            report.text(writer.paragraph(5, 8))
    report.heading(1, "Symbols")
    report.definitions(
        (("D50", "median grain diameter, in millimetres"), ("Q", "discharge, in cubic metres per second"),
         ("SSC", "suspended sediment concentration, in milligrams per litre"), ("tau", "bed shear stress, in pascal"))
    )  # fmt: skip
    report.heading(1, "References")
    entries = []
    for name in sorted(writer.bank["author"]):
        first = hand.randrange(11, 700)
        entries.append(
            f"{name}, {hand.choice('ABDEHJLRST')}. ({hand.randrange(1968, 2021)}). {writer.deal('work')}. "
            f"<i>{writer.deal('journal')}</i> {hand.randrange(4, 60)}, {first}\u2013{first + hand.randrange(6, 40)}."
        )
    report.items(entries, ordered=True)
    report.save(path)


def _evidence(report: Report, writer: Writer, topic: str, number: int, title: str) -> None:
    hand = writer.random
    if title in ("Introduction", "Conclusions"):
        return
    font = "Times-Roman"
    if number == 0:
        rows, total = [], 0
        for place in writer.take("place", 5):
            load = hand.randrange(14, 980)
            total += load
            rows.append([place, f"{hand.uniform(0.2, 31):.1f}", str(load)])
        label = report.table(
            f"{topic}: load by reach", ("Reach", "D50 (mm)", "Load (kt)"), rows, ("Sum", "", str(total))
        )
        report.text(f"The loads in {label} sum to {total} kilotonnes. {writer.paragraph(2, 4)}")
    elif number == 1:
        values = [hand.randrange(20, 400) for _ in MONTHS]
        label = report.figure(f"{topic}: mean monthly load (kt)", bars(MONTHS, values, "kt", report.width, 130, font))
        report.text(f"{label} has its largest value, {max(values)} kt, in one month only. {writer.paragraph(2, 3)}")
    elif title == "Study Area":
        report.figure(
            "Valley fill at the lower gauge", section(("Peat", "Silt", "Gravel", "Till"), 7, report.width, 120, font)
        )
    else:
        years = [str(y) for y in range(1980, 2021, 8)]
        series = {name: [hand.uniform(1, 9) for _ in years] for name in ("observed", "model")}
        report.figure(f"{topic}: observed and modelled", lines(years, series, "Mt/yr", report.width, 130, font))
