"""Demo document in French: the activity report of a tramway operator. Contents page and outline."""

from __future__ import annotations

from pathlib import Path

from .charts import bars, lines, sketch_map
from .flow import Report, Theme
from .prose import Bank, Writer, grouped

MOIS = ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.")

BANK: Bank = {
    "pattern": [
        "{quand}, {fait}.", "{fait}, car {cause}.", "{fait}, {suite}.", "{fait}.", "{remarque}",
        "{quand}, {fait}, {suite}.", "{fait} ; {suite2}.", "{remarque}",
    ],
    "quand": [
        "au cours de l’hiver", "dès la fin des travaux", "pendant la foire d’automne", "à la demande des riverains",
        "comme les années précédentes", "malgré les orages de juin", "avec l’appui de la métropole",
        "au terme de l’enquête publique", "depuis la mise en service du dépôt", "en dehors des heures de pointe",
    ],
    "fait": [
        "la rame {n:101-148} a été immobilisée {n:2-17} jours", "la fréquentation a progressé de {d:1.2-7.8} %",
        "les équipes ont meulé {n:3-24} kilomètres de rails", "la vitesse commerciale atteint {d:15.2-21.4} km/h",
        "le poste de commande a traité {n:120-640} alertes", "la caténaire a été retendue près de {lieu}",
        "un quai provisoire a desservi {lieu}", "le {organe} a été remplacé sur {n:3-22} rames",
        "la régularité s’est maintenue à {d:91.2-98.7} %", "les agents ont formé {n:12-64} conducteurs",
        "la ligne a été prolongée de {n:400-900} mètres vers {lieu}", "le {organe} fait l’objet d’un suivi mensuel",
        "la consommation est descendue à {d:2.9-4.4} kWh par kilomètre", "les aiguillages de {lieu} ont été chauffés",
    ],
    "cause": [
        "la chaussée s’était affaissée", "le fournisseur a livré en retard", "le gel avait fendu les joints",
        "les usagers le réclamaient", "le contrat le prévoit", "un camion avait heurté le poteau",
        "la sous-station manquait de puissance", "les feuilles rendaient le rail glissant",
    ],
    "suite": [
        "ce qui a limité les retards", "sans incidence sur les tarifs", "ce que le comité a salué",
        "avant la reprise du service complet", "pour un coût de {n:14-92} milliers d’euros",
        "et le bruit a baissé de {n:2-7} décibels", "au bénéfice des correspondances",
    ],
    "suite2": [
        "aucun blessé n’est à déplorer", "le trafic a repris le lendemain", "des bus ont assuré le relais",
        "le dossier reste ouvert", "le bilan est jugé satisfaisant", "la garantie a couvert les frais",
    ],
    "remarque": [
        "Les objets trouvés sont conservés un mois à {lieu}.", "Le détail des comptes figure en annexe.",
        "Une fresque orne désormais la station {lieu}.", "Les chiffres tiennent compte des abonnements scolaires.",
        "Le {organe} d’origine est exposé au dépôt.", "Deux tilleuls ont été plantés à {lieu}.",
        "La réunion publique a rassemblé {n:45-210} personnes.", "Un nouvel horaire est affiché dans chaque abri.",
    ],
    "lieu": [
        "Pont-Vieux", "La Chênaie", "Halles-aux-Grains", "Belle-Rive", "Croix-Morlet", "Les Tanneurs", "Fontvieille",
        "Quai des Mariniers", "Champ-Fleuri", "Porte Sainte-Aude", "Roc-Émeri", "Les Sablons",
    ],
    "organe": ["bogie", "pantographe", "frein magnétique", "compresseur", "pupitre", "essieu moteur", "attelage"],
    "personne": [
        "Mme Lise Carvin", "M. Hugo Besset", "Mme Odile Ranvier", "M. Karim Soulet", "Mme Anaïs Delmas",
        "M. Paul Vernoux",
    ],
    "mesure": [
        "Remplacer {n:12-60} luminaires à {lieu}.", "Rénover la salle de repos du dépôt.",
        "Contrôler la géométrie des voies.",
        "Installer {n:4-19} écrans d’information.", "Renforcer la présence des agents le soir.",
        "Étudier un arrêt à {lieu}.",
        "Réviser le plan de secours.", "Équiper les quais de bandes podotactiles.",
    ],
    "note": [
        "Hors services de remplacement par autobus.", "Moyenne des jours ouvrables.", "Source : système billettique.",
        "Données arrêtées au 31 décembre.",
    ],
}  # fmt: skip

