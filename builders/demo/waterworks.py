"""Demo document: the annual report of a waterworks. Contents page, outline, ruled tables, charts, station sheets."""

from __future__ import annotations

import io
from pathlib import Path

from reportlab.platypus import Image

from .charts import bars, lines, section, shares, sketch_map
from .flow import Report, Theme
from .picture import hillside
from .prose import Bank, Writer, grouped

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

BANK: Bank = {
    "pattern": [
        "{opener}, {main}.", "{main} because {cause}.", "{main}, {effect}.", "{opener}, {main}, {effect}.",
        "{remark}", "{main}; {second}.", "although {cause}, {second}.", "{remark}",
    ],
    "opener": [
        "during the dry weeks of late summer", "after the spring flush", "in the second half of the year",
        "as in earlier years", "once the new valves were in place", "on the evidence of the night readings",
        "with the help of the county laboratory", "before the frost set in", "for the first time in a decade",
        "following the storm in October", "over the long weekend in May", "at the request of the parish councils",
    ],
    "main": [
        "the crews renewed {n:120-980} metres of cast-iron main near {place}",
        "pressure at the high-level zone stayed above {d:2.1-3.9} bar",
        "the {plant} was taken out of service for {n:4-19} days",
        "demand in {place} rose by {d:1.1-6.8} per cent",
        "turbidity at the intake fell below {d:0.2-0.9} NTU",
        "the team walked every metre of the trunk main between {place} and {place}",
        "leakage in the lower district came down to {n:9-21} litres per connection and hour",
        "the chlorine dose was held at {d:0.2-0.6} milligrams per litre",
        "two of the {n:3-7} pumps at {place} were rewound",
        "the spillway gates were exercised each month",
        "the control room logged {n:31-97} calls about discoloured water",
        "a temporary booster fed the upper streets of {place}",
        "engineers relined the shaft of the old adit",
        "the board approved a second crossing under the river at {place}",
        "meter readers reached {n:88-99} per cent of all premises",
        "the {plant} passed its ten-year structural survey",
        "sampling staff drew {n:210-890} bottles from kitchen taps",
        "reservoir levels recovered by {d:0.4-2.7} metres",
    ],
    "second": [
        "customers in {place} noticed no interruption", "the {plant} carried the load alone",
        "the contractor finished {n:3-16} days early", "the flow had to be throttled twice",
        "the water bylaws were not breached", "supply by tanker was not needed",
        "the cost stayed inside the allowance", "two valves had to be dug out by hand",
        "readings were repeated the following week", "the standby set started without fault",
    ],
    "cause": [
        "the raw water carried more clay than usual", "the lining had worn to the bare iron",
        "a joint on the rising main had slipped", "new homes were connected ahead of plan",
        "the old telemetry had lost its signal", "roots had entered the inspection chamber",
        "summer visitors doubled the evening peak", "the filter sand had not been changed for years",
        "a fuse at the intake had failed", "the bulk supply agreement allowed it",
        "silt had settled behind the screens", "the survey showed hairline cracks",
    ],
    "effect": [
        "which kept the town in supply", "so that the night flow could be measured again",
        "which saved about {n:14-96} megawatt hours", "leaving room for the winter programme",
        "and no boil notice was issued", "which the inspectorate noted with approval",
        "so the tankers could be stood down", "and the hydrants were flushed afterwards",
        "which shortened the queue of repairs", "with little effect on the tariff",
    ],
    "remark": [
        "The {plant} remains the oldest asset still in daily use.",
        "No sample exceeded the limit for lead.",
        "A full account of the burst near {place} is kept with the chief engineer.",
        "Residents of {place} were offered a tour of the works in June.",
        "The figures include water sold in bulk to the neighbouring district.",
        "Work of this kind is weather-bound and cannot be hurried.",
        "Spare bearings are now held in the store at {place}.",
        "The apprentices rebuilt a sluice valve as their trial piece.",
        "Fish counts at the weir were the best since records began.",
        "One farm track had to be reinstated after heavy lorries used it.",
        "A public meeting in {place} drew {n:40-180} people.",
        "The drawings of the culvert have been scanned and indexed.",
    ],
    "place": [
        "Alder Mill", "Thornwick", "Castle Hay", "Low Marden", "Penbury", "Garth Cross", "Ottersley", "Stonecombe",
        "Wether Fold", "Ashgrove", "Priors Dean", "Rushmere",
    ],
    "plant": [
        "slow sand filter house", "clear-water tank", "aeration cascade", "sludge press", "ultraviolet unit",
        "intake tower", "valve house", "softening plant",
    ],
    "note": [
        "Measured at the outlet of the works, before the trunk main.", "Excludes water used for flushing.",
        "See the asset register for the age of each main.", "Rounded to the nearest whole connection.",
        "The survey was repeated because of a faulty logger.", "Tariff in force since the first of April.",
        "Mean of hourly readings; gaps are left out.", "Under the agreement with the drainage board.",
    ],
    "person": [
        "Edith Marlowe", "Tobias Renn", "Hanna Quill", "Gwen Aldous", "Piers Lockett", "Maud Sefton", "Ralph Ingle",
        "Nora Vane", "Silas Croft", "Bea Tansley", "Owen Pardoe", "Iris Hallam",
    ],
    "task": [
        "Inspect the scour valves of the {plant}.", "Replace the loggers on the main to {place}.",
        "Agree the discharge consent with the river authority.", "Paint the railings of the {plant}.",
        "Update the emergency plan and rehearse it once.", "Train {n:2-6} more staff in confined-space rescue.",
        "Clear the bracken around the weir at {place}.", "Renew {n:120-480} service pipes of lead.",
        "Calibrate all flow meters larger than {n:150-400} millimetres.", "Survey the tunnel above {place}.",
    ],
}  # fmt: skip

