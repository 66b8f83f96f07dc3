"""Makes texts that name a person, and texts that name a place, a firm or a month instead.

Public: for measuring what finds names. Persons are made up of given and family names of several
languages, as they stand in English text.
"""

from edgewise.testing.privacy import Draw, Labelled

_GIVEN = (
    "Aaliyah",
    "Abdul",
    "Adriana",
    "Aiko",
    "Amara",
    "Andrzej",
    "Astrid",
    "Beatriz",
    "Bogdan",
    "Camille",
    "Carlos",
    "Chidi",
    "Darius",
    "Deepa",
    "Dimitri",
    "Eleanor",
    "Elif",
    "Emeka",
    "Erik",
    "Fatima",
    "Fiona",
    "Gareth",
    "Giulia",
    "Hannah",
    "Hassan",
    "Hiroshi",
    "Ingrid",
    "Ivan",
    "Jamal",
    "Jasmine",
    "Joanna",
    "Jorge",
    "Kavita",
    "Kenji",
    "Lars",
    "Leila",
    "Liam",
    "Lucia",
    "Magnus",
    "Marta",
    "Mehmet",
    "Ming",
    "Nadia",
    "Nikolai",
    "Noah",
    "Olga",
    "Omar",
    "Paolo",
    "Priya",
    "Rachel",
    "Rafael",
    "Rosa",
    "Sanjay",
    "Siobhan",
    "Stefan",
    "Sven",
    "Tariq",
    "Thandiwe",
    "Theo",
    "Tomasz",
    "Uma",
    "Valentina",
    "Victor",
    "Wei",
    "Xavier",
    "Yasmin",
    "Yusuf",
    "Zainab",
)
_FAMILY = (
    "Abebe",
    "Ahmed",
    "Andersson",
    "Baker",
    "Bianchi",
    "Carter",
    "Castillo",
    "Chen",
    "Costa",
    "Davies",
    "Diaz",
    "Dubois",
    "Eriksen",
    "Fernandez",
    "Fischer",
    "Garcia",
    "Gupta",
    "Hall",
    "Hansen",
    "Hoffmann",
    "Hughes",
    "Ibrahim",
    "Ivanov",
    "Jensen",
    "Kaya",
    "Kim",
    "Kowalski",
    "Larsen",
    "Laurent",
    "Lee",
    "Lopez",
    "Martin",
    "Mbeki",
    "Mendes",
    "Mitchell",
    "Mori",
    "Murphy",
    "Nakamura",
    "Nguyen",
    "Novak",
    "Okafor",
    "Olsen",
    "Patel",
    "Pereira",
    "Petrov",
    "Reid",
    "Ricci",
    "Robinson",
    "Sato",
    "Schmidt",
    "Silva",
    "Singh",
    "Suzuki",
    "Tanaka",
    "Turner",
    "Usman",
    "Vasquez",
    "Walker",
    "Wang",
    "Wright",
    "Yilmaz",
    "Young",
    "Zhang",
)
_SENTENCES = (
    "My name is {value} and I have a question about my last bill.",
    "Please send the parcel to {value} before Friday.",
    "I spoke to {value} on the phone yesterday, who promised a refund.",
    "{value} has not answered my letter yet.",
    "The contract was signed by {value} and by my brother.",
    "Could you tell {value} that the meeting moved to nine o'clock?",
    "Yesterday {value} was admitted with a broken arm.",
    "Kind regards, {value}",
    "the customer {value} wants to cancel",
    "Is {value} still the owner of the account?",
)
_PLACES = (
    "Lisbon",
    "Nairobi",
    "Manchester",
    "Osaka",
    "Nebraska",
    "Denmark",
    "Buenos Aires",
    "Cape Town",
    "the Black Forest",
    "Lake Victoria",
)
_FIRMS = (
    "Northwind Traders",
    "Contoso Ltd",
    "the Harbour Bank",
    "Acme Corporation",
    "Blue Yonder Airlines",
    "the Ministry of Finance",
    "Greenfield Insurance",
    "Globex Inc",
)
_THINGS = ("Monday", "December", "Easter", "the second floor", "invoice number seven", "the parcel")
_ABOUT = {
    "place": (_PLACES, ("We moved to {value} in May.", "How late is it in {value} now?")),
    "firm": (_FIRMS, ("My loan from {value} is paid off.", "I work for {value} since March.")),
    "thing": (_THINGS, ("I asked about {value} twice.", "What about {value}?")),
}


def named_texts(draw: Draw, each: int) -> list[Labelled]:
    """Give so many texts that name a person, and as many that name a place, a firm or a day."""
    texts = []
    for _ in range(each):
        value = _person(draw)
        sentence = _one(draw, _SENTENCES)
        texts.append(Labelled(sentence.format(value=value), "name", value, "name"))
    for source, (values, sentences) in _ABOUT.items():
        for _ in range(each // len(_ABOUT)):
            value = _one(draw, values)
            texts.append(Labelled(_one(draw, sentences).format(value=value), "", value, source))
    return texts


def _person(draw: Draw) -> str:
    given, family = _one(draw, _GIVEN), _one(draw, _FAMILY)
    forms = (f"{given} {family}", f"{given} {family}", given, f"{given[0]}. {family}")
    return _one(draw, (*forms, f"Dr {family}", f"{given} {_one(draw, _GIVEN)} {family}"))


def _one(draw: Draw, choices: tuple[str, ...]) -> str:
    return choices[int(draw.integers(len(choices)))]
