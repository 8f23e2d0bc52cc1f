"""Demo document: the yearbook of an observatory. Letter paper, serif type, contents page but no outline."""

from __future__ import annotations

import io
from pathlib import Path

from reportlab.lib.pagesizes import LETTER
from reportlab.platypus import Image

from .charts import bars, lines, sketch_map
from .flow import Report, Theme
from .picture import star_field
from .prose import Bank, Writer, grouped

BANK: Bank = {
    "pattern": [
        "{main}, {result}.", "{when}, {main}.", "{main}.", "{when}, {main}, {result}.", "{aside}",
        "{observer} reports that {main}.", "{aside}", "{main}, although {limit}.",
    ],
    "when": [
        "under the clear skies of February", "at the close of the monsoon", "on the third night of the run",
        "while the dome was being resurfaced", "near lower culmination", "in the bright half of the lunation",
        "before the mirror was realuminised", "during the joint campaign", "at an air mass of {d:1.1-2.3}",
        "within minutes of the alert", "between two fronts", "when the seeing dropped below one arcsecond",
    ],
    "main": [
        "the {instrument} recorded {n:24-310} spectra of {star}",
        "photometry of {star} reached a precision of {n:2-14} millimagnitudes",
        "the guiding error stayed within {d:0.1-0.7} arcseconds",
        "a flare on {star} was followed for {n:18-140} minutes",
        "the {instrument} was recollimated against the zenith star",
        "the radial velocity of {star} varied by {d:0.3-8.8} kilometres per second",
        "the comparison lamps of the {instrument} were replaced",
        "{n:3-17} new members of the cluster around {star} were confirmed",
        "the occultation of {star} was timed from two domes",
        "the polarisation of {star} turned through {n:11-88} degrees",
        "the period of {star} was refined to {d:1.2-9.7} days",
        "visiting students reduced the archive plates of {star}",
        "the queue scheduler gave {n:9-41} hours to transients",
        "flat fields of the {instrument} showed a new dust ring",
        "the companion of {star} was resolved at last",
        "sky brightness at the zenith held at {d:20.1-21.9} magnitudes",
    ],
    "result": [
        "and the orbit could be closed", "which settles a dispute of some forty years",
        "in fair agreement with the catalogue", "and the alert was passed to the network",
        "confirming the earlier plates", "with no trace of the supposed third body",
        "at the cost of half a night", "and a note was sent to the circulars",
        "so that the ephemeris had to be revised", "which no model yet explains",
    ],
    "limit": [
        "haze limited the depth", "the coude train lost light", "only one arm was cooled",
        "the wind closed the slit twice",
        "the reference field was crowded", "the Moon stood close by", "the tracking model was old",
    ],
    "aside": [
        "Raw frames are public after twelve months.", "The zero point was tied to eleven standard stars.",
        "No light was lost to aircraft.", "The dark current doubled in August and was cured by a new pump.",
        "Reductions follow the recipe of the previous yearbook.",
        "The plate vault holds {n:8-29} thousand glass plates.",
        "Time from outside users was oversubscribed by a factor of {d:1.4-4.6}.",
        "The night assistant logged every cloud.", "Two meteors crossed the field of {star}.",
        "A cross-check with radio data is under way.", "Baffles were painted again with lamp black.",
        "Nothing was seen at the position given in the telegram.",
    ],
    "star": [
        "Tau Corvi", "HN Pegasi B", "Kappa Lyncis", "the nebula Brandt 14", "V881 Serpentis", "Omega Fornacis",
        "the quasar KO 1127", "Delta Pyxidis", "Rho Antliae", "the globular Anselm 3", "W Sculptoris", "Chi Volantis",
    ],
    "instrument": [
        "echelle spectrograph", "prime-focus camera", "infrared photometer", "speckle interferometer",
        "fibre positioner", "coronagraph", "meridian circle", "wide-field astrograph",
    ],
    "observer": [
        "L. Ferrante", "J. Oyelaran", "M. Sandvik", "A. Kurosawa", "D. Brightwater", "P. Iliescu", "R. Montejo",
        "S. Abernathy", "C. Duvall", "T. Nakamba",
    ],
    "note": [
        "All times are given in Universal Time.", "Heliocentric correction applied.",
        "Errors are one standard deviation.", "Magnitudes are in the instrumental system.",
        "Frames with clouds are not counted.", "Coordinates for the equinox of the date.",
    ],
    "work": [
        "Clean the corrector plate of the astrograph.", "Replace the encoder on the declination axis.",
        "Map the pointing model with {n:60-180} stars.", "Move the archive to the new cluster.",
        "Regrind the bearing of the shutter.", "Install a second all-sky camera.",
        "Measure the throughput of every fibre.", "Write a safety notice for liquid nitrogen.",
    ],
}  # fmt: skip

