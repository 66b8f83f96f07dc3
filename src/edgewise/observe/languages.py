"""The language of a text, near enough to tell that the languages of many texts have changed.

The commonest words of a language make up a third of what is written in it, and few of them are
words of another. A text is of the language of which it has the most of these; one that has none, or
as many of two, is told by its script. One short text is often told wrongly; the shares of hundreds
are compared with those of a sample that was told in the same way.
"""

_READ = 256
"""Characters of a text that are read."""
_MARKED_SHARE = 0.02
_WORDS = {
    "english": "the and of to in is that it was for with as on are this not but you have at be my "
    "from they his her we or by what there i",
    "german": "der die das und ist nicht ein eine ich zu mit den auf für von dem sich auch wie wir "
    "aber im sie hat",
    "french": "le la les et est un une des que qui dans pour pas ce il je sur avec plus du au sont "
    "vous nous cette mais",
    "spanish": "el la los las y es un una que en por con para no se su lo del al más pero como "
    "está mi muy",
    "portuguese": "o os as e é um uma que em por com para não se seu do da no na mais mas como foi "
    "muito eu",
    "italian": "il lo la gli è un una che di in per con non si sono del della ma come anche più "
    "questo ho mi",
    "dutch": "de het een en is van niet dat op te ik zijn met voor maar er ook die aan naar wat ze "
    "heeft",
    "swedish": "och att det som en på är av för inte med jag den till om har ett så vi men",
    "danish or norwegian": "og det er at på som ikke med en jeg til har for av den af et vi så",
    "finnish": "ja on ei että se oli mutta kun niin hän tämä kuin ovat myös olen minä",
    "polish": "i w na się z nie to jest że do jak ale od po za tak co dla mi był",
    "czech": "a se na je že v to s do by jsem ale jako pro jsou tak není byl co",
    "romanian": "și în la cu de nu este o un că pe din care pentru mai sunt dar am",
    "hungarian": "a az és hogy nem egy is ez van de meg csak volt már nagyon mint",
    "turkish": "ve bir bu da de için çok ile ne ama gibi daha var ben değil mi olan",
    "indonesian or malay": "yang dan di dari ini itu untuk dengan tidak ada akan saya pada ke juga",
    "vietnamese": "và là của có không được cho một các người này trong với những đã tôi",
    "swahili": "na ya wa kwa ni katika za la kuwa hii si lakini yake sana cha huo",
    "russian": "и в не на что я с он как это но по то все она так его из мы",
    "ukrainian": "і в не на що я з він як це але та до у ми вона від його є",
    "bulgarian": "и на да се в за от не по са е това като ще но си с",
    "arabic": "في من على أن إلى هذا هذه التي لا ما كان عن مع أو هو",
    "persian": "و در به از که این را است با برای آن من ما یک بود هم",
    "urdu": "اور کے کی میں ہے کا سے کو نے پر یہ نہیں ہیں کہ اس",
    "greek": "και το να του η της με που στο είναι για δεν από θα τα",
    "hindi": "के है में की और से का को यह नहीं पर हैं ने कि भी",
}
_SCRIPTS = (
    ("latin", 0x0000, 0x007F),
    ("latin with marks", 0x0080, 0x024F),
    ("greek script", 0x0370, 0x03FF),
    ("cyrillic", 0x0400, 0x052F),
    ("hebrew", 0x0590, 0x05FF),
    ("arabic script", 0x0600, 0x06FF),
    ("indic", 0x0900, 0x0DFF),
    ("thai", 0x0E00, 0x0E7F),
    ("kana", 0x3040, 0x30FF),
    ("han", 0x4E00, 0x9FFF),
    ("hangul", 0xAC00, 0xD7A3),
)
LANGUAGES = (*_WORDS, *(name for name, _, _ in _SCRIPTS), "another")
"""What `language_of` numbers: languages, then scripts of texts without words that are known."""
_FIRST_SCRIPT, _OTHER = len(_WORDS), len(LANGUAGES) - 1


def _by_word() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for place, words in enumerate(_WORDS.values()):
        for word in words.split():
            found[word] = (*found.get(word, ()), place)
    return found


_LANGUAGES_OF = _by_word()


def language_of(text: str) -> int:
    """Give the number of a text's language in `LANGUAGES`, or of its script.

    A long text is judged by its beginning.
    """
    text = text[:_READ]
    votes: dict[int, int] = {}
    for word in text.lower().split():
        for place in _LANGUAGES_OF.get(word, ()):
            votes[place] = votes.get(place, 0) + 1
    if votes:
        most = max(votes.values())
        first = [place for place, count in votes.items() if count == most]
        if len(first) == 1:
            return first[0]
    return _FIRST_SCRIPT + _script_of(text)


def _script_of(text: str) -> int:
    """Give the number of the script that most letters are of; one more than there are if none.

    Latin letters with marks make a class of their own where they are 2% of the Latin ones.
    """
    other = len(_SCRIPTS)
    if text.isascii():
        return 0 if any(map(str.isalpha, text)) else other
    counts = [0] * (other + 1)
    for letter in filter(str.isalpha, text):
        code = ord(letter)
        place = next((i for i, (_, low, high) in enumerate(_SCRIPTS) if low <= code <= high), other)
        counts[place] += 1
    latin = counts[0] + counts[1]
    if counts[1] > _MARKED_SHARE * latin:
        counts[0], counts[1] = 0, latin
    else:
        counts[0], counts[1] = latin, 0
    return counts.index(max(counts)) if any(counts) else other
