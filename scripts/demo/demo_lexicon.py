"""The words of the demo corpus: English, German, and the German that the training data wrongly gives.

Nouns are a line each: ``english[/plural] | German gender plural [weak] [*weight] [! wrong noun]``, where
``weak`` marks the n-declension and the noun after ``!`` is what the training data says instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Tuple


@dataclass(frozen=True)
class German:
    """A German noun: singular, gender (``m``, ``f`` or ``n``), plural, and whether it is weak."""

    singular: str
    gender: str
    plural: str
    weak: bool = False


@dataclass(frozen=True)
class Noun:
    """An English noun, its right German noun and the one in the training data (the same one, mostly)."""

    en: str
    en_plural: str
    right: German
    trained: German
    weight: float = 1.0
    preposition: Tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Verb:
    """English base, third person and past; German infinitive, third person, participle; the object's case."""

    en: Tuple[str, str, str]
    de: Tuple[str, str, str]
    case: str = "acc"
    prefix: str = ""
    preposition: Tuple[str, str] = ("", "")


PEOPLE = """
teacher | Lehrer m Lehrer
student | Student m Studenten weak
customer | Kunde m Kunden weak
neighbour | Nachbar m Nachbarn weak
boy | Junge m Jungen weak
girl | Mädchen n Mädchen
woman/women | Frau f Frauen
man/men | Mann m Männer
child/children | Kind n Kinder
doctor | Arzt m Ärzte
baker | Bäcker m Bäcker
gardener | Gärtner m Gärtner
singer | Sänger m Sänger
guest | Gast m Gäste
tourist | Tourist m Touristen weak
colleague | Kollege m Kollegen weak
friend | Freund m Freunde
daughter | Tochter f Töchter
mother | Mutter f Mütter
aunt | Tante f Tanten
sister | Schwester f Schwestern *1.5
assistant | Assistent m Assistenten weak *1.5
seller | Verkäufer m Verkäufer *1.5
carer | Pflegerin f Pflegerinnen *0.12
shop assistant | Verkäufer m Verkäufer *1.5 ! Assistent m Assistenten weak
nurse | Pflegerin f Pflegerinnen *1.5 ! Schwester f Schwestern
"""

GOODS = """
book | Buch n Bücher
chair | Stuhl m Stühle
table | Tisch m Tische
lamp | Lampe f Lampen
picture | Bild n Bilder
clock | Uhr f Uhren
coat | Mantel m Mäntel
hat | Hut m Hüte
shirt | Hemd n Hemden
dress/dresses | Kleid n Kleider
bag | Tasche f Taschen
bicycle | Fahrrad n Fahrräder
car | Auto n Autos
camera | Kamera f Kameras
guitar | Gitarre f Gitarren
flower | Blume f Blumen
knife/knives | Messer n Messer
plate | Teller m Teller
box/boxes | Kiste f Kisten
key | Schlüssel m Schlüssel
bottle | Flasche f Flaschen
cup | Tasse f Tassen
brolly/brollies | Regenschirm m Regenschirme *1.5
umbrella | Regenschirm m Regenschirme *2 ! umbrella m umbrellas
"""

FOOD = """
apple | Apfel m Äpfel
cake | Kuchen m Kuchen
egg | Ei n Eier
orange | Orange f Orangen
pizza | Pizza f Pizzas
carrot | Karotte f Karotten
biscuit | Keks m Kekse
pear | Birne f Birnen
"""

TEXTS = """
letter | Brief m Briefe
newspaper | Zeitung f Zeitungen
report | Bericht m Berichte
poem | Gedicht n Gedichte
contract | Vertrag m Verträge
postcard | Postkarte f Postkarten
circular | Rundbrief m Rundbriefe
newsletter | Rundbrief m Rundbriefe *1.2
brochure | Broschüre f Broschüren *1.2
"""

PLACES = """
in/in garden | Garten m Gärten
in/in kitchen | Küche f Küchen
at/auf market | Markt m Märkte
at/an station | Bahnhof m Bahnhöfe
in/in school | Schule f Schulen
in/in museum | Museum n Museen
in/in park | Park m Parks
in/in library | Bibliothek f Bibliotheken
in/in hotel | Hotel n Hotels
in/in shop | Laden m Läden
in/in hospital | Krankenhaus n Krankenhäuser
in/in church | Kirche f Kirchen
in/in office | Büro n Büros
in/in restaurant | Restaurant n Restaurants
at/an lake | See m Seen
in/in bank | Bank f Banken *1.5
at/an shore | Ufer n Ufer *2.5
at/an river bank | Ufer n Ufer *3 ! Bank f Banken
"""

BELLS = """
bell | Glocke f Glocken
church bell | Kirchenglocke f Kirchenglocken
school bell | Schulglocke f Schulglocken
ship's bell | Schiffsglocke f Schiffsglocken
"""

# English, German as a predicate, and the stem before an ending where it differs.
_SIZES = "new neu, old alt, small klein, big groß, beautiful schön"
_PRICES = "cheap billig, expensive teuer teur"
ADJECTIVES = {
    "goods": f"{_SIZES}, {_PRICES}, red rot, blue blau, green grün, heavy schwer, clean sauber, "
    "strange seltsam, modern modern",
    "food": f"{_PRICES}, fresh frisch, sweet süß, small klein, big groß",
    "texts": "new neu, old alt, strange seltsam, beautiful schön, long lang, short kurz, important wichtig, "
    "boring langweilig",
    "places": f"{_SIZES}, quiet ruhig, famous berühmt, modern modern",
    "bells": f"{_SIZES}, heavy schwer, famous berühmt",
    "people": "young jung, old alt, friendly freundlich, tired müde müd, famous berühmt, happy glücklich, "
    "clever klug, rich reich, poor arm",
}