PROGRAMMES = {
    "Stellar Variability": ("Eclipsing binaries", "Pulsating giants", "Flare stars"),
    "Clusters and Nebulae": ("Open clusters", "Planetary nebulae", "Dust and reflection"),
    "The Solar System": ("Minor planets", "Comets", "Occultations"),
    "Extragalactic Work": ("Active nuclei", "Supernova patrol", "Surface photometry"),
    "The Sun": ("Sunspot drawings", "Prominences", "Magnetic storms"),
    "Archive and Visitors": ("Plate archive", "Public nights", "Guest observers"),
    "Instruments": ("Detectors", "Optics and coatings", "Telescope control"),
}

ACRONYMS = (
    ("CCD", "charge-coupled device"), ("FWHM", "full width at half maximum"), ("SNR", "signal-to-noise ratio"),
    ("UT", "Universal Time"), ("HJD", "heliocentric Julian date"), ("PSF", "point spread function"),
    ("ADC", "atmospheric dispersion corrector"), ("TOO", "target of opportunity"),
)  # fmt: skip

CAMPAIGN_MONTHS = ("January", "February", "April", "May", "July", "August", "October", "November")
LUNATIONS = tuple(f"L{i}" for i in range(1, 13))


def write(path: Path, seed: int) -> None:
    """Write the yearbook (about 38 pages)."""
    writer = Writer(BANK, seed, "observatory")
    hand = writer.random
    year = 2011 + hand.randrange(12)
    theme = Theme(
        font="Times-Roman", bold="Times-Bold", italic="Times-Italic", size=11.5, colour="#20202c", page=LETTER,
        margin=70, outline=False, ruled=False, header="{chapter}", footer="\u2013 {page} \u2013",
    )  # fmt: skip
    report = Report(theme, f"Yearbook {year} of the Cerro Halden Observatory", "Cerro Halden Observatory")
    report.cover([f"No. {year - 1948}", "", f"Edited by {writer.fill('{observer}')} and {writer.fill('{observer}')}"])
    report.contents()
    telescopes = {"Halden 2.2 m": 0, "Astrograph": 0, "Twin Schmidt": 0, "Meridian House": 0, "Solar Tower": 0}
    report.heading(1, "The Year at a Glance")
    report.text(writer.paragraph(4, 6))
    rows = []
    for name in telescopes:
        clear, lost = hand.randrange(120, 270), hand.randrange(14, 60)
        telescopes[name] = clear
        rows.append([name, str(clear), str(lost), str(clear + lost), grouped(clear * 7 + hand.randrange(50))])
    sums = [sum(int(row[i].replace(",", "")) for row in rows) for i in range(1, 5)]
    label = report.table(
        f"Nights and exposures by telescope, {year}", ("Telescope", "Clear", "Lost", "Scheduled", "Exposures"), rows,
        ("Total", *(grouped(value) for value in sums)),
    )  # fmt: skip
    best = max(telescopes, key=telescopes.__getitem__)
    report.text(
        f"According to {label}, the {best} had the most clear nights ({telescopes[best]}). {writer.paragraph(3, 5)}"
    )
    report.figure("Sky around the pole, taken with the all-sky camera", Image(io.BytesIO(star_field(year)), 300, 200))
    report.heading(2, "Abbreviations")
    report.text("These abbreviations appear in all chapters.")
    report.definitions(ACRONYMS)
    for chapter, sections in PROGRAMMES.items():
        report.heading(1, chapter)
        report.text(writer.paragraph(4, 6), note=writer.fill("{note}"))
        report.text(writer.paragraph(4, 6))
        for number, title in enumerate(sections):
            report.heading(2, title)
            report.text(writer.paragraph(5, 7))
            _result(report, writer, title, number, year)
            report.text(writer.paragraph(4, 7), note=writer.fill("{note}") if number == 2 else "")
            report.text(writer.paragraph(4, 6))
    _logs(report, writer, year)
    report.heading(1, "Plans")
    report.text(f"For {year + 1} the council has agreed on the following work.")
    report.items(writer.take("work", 7))
    report.text(writer.paragraph(4, 6))
    report.save(path)


