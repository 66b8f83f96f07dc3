"""Languages of texts: told by their commonest words, else by their script."""

from collections import Counter

import pytest

from edgewise.observe.languages import LANGUAGES, language_of

SENTENCES = {
    "english": (
        "please cancel the order that i placed yesterday",
        "where is my parcel and who has it now",
        "we can not open this file on the old phone",
    ),
    "german": (
        "bitte stornieren sie die bestellung von gestern",
        "wo ist mein paket und wer hat es jetzt",
        "ich kann diese datei auf dem alten telefon nicht öffnen",
    ),
    "french": (
        "merci d'annuler la commande que j'ai passée hier pour vous",
        "où est mon colis et qui est dans le magasin",
        "je ne peux pas ouvrir ce fichier sur le vieux téléphone",
    ),
    "spanish": (
        "por favor cancele el pedido que hice ayer",
        "no sé dónde está mi paquete y quién lo tiene",
        "no puedo abrir los archivos en el teléfono viejo",
    ),
    "portuguese": (
        "por favor cancele o pedido que fiz ontem em meu nome",
        "não sei onde foi parar a minha encomenda",
        "eu não consigo abrir os ficheiros do telefone antigo",
    ),
    "italian": (
        "per favore annullate il mio ordine di ieri",
        "non so dove sono gli scontrini della spesa",
        "questo non si può aprire con il vecchio telefono",
    ),
    "dutch": (
        "annuleer de bestelling die ik gisteren heb geplaatst",
        "waar is het pakket en wat moet ik er voor betalen",
        "ik kan het bestand niet op mijn oude telefoon openen",
    ),
    "swedish": (
        "jag vill att ni avbeställer det som jag köpte",
        "var är mitt paket och när kommer det till mig",
        "filen går inte att öppna på den gamla telefonen",
    ),
    "danish or norwegian": (
        "jeg vil gerne have at det bliver afbestilt",
        "hvor er min pakke og når kommer den til mig",
        "filen kan ikke åbnes på en gammel telefon",
    ),
    "finnish": (
        "paketti ei ole tullut ja olen odottanut",
        "hän sanoi että se oli eilen",
        "tämä ei toimi mutta minä yritän",
    ),
    "polish": (
        "proszę anulować zamówienie które jest na moje nazwisko",
        "nie wiem gdzie jest paczka i co dalej",
        "to nie działa na starym telefonie",
    ),
    "turkish": (
        "dün verdiğim bir siparişi iptal etmek için yazıyorum",
        "paketim nerede ve ne zaman gelir",
        "bu dosya eski telefonda çok yavaş açılıyor",
    ),
    "indonesian or malay": (
        "saya ingin membatalkan pesanan yang kemarin",
        "paket itu ada di mana dan akan tiba kapan",
        "berkas ini tidak terbuka dengan telepon lama",
    ),
    "vietnamese": (
        "tôi muốn hủy đơn hàng của tôi",
        "gói hàng không có ở đây và tôi đang chờ",
        "một tệp không mở được trong máy cũ",
    ),
    "russian": (
        "я хочу отменить заказ на вчера и все вернуть",
        "это не то что я просил",
        "он так и не открылся на телефоне",
    ),
    "ukrainian": (
        "я хочу щоб це скасували та повернули",
        "де мій пакунок і коли він буде до мене",
        "це не відкривається на моєму але як",
    ),
    "arabic": (
        "أريد إلغاء الطلب من هذا المتجر",
        "لا أعرف أين هو الطرد مع أن الوقت تأخر",
        "هذا الملف لا يفتح على الهاتف",
    ),
    "persian": (
        "این سفارش را برای من لغو کن",
        "بسته من هم از دیروز در راه است",
        "آن فایل با تلفن باز نمی شود و این بود",
    ),
    "greek": (
        "θέλω να ακυρώσω την παραγγελία από το κατάστημα",
        "δεν ξέρω που είναι το δέμα",
        "το αρχείο δεν ανοίγει με αυτό",
    ),
    "hindi": (
        "यह मेरा पार्सल नहीं है",
        "मैं इस को रद्द करना चाहता हूँ और पैसे भी",
        "फोन पर यह फ़ाइल नहीं खुलती है",
    ),
}
SCRIPTS = {
    "good film": "latin",
    "größer schöner": "latin with marks",
    "καλημέρα": "greek script",
    "хороший фильм": "cyrillic",
    "שלום עולם": "hebrew",
    "良い映画です": "kana",
    "很好的电影": "han",
    "좋은 영화": "hangul",
    "12 + 4": "another",
    "é 12 + 4": "portuguese",
    "ø 12 + 4": "latin with marks",
    "ትግርኛ": "another",
    "": "another",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_is_of_its_language(language: str) -> None:
    assert [LANGUAGES[language_of(one)] for one in SENTENCES[language]] == [language] * 3


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_text_without_common_words_is_of_its_script(text: str) -> None:
    assert LANGUAGES[language_of(text)] == SCRIPTS[text]


def test_a_text_with_as_many_words_of_two_languages_is_of_its_script() -> None:
    assert LANGUAGES[language_of("the und")] == "latin"


def test_the_beginning_of_a_long_text_tells_its_language() -> None:
    assert LANGUAGES[language_of("it is the end of " * 40 + "und der die das " * 900)] == "english"


def test_every_language_and_script_has_one_name() -> None:
    assert max(Counter(LANGUAGES).values()) == 1