CHAPTERS = {
    "Resources": ("Rainfall and inflow", "Reservoir storage", "River abstraction"),
    "Treatment": ("Filtration", "Disinfection", "Residuals and sludge"),
    "Distribution": ("Mains renewal", "Leakage", "Pressure management"),
    "Water Quality": ("Sampling programme", "Taste and odour", "Customer contacts"),
    "Energy and Carbon": ("Pumping energy", "Generation on site", "Transport"),
    "People and Safety": ("Staffing", "Accidents and near misses", "Apprenticeships"),
    "Finance": ("Income", "Operating cost", "Capital programme"),
}

TERMS = (
    ("DMA", "District Metered Area: a part of the network whose inflow is metered, so that leakage can be seen."),
    ("NTU", "Nephelometric Turbidity Unit: how much a sample scatters light."),
    ("SCADA", "Supervisory Control and Data Acquisition: the telemetry of all stations."),
    ("Compensation flow", "Water that must be let down the river below a dam at all times."),
    ("Night line", "The flow into an area between two and four in the morning, mostly leakage."),
    ("PRV", "Pressure Reducing Valve: keeps the pressure behind it constant."),
    ("Head", "Pressure given as the height of a column of water, in metres."),
)


def write(path: Path, seed: int) -> None:
    """Write the report (about 45 pages)."""
    writer = Writer(BANK, seed, "waterworks")
    hand = writer.random
    year = 2015 + hand.randrange(9)
    report = Report(
        Theme(header="{title}   |   {chapter}", colour="#17496b", footer="{page}"),
        f"Vale of Arden Waterworks: Annual Report {year}",
        "Vale of Arden Waterworks",
    )
    chief = writer.fill("{person}")
    report.cover([f"for the year ended 31 December {year}", "", f"Presented to the Board by {chief}, Chief Engineer"])
    report.contents()
    stations = writer.take("place", 10)
    yearly = {station: hand.randrange(410, 3900) for station in stations}
    _summary(report, writer, chief, year, yearly)
    for chapter, sections in CHAPTERS.items():
        report.heading(1, chapter)
        report.text(writer.paragraph(3, 4))
        report.text(writer.paragraph(3, 5))
        for number, title in enumerate(sections):
            report.heading(2, title)
            report.text(writer.paragraph(4, 6), note=writer.fill("{note}") if number == 0 else "")
            _evidence(report, writer, f"{chapter}: {title}", number, stations, year)
            report.text(writer.paragraph(4, 7))
            report.text(writer.paragraph(3, 6))
            if number == 1:
                report.heading(3, f"Actions for {year + 1}")
                report.items(writer.take("task", 4), ordered=True)
    report.heading(1, "Station Sheets")
    report.text("Each sheet gives the standing data of one station and its deliveries by quarter.")
    for number, station in enumerate(stations):
        _sheet(report, writer, station, yearly[station], number, year)
    report.heading(1, "Definitions")
    report.text("The terms below are used throughout this report.")
    report.definitions(TERMS)
    report.save(path)