def _result(report: Report, writer: Writer, title: str, number: int, year: int) -> None:
    hand = writer.random
    if number == 0:
        stars = writer.take("star", 7)
        rows = [
            [star, f"{hand.uniform(4, 15):.2f}", f"{hand.uniform(0.4, 19):.3f}", str(hand.randrange(11, 190))]
            for star in stars
        ]
        total = sum(int(row[3]) for row in rows)
        label = report.table(
            f"{title}: programme stars", ("Object", "Magnitude", "Period (d)", "Frames"), rows,
            ("All objects", "", "", str(total)),
        )  # fmt: skip
        report.text(f"In all, {total} frames were taken for {title.lower()} ({label}). {writer.paragraph(2, 4)}")
    elif number == 1:
        values = [hand.uniform(0.5, 9) for _ in LUNATIONS]
        report.figure(f"{title}: hours on target by lunation", bars(LUNATIONS, values, "h", 380, 180, "Times-Roman"))
    else:
        phases = [f"{i / 10:.1f}" for i in range(11)]
        curve = {name: [hand.uniform(2, 9) for _ in phases] for name in ("blue", "visual")}
        report.figure(f"{title}: mean light curve against phase", lines(phases, curve, "mag", 390, 185, "Times-Roman"))


def _logs(report: Report, writer: Writer, year: int) -> None:
    """Observing logs: one sheet a campaign, with the same fields on each."""
    hand = writer.random
    report.heading(1, "Campaign Logs")
    report.figure("Partner sites of the campaigns", sketch_map(("Halden", "Mirador", "Sutter Peak", "Oriel"), year))
    for number in range(len(CAMPAIGN_MONTHS)):
        star = writer.fill("{star}")
        if number:
            report.new_page()
        report.heading(2, f"Campaign {year}-{number + 1:02d}")
        frames = [hand.randrange(8, 70) for _ in range(6)]
        report.fields(
            [
                ("Principal investigator", writer.fill("{observer}")),
                ("Target", star),
                ("Instrument", writer.fill("{instrument}")),
                ("Median seeing", f"{writer.number(0.6, 2.4, 1)} arcsec"),
                ("Exposures", str(sum(frames))),
            ]
        )
        report.text(writer.paragraph(4, 6))
        first = hand.randrange(1, 22)
        rows = [
            [f"{first + i} {CAMPAIGN_MONTHS[number]}", str(count),
             f"{hand.uniform(0.7, 2.6):.1f}", writer.deal("observer")]
            for i, count in enumerate(frames)
        ]  # fmt: skip
        report.table(f"Nightly log of campaign {year}-{number + 1:02d}",
        ("Night", "Exposures", "Seeing", "Observer"), rows,
                     ("Sum", str(sum(frames)), "", ""))  # fmt: skip
        report.text(writer.paragraph(4, 7))
