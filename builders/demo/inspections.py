"""Demo document: a dossier of bridge inspection forms, one a page, with the same fields on each; outline only."""

from __future__ import annotations

from pathlib import Path

from .charts import bars, section
from .flow import Report, Theme
from .prose import Bank, Writer

BANK: Bank = {
    "pattern": ["{finding}.", "{finding}, {advice}.", "{finding}; {state}.", "{state}.", "{note}"],
    "finding": [
        "spalling over {n:4-60} square centimetres on the {part}", "the {part} shows efflorescence at {n:2-7} points",
        "the {part} has settled by {n:2-19} millimetres", "bolts on the {part} are loose",
        "a vertical crack of {d:0.2-1.9} millimetres runs through the {part}", "paint has failed on the {part}",
        "drains above the {part} are blocked by leaves", "ivy has taken hold behind the {part}",
        "scour has exposed {n:10-90} centimetres of the {part}", "a strike mark from a lorry was found on the {part}",
        "the sealant along the {part} has perished", "the {part} rings hollow under the hammer",
    ],
    "advice": [
        "to be repointed within the year", "monitor with tell-tales", "no action for now",
        "close the footway if it widens",
        "repair before winter", "refer to the structures group", "reseal at the next resurfacing",
        "pack with dry mortar",
    ],
    "state": [
        "the {part} is sound", "the deck drains freely", "the {part} was repaired in an earlier season",
        "bearings move without noise", "the river bed has been stable", "no change since the last visit",
        "the expansion gap is clear", "the handrail meets the present height",
    ],
    "note": [
        "Access from the towpath only.", "Divers were not needed.", "Traffic was held with stop boards.",
        "Bats roost here, so work must wait until October.", "A level survey was tied to the county datum.",
        "The plate with the load limit has been stolen.", "Photographs are filed under the structure number.",
    ],
    "part": [
        "north abutment", "south abutment", "centre pier", "parapet", "spandrel wall", "upstream cutwater", "soffit",
        "bearing shelf", "wing wall", "deck joint", "keystone", "retaining wall",
    ],
    "first": [
        "Hexley", "Marram", "Cold Ash", "Drovers", "Tarn", "Whinstone", "Saddler", "Old Ferry", "Hazel", "Copper",
        "Mill", "Abbot", "Raven", "Quarry", "Sheep", "Linden", "Fuller", "Long", "Green", "Packhorse",
    ],
    "second": ["Bridge", "Viaduct", "Culvert", "Footbridge", "Crossing"],
    "inspector": ["C. Whitlock", "Y. Adeyemi", "B. Strand", "F. Castellan", "H. Lundqvist", "O. Prior", "V. Kestrel"],
    "weather": ["dry, light wind", "overcast", "rain in the morning", "frost until ten", "bright, cold", "fog"],
    "material": ["sandstone", "mass concrete", "wrought iron", "brick", "reinforced concrete", "steel", "timber"],
    "river": ["Lathe", "Brindle Water", "Esker", "Tarrow", "Whit Beck"],
}  # fmt: skip

PARTS = ("Foundations", "Abutments", "Piers", "Deck", "Parapets", "Drainage", "Bearings")
GRADES = {1: "Good", 2: "Fair", 3: "Poor", 4: "Urgent"}
MONTHS = ("March", "April", "May", "June", "July", "August", "September")
FORMS = 36


def write(path: Path, seed: int) -> None:
    """Write the dossier (42 pages)."""
    writer = Writer(BANK, seed, "inspections")
    hand = writer.random
    year = 2012 + hand.randrange(11)
    theme = Theme(
        size=10, colour="#5a2a27", margin=58, numbered=False, header="{title}", footer="Sheet {page}", caption_mark=":"
    )
    report = Report(theme, f"Bridge Inspection Dossier {year}, Northern Division", "County Highways Department")
    report.banner("How to Read This Dossier")
    report.text(
        f"This dossier holds {FORMS} inspection forms of the year {year}. Each structure was visited once. Every form "
        "names the inspector, the date, the measured depth of water and the grade of each part."
    )
    report.items([f"Grade {grade}: {name.lower()}" for grade, name in GRADES.items()])
    report.text("The overall grade of a structure is the worst grade of its parts.")
    report.figure("Typical founding conditions", section(("Water", "Silt", "Gravel", "Boulder clay"), year + seed))
    names: list[str] = []
    while len(names) < FORMS:
        name = f"{writer.deal('first')} {writer.deal('second')}"
        if name not in names:
            names.append(name)
    results = [_form(report, writer, name, number, year) for number, name in enumerate(names)]
    report.new_page()
    report.banner("Register of Structures")
    rows = [[str(n + 1), name, *result] for n, (name, result) in enumerate(zip(names, results, strict=True))]
    report.table("All structures with their depth and overall grade",
                 ("No.", "Structure", "Inspector", "Depth (m)", "Overall"), rows)  # fmt: skip
    report.new_page()
    report.banner("Statistics")
    counts = {name: sum(result[2] == name for result in results) for name in GRADES.values()}
    report.table("Structures by overall grade", ("Overall grade", "Structures"),
                 [[name, str(count)] for name, count in counts.items()], ("Total", str(FORMS)))  # fmt: skip
    report.figure("Structures by overall grade", bars(list(counts), list(counts.values()), "number", 340, 170))
    people = sorted({result[0] for result in results})
    report.table("Forms by inspector", ("Inspector", "Forms"),
                 [[person, str(sum(result[0] == person for result in results))] for person in people],
                 ("Total", str(FORMS)))  # fmt: skip
    report.save(path)


def _form(report: Report, writer: Writer, name: str, number: int, year: int) -> tuple[str, str, str]:
    """One form on a page of its own. Returns inspector, depth and overall grade."""
    hand = writer.random
    report.new_page()
    report.banner(f"Form {number + 1}: {name}")
    inspector, depth = writer.fill("{inspector}"), writer.number(0.4, 14.8, 1)
    spans = hand.randrange(1, 5)
    grades = [hand.choice((1, 1, 1, 2, 2, 3)) if hand.random() < 0.93 else 4 for _ in PARTS]
    overall = GRADES[max(grades)]
    report.fields(
        [
            ("Structure number", f"N-{1040 + 13 * number}"),
            ("Inspector", inspector),
            ("Date of visit", f"{hand.randrange(1, 29)} {MONTHS[number * len(MONTHS) // FORMS]} {year}"),
            ("River", writer.fill("{river}")),
            ("Material", writer.fill("{material}")),
            ("Spans", str(spans)),
            ("Total length", f"{spans * hand.randrange(6, 31)} m"),
            ("Depth", f"{depth} m"),
            ("Weather", writer.fill("{weather}")),
            ("Overall grade", overall),
        ]
    )
    rows = [[part, str(grade), GRADES[grade], writer.sentence()] for part, grade in zip(PARTS, grades, strict=True)]
    report.table(f"Condition of {name}", ("Part", "Grade", "Meaning", "Finding"), rows)
    report.text(f"<b>Remarks.</b> {writer.paragraph(3, 6)}")
    if number % 6 == 2:
        report.figure(f"Ground below {name}", section(("Water", "Silt", "Gravel", "Rock"), number, 360, 130))
    report.text(
        f"<b>Next visit due:</b> {MONTHS[number * len(MONTHS) // FORMS]} {year + (1 if max(grades) > 2 else 2)}"
    )
    return inspector, depth, overall
