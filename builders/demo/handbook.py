"""Demo document: the handbook of a seed bank. Deep sections, definitions, procedures; outline, no contents page."""

from __future__ import annotations

from pathlib import Path

from .charts import lines, shares
from .flow import Report, Theme
from .prose import Bank, Writer, grouped

BANK: Bank = {
    "pattern": [
        "{who} must {duty}.", "{who} must {duty} before {event}.", "if {event}, {who} {action}.", "{why}.",
        "never {forbidden}.", "{who} {action} and {action2}.", "{why}; {who} {action}.",
    ],
    "who": [
        "the curator", "the duty technician", "the registrar", "the cold-room warden", "every visitor",
        "the germination team",
        "the pathologist", "the field collector", "the data steward", "the quarantine officer",
    ],
    "duty": [
        "weigh each accession to the nearest {n:1-9} milligrams", "sign the transfer ledger",
        "wear gloves and a lined coat",
        "label the pouch on both sides", "record the relative humidity", "hold a duplicate of {n:200-900} seeds",
        "check the seal under a lamp", "photograph the seed coat", "confirm the passport data with the donor",
        "leave the vault within {n:15-45} minutes", "dry the lot to {d:3.1-6.4} per cent moisture",
        "retire pouches older than {n:12-30} years", "report any smell of ammonia",
        "enter the cross-reference in the register",
    ],
    "event": [
        "the lot enters the drying hall", "a pouch is opened", "the freezer alarm sounds", "a shipment leaves the site",
        "viability drops below {n:65-88} per cent", "the generator is tested", "a donor withdraws consent",
        "the inner door is unlocked", "a new shelf is commissioned", "the audit begins",
        "insects are found in a sample",
    ],
    "action": [
        "informs the curator the same day", "moves the lot to the quarantine shelf", "opens an incident sheet",
        "draws {n:25-100} seeds for a test", "resets the data logger", "repeats the count with a second reader",
        "seals the drum with a numbered tag", "requests a regeneration plot", "closes the fume cupboard",
        "replaces the silica gel",
    ],
    "action2": [
        "initials the sheet", "keeps a copy for the archive", "tells the registrar", "waits for the second signature",
        "notes the time", "returns the key", "updates the location code",
    ],
    "forbidden": [
        "open two lots on one bench", "store a pouch without a bar code", "use the lift to carry liquid nitrogen",
        "prop the fire door", "reuse a paper envelope", "mix harvest years in one jar", "leave the scales uncovered",
    ],
    "why": [
        "moisture is the chief enemy of stored seed", "two labels survive where one is lost",
        "a germination count is only as good as its sample", "the vault stays at minus {n:17-21} degrees",
        "orthodox seeds withstand drying while recalcitrant ones do not", "paper records are kept for {n:20-60} years",
        "a donor may ask for the return of any accession", "frost on a pouch is a sign of a failed seal",
        "most losses begin with a wrong name", "cold rooms are entered in pairs",
    ],
    "step": [
        "Switch on the balance and let it settle for {n:5-20} minutes.", "Tare the tray twice.",
        "Spread the seeds in a single layer.", "Remove chaff with the air column.", "Read the bar code.",
        "Cut {n:5-20} seeds to inspect the embryo.", "Heat-seal the pouch at {n:140-190} degrees.",
        "Squeeze the pouch to test the seal.", "Write the weight on the tag.", "Place the pouch in drum order.",
        "Scan the shelf label.", "Lock the inner door.", "Rinse the dishes in {n:2-9} per cent bleach.",
        "Set the incubator to {n:15-28} degrees.", "Count seedlings after {n:7-21} days.",
    ],
    "species": [
        "Einkorn wheat", "Sea kale", "Bambara groundnut", "Tepary bean", "Field cow-wheat", "Finger millet",
        "Grass pea",
        "Wild carrot", "Corn cockle", "Yard-long bean", "Quinoa", "Black mustard", "Fonio", "Salsify", "Oca", "Teff",
    ],
    "note": [
        "Form SB-12 is kept at the front desk.", "See the emergency card on the inner door.",
        "The limit was lowered after the last audit.", "Applies to bulk lots as well.",
        "Ask the registrar for exceptions.",
    ],
}  # fmt: skip

PARTS = {
    "Receiving Material": (
        ("Agreements", ("Donor consent", "Material transfer")),
        ("Registration", ("Accession numbers", "Passport data")),
        ("Cleaning", ("Air column", "Hand sorting")),
    ),
    "Drying and Packing": (
        ("The drying hall", ("Humidity control", "Batch records")), ("Moisture tests", ("Oven method", "Meters")),
        ("Pouches and drums", ("Sealing", "Labelling")),
    ),
    "Cold Storage": (
        ("The vault", ("Entering", "Shelf order")), ("Refrigeration", ("Compressors", "Alarms")),
        ("Safety duplicates", ("Partner sites", "Shipment")),
    ),
    "Viability": (
        ("Germination tests", ("Sampling", "Counting")), ("Regeneration", ("Isolation distance", "Harvest")),
        ("Seed health", ("Fungi", "Insects")),
    ),
    "Buildings": (
        ("Power supply", ("Generator", "Batteries")), ("Fire safety", ("Detectors", "Evacuation")),
        ("Access control", ("Keys", "Visitors")),
    ),
    "Records": (
        ("The register", ("Entry rules", "Corrections")), ("Requests", ("Screening", "Dispatch")),
        ("Audits", ("Yearly audit", "Spot checks")),
    ),
}  # fmt: skip