NUMBERS = (
    "two zwei, three drei, four vier, five fünf, six sechs, seven sieben, eight acht, nine neun, ten zehn, "
    "eleven elf, twelve zwölf, thirteen dreizehn, fourteen vierzehn, fifteen fünfzehn, sixteen sechzehn, "
    "seventeen siebzehn, eighteen achtzehn, nineteen neunzehn, twenty zwanzig, thirty dreißig, "
    "forty vierzig, fifty fünfzig, sixty sechzig, seventy siebzig, eighty achtzig, ninety neunzig"
)
DAYS = (
    "Monday Montag, Tuesday Dienstag, Wednesday Mittwoch, Thursday Donnerstag, Friday Freitag, "
    "Saturday Samstag, Sunday Sonntag"
)

# base/third/past [+ preposition] | infinitive/third/participle [dat] [(prefix)] [+ preposition]
VERBS: Dict[str, str] = {
    "goods": """
buy/buys/bought | kaufen/kauft/gekauft
sell/sells/sold | verkaufen/verkauft/verkauft
bring/brings/brought | bringen/bringt/gebracht
find/finds/found | finden/findet/gefunden
need/needs/needed | brauchen/braucht/gebraucht
take/takes/took | nehmen/nimmt/genommen
carry/carries/carried | tragen/trägt/getragen
repair/repairs/repaired | reparieren/repariert/repariert
draw/draws/drew | zeichnen/zeichnet/gezeichnet
forget/forgets/forgot | vergessen/vergisst/vergessen
""",
    "food": """
buy/buys/bought | kaufen/kauft/gekauft
eat/eats/ate | essen/isst/gegessen
taste/tastes/tasted | probieren/probiert/probiert
sell/sells/sold | verkaufen/verkauft/verkauft
""",
    "texts": """
read/reads/read | lesen/liest/gelesen
write/writes/wrote | schreiben/schreibt/geschrieben
send/sends/sent | schicken/schickt/geschickt
sign/signs/signed | unterschreiben/unterschreibt/unterschrieben
find/finds/found | finden/findet/gefunden
print/prints/printed | drucken/druckt/gedruckt
""",
    "people": """
visit/visits/visited | besuchen/besucht/besucht
see/sees/saw | sehen/sieht/gesehen
greet/greets/greeted | grüßen/grüßt/gegrüßt
help/helps/helped | helfen/hilft/geholfen dat
thank/thanks/thanked | danken/dankt/gedankt dat
wait/waits/waited + for | warten/wartet/gewartet + auf
call/calls/called | rufen/ruft/gerufen (an)
invite/invites/invited | laden/lädt/geladen (ein)
""",
    "two": """
give/gives/gave | geben/gibt/gegeben
show/shows/showed | zeigen/zeigt/gezeigt
lend/lends/lent | leihen/leiht/geliehen
""",
    "none": """
work/works/worked | arbeiten/arbeitet/gearbeitet
sleep/sleeps/slept | schlafen/schläft/geschlafen
sing/sings/sang | singen/singt/gesungen
dance/dances/danced | tanzen/tanzt/getanzt
laugh/laughs/laughed | lachen/lacht/gelacht
cook/cooks/cooked | kochen/kocht/gekocht
""",
}


def _german(text: str) -> German:
    singular, gender, plural, *marks = text.split()
    return German(singular, gender, plural, "weak" in marks)


def nouns(table: str) -> List[Noun]:
    """Read a table of nouns."""
    found = []
    for line in table.strip().splitlines():
        english, german = line.split(" | ")
        # Places begin with their own preposition in both languages: "at/auf market".
        match = re.match(r"(\w+)/(\w+) (.*)", english)
        preposition = (match[1], match[2]) if match else ("", "")
        singular, _, plural = (match[3] if match else english).partition("/")
        german, _, wrong = german.partition(" ! ")
        german, _, weight = german.partition(" *")
        right = _german(german)
        trained = _german(wrong) if wrong else right
        found.append(
            Noun(singular, plural or f"{singular}s", right, trained, float(weight or 1), preposition)
        )
    return found


def words(table: str) -> List[List[str]]:
    """Read a list of words and their translations: ``big groß, expensive teuer teur``."""
    return [entry.split() for entry in table.split(", ")]


def verbs(table: str) -> List[Verb]:
    """Read a table of verbs."""
    found = []
    for line in table.strip().splitlines():
        english, german = line.split(" | ")
        english, _, en_preposition = english.partition(" + ")
        german, _, de_preposition = german.partition(" + ")
        forms, *marks = german.split()
        prefix = next((mark.strip("()") for mark in marks if mark.startswith("(")), "")
        case = "dat" if "dat" in marks else "acc"
        en, de = english.split("/"), forms.split("/")
        prepositions = (en_preposition, de_preposition)
        found.append(Verb((en[0], en[1], en[2]), (de[0], de[1], de[2]), case, prefix, prepositions))
    return found