def _summary(report: Report, writer: Writer, chief: str, year: int, yearly: dict[str, int]) -> None:
    total = sum(yearly.values())
    report.heading(1, "Summary of the Year")
    report.text(f"In {year} the waterworks delivered {grouped(total)} megalitres through {len(yearly)} stations. "
                + writer.paragraph(4, 5))  # fmt: skip
    rows = [[name, grouped(value), f"{100 * value / total:.1f}"] for name, value in yearly.items()]
    label = report.table(
        f"Deliveries by station in {year}", ("Station", "Delivered (ML)", "Share (%)"), rows,
        ("Total", grouped(total), "100.0"),
    )  # fmt: skip
    report.small(f"Source: station logs, compiled by {writer.fill('{person}')}.")
    report.text(f"{label} lists all stations. The report was approved by {chief}. {writer.paragraph(3, 5)}")
    report.figure("Stations and the river Arden", sketch_map(list(yearly), year))
    report.figure(
        f"The valley above {max(yearly, key=yearly.__getitem__)}", Image(io.BytesIO(hillside(year)), 330, 192)
    )
    report.heading(2, "Highlights")
    report.items(writer.take("remark", 5))


def _evidence(report: Report, writer: Writer, topic: str, number: int, stations: list[str], year: int) -> None:
    """A table, a chart or both, with numbers that the prose repeats."""
    hand = writer.random
    if number == 0:
        low, high = sorted((hand.randrange(20, 60), hand.randrange(70, 160)))
        values = [hand.randrange(low, high) for _ in MONTHS]
        name = topic.split(": ")[1]
        label = report.figure(f"{name} by month, {year} (index, 100 = long-term mean)", bars(MONTHS, values, "index"))
        best = max(range(12), key=values.__getitem__)
        report.text(f"{label} shows a peak of {values[best]} in {MONTHS[best]}. {writer.paragraph(2, 4)}")
    elif number == 1:
        chosen = stations[:: 1 if topic.startswith("Dis") else 2]
        quarters = [[hand.randrange(12, 240) for _ in range(4)] for _ in chosen]
        rows = [[s, *map(str, q), str(sum(q))] for s, q in zip(chosen, quarters, strict=True)]
        sums = [sum(column) for column in zip(*quarters, strict=True)]
        report.table(
            f"{topic.split(': ')[1]}: readings by quarter, {year}", ("Station", "Q1", "Q2", "Q3", "Q4", "Year"), rows,
            ("Total", *map(str, sums), str(sum(sums))),
        )  # fmt: skip
    elif topic.startswith(("Treat", "Fin")):
        names = (
            ("Materials", "Energy", "Staff", "Contracts")
            if topic.startswith("Fin")
            else ("Iron", "Clay", "Lime", "Algae")
        )
        report.figure(f"Breakdown of {topic.split(': ')[1].lower()}", shares({n: hand.randrange(8, 50) for n in names}))
    elif topic.startswith("Res"):
        report.figure("Section of the valley floor", section(["Water", "Loam", "Gravel", "Blue clay", "Rock"], year))
    else:
        series = {
            str(year - 1): [hand.randrange(30, 90) for _ in MONTHS],
            str(year): [hand.randrange(30, 95) for _ in MONTHS],
        }
        report.figure(f"{topic.split(': ')[1]}, two years compared", lines(MONTHS, series, "units"))


def _sheet(report: Report, writer: Writer, station: str, total: int, number: int, year: int) -> None:
    hand = writer.random
    report.new_page() if number else None
    report.heading(2, f"{station} Station")
    report.fields(
        [
            ("Station code", f"VA-{101 + 7 * number}"),
            ("Keeper", writer.fill("{person}")),
            ("Commissioned", str(hand.randrange(1898, 1989))),
            ("Elevation", f"{hand.randrange(42, 318)} m"),
            ("Well depth", f"{writer.number(9, 64, 1)} m"),
            ("Installed power", f"{hand.randrange(18, 140)} kW"),
        ]
    )
    cuts = sorted(hand.sample(range(1, 100), 3))
    parts = [round(total * share / 100) for share in (cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1])]
    parts.append(total - sum(parts))
    rows = [[f"Quarter {i + 1}", grouped(part), str(hand.randrange(0, 9))] for i, part in enumerate(parts)]
    stops = sum(int(row[2]) for row in rows)
    report.table(
        f"{station}: deliveries in {year}", ("Period", "Delivered (ML)", "Stoppages"), rows,
        ("Year", grouped(total), str(stops)),
    )  # fmt: skip
    report.text(writer.paragraph(4, 6))
    report.figure(f"{station}: deliveries by quarter (ML)", bars([r[0] for r in rows], parts, "ML", 330, 150))
    report.text(writer.paragraph(3, 5))