TERMS = (
    ("Accession", "a sample of seed of one kind, from one place and one time, kept under one number."),
    ("Base collection", "seed kept for the long term and not handed out."),
    ("Active collection", "seed from which requests are served."),
    ("Orthodox seed", "seed that can be dried and frozen without harm."),
    ("Recalcitrant seed", "seed that dies when dried, such as acorns."),
    ("Passport data", "who collected the sample, where and when."),
    ("MTA", "Material Transfer Agreement, signed before any seed leaves the bank."),
    ("ERH", "Equilibrium Relative Humidity of the air above a closed sample."),
    ("TTC", "Triphenyl Tetrazolium Chloride, the dye that stains living tissue red."),
    ("Black box", "a deposit that only its owner may open."),
)


def write(path: Path, seed: int) -> None:
    """Write the handbook (about 42 pages)."""
    writer = Writer(BANK, seed, "handbook")
    hand = writer.random
    issue = 3 + hand.randrange(9)
    theme = Theme(
        size=11, colour="#2f5d3a", margin=72, header="Seed Bank Handbook, issue " + str(issue) + "   {chapter}",
        footer="SB-HB / {page}", caption_mark=" \u2013",
    )  # fmt: skip
    report = Report(theme, "Strandvale Seed Bank: Operations Handbook", "Strandvale Seed Bank")
    report.cover([f"Issue {issue}", "", "This copy is for staff. Return it when you leave."])
    report.heading(1, "Purpose and Terms")
    report.text(writer.paragraph(4, 6))
    report.heading(2, "Terms")
    report.definitions(TERMS)
    report.heading(2, "Who to call")
    report.text("The numbers below are internal extensions.")
    roles = writer.bank["who"]
    rows = [[r.removeprefix("the ").capitalize(), str(1200 + hand.randrange(700)), f"Room {hand.randrange(2, 48)}"]
            for r in roles if "visitor" not in r]  # fmt: skip
    report.table("Internal extensions", ("Role", "Extension", "Room"), rows)
    for part, sections in PARTS.items():
        report.heading(1, part)
        report.text(writer.paragraph(4, 6), note=writer.fill("{note}"))
        report.text(writer.paragraph(4, 6))
        for title, topics in sections:
            report.heading(2, title)
            report.text(writer.paragraph(5, 7))
            for number, topic in enumerate(topics):
                report.heading(3, topic)
                report.text(writer.paragraph(4, 6))
                if number == 0:
                    report.items(writer.take("step", 6), ordered=True)
                else:
                    _stock(report, writer, title, topic)
                report.text(writer.paragraph(4, 6))
    report.heading(1, "Log Sheets")
    report.text("Copy these sheets. Completed examples are shown.")
    for number in range(8):
        _log_sheet(report, writer, number)
    report.save(path)


def _stock(report: Report, writer: Writer, title: str, topic: str) -> None:
    hand = writer.random
    species = writer.take("species", 6)
    rows, lots, seeds = [], 0, 0
    for name in species:
        count, amount = hand.randrange(3, 60), hand.randrange(800, 42_000)
        lots, seeds = lots + count, seeds + amount
        rows.append([name, str(count), grouped(amount), f"{hand.uniform(61, 99):.1f}"])
    label = report.table(
        f"{title}, {topic.lower()}: stock by species", ("Species", "Lots", "Seeds", "Viable (%)"), rows,
        ("Total", str(lots), grouped(seeds), ""),
    )  # fmt: skip
    report.text(f"{label} counts {lots} lots. {writer.paragraph(2, 3)}")
    if hand.random() < 0.4:
        report.figure(f"{title}: lots by kind of container",
                      shares({k: hand.randrange(5, 60) for k in ("Foil pouch", "Glass jar", "Drum",
                      "Paper")}))  # fmt: skip


def _log_sheet(report: Report, writer: Writer, number: int) -> None:
    hand = writer.random
    if number:
        report.new_page()
    report.heading(2, f"Log sheet {'ABCDEFGH'[number]}")
    report.fields(
        [
            ("Accession", f"SV-{hand.randrange(10_000, 99_999)}"),
            ("Species", writer.fill("{species}")),
            ("Shelf", f"{hand.choice('KLMNPR')}{hand.randrange(1, 40)}"),
            ("Moisture", f"{writer.number(3.2, 6.5, 1)} %"),
            ("Warden", hand.choice(("J. Sorrel", "T. Vetch", "M. Campion", "N. Yarrow", "E. Teasel"))),
        ]
    )
    days = [str(7 * (i + 1)) for i in range(6)]
    counts = sorted(hand.randrange(3, 97) for _ in days)
    report.table(f"Germination count, log sheet {'ABCDEFGH'[number]}", ("Day", "Germinated (%)"),
                 [[d, str(c)] for d, c in zip(days, counts, strict=True)])  # fmt: skip
    report.figure(f"Germination against days, log sheet {'ABCDEFGH'[number]}",
                  lines(days, {"germinated": counts}, "%", 320, 150))  # fmt: skip
    report.text(writer.paragraph(4, 6))