CHAPITRES = {
    "Offre de service": ("Horaires", "Correspondances", "Accessibilité"),
    "Fréquentation": ("Voyageurs par station", "Abonnements", "Fraude"),
    "Matériel roulant": ("Entretien courant", "Grandes révisions", "Pièces de rechange"),
    "Voie et énergie": ("État des rails", "Ligne aérienne", "Sous-stations"),
    "Sécurité": ("Accidents", "Exercices", "Vidéoprotection"),
    "Clientèle": ("Réclamations", "Information", "Agences"),
    "Personnel": ("Effectifs", "Formation", "Santé au travail"),
    "Comptes": ("Recettes", "Charges", "Investissements"),
}


def write(path: Path, seed: int) -> None:
    """Write the report (about 36 pages)."""
    writer = Writer(BANK, seed, "tramway", decimal=",")
    hand = writer.random
    year = 2014 + hand.randrange(10)
    theme = Theme(
        font="Times-Roman", bold="Times-Bold", italic="Times-Italic", size=11.5, colour="#6a1b3d",
        header="{title}  –  {chapter}", footer="{page}", table_word="Tableau", caption_mark=" :",
        contents_word="Sommaire",
    )  # fmt: skip
    report = Report(theme, f"Tramway de Valmorin : rapport d’activité {year}", "Régie des tramways de Valmorin")
    report.cover(["Régie des tramways de Valmorin", "", f"Rapport présenté par {writer.fill('{personne}')}"])
    report.contents()
    stations = writer.take("lieu", 12)
    traffic = {name: hand.randrange(90, 2400) for name in stations}
    report.heading(1, "L’année en bref")
    report.text(writer.paragraph(4, 6))
    total = sum(traffic.values())
    rows = [[name, grouped(value, mark="\u00a0"), f"{100 * value / total:.1f}".replace(".", ",")]
            for name, value in traffic.items()]  # fmt: skip
    label = report.table(
        f"Voyageurs par station en {year} (milliers)", ("Station", "Voyageurs", "Part (%)"), rows,
        ("Total", grouped(total, mark="\u00a0"), "100,0"),
    )  # fmt: skip
    top = max(traffic, key=traffic.__getitem__)
    report.text(f"Le {label} place {top} au premier rang. {writer.paragraph(3, 5)}")
    report.figure("Plan schématique du réseau", sketch_map(stations, year, font="Times-Roman"))
    for chapter, sections in CHAPITRES.items():
        report.heading(1, chapter)
        report.text(writer.paragraph(4, 6), note=writer.fill("{note}"))
        report.text(writer.paragraph(4, 6))
        for number, title in enumerate(sections):
            report.heading(2, title)
            report.text(writer.paragraph(4, 7))
            _detail(report, writer, title, number, year)
            report.text(writer.paragraph(5, 7))
            report.text(writer.paragraph(4, 6))
    report.heading(1, "Fiches des stations")
    for number, name in enumerate(stations):
        if number and number % 2 == 0:
            report.new_page()
        report.heading(2, f"Station {name}")
        report.fields(
            [
                ("Code", f"V{number + 1:02d}"),
                ("Chef de secteur", writer.fill("{personne}")),
                ("Longueur du quai", f"{hand.randrange(28, 66)} m"),
                ("Mise en service", str(hand.randrange(1987, 2013))),
                ("Altitude", f"{writer.number(12, 96, 1)} m"),
            ]
        )
        report.text(writer.paragraph(4, 6))
    report.heading(1, f"Programme {year + 1}")
    report.items(writer.take("mesure", 7))
    report.text(writer.paragraph(4, 6))
    report.save(path)


def _detail(report: Report, writer: Writer, title: str, number: int, year: int) -> None:
    hand = writer.random
    if number == 0:
        values = [hand.randrange(20, 180) for _ in MOIS]
        report.figure(f"{title} : évolution mensuelle en {year}", bars(MOIS, values, "indice", font="Times-Roman"))
    elif number == 1:
        rows = []
        for name in writer.take("lieu", 6):
            halves = hand.randrange(11, 400), hand.randrange(11, 400)
            rows.append([name, str(halves[0]), str(halves[1]), str(sum(halves))])
        sums = [str(sum(int(row[i]) for row in rows)) for i in (1, 2, 3)]
        report.table(f"{title} : relevé par semestre, {year}", ("Secteur", "1er semestre", "2e semestre", "Année"),
        rows,
                     ("Total", *sums))  # fmt: skip
    else:
        curves = {str(y): [hand.randrange(30, 95) for _ in MOIS] for y in (year - 1, year)}
        report.figure(f"{title} : comparaison sur deux ans", lines(MOIS, curves, "unités", font="Times-Roman"))
        report.items(writer.take("mesure", 3), ordered=True)
