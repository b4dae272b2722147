"""Which texts are English: what the measures of style may be taken of."""

from __future__ import annotations

import pytest

from idiolect.difference.claims.feature import Comparison
from idiolect.difference.claims.stylometric import in_english, measure_comparisons
from idiolect.difference.stylometry.english import are_english, detect
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World

ENGLISH = [
    "The soup was good.", "Great album!", "I would buy it again, but not at this price.", "Don't bother.",
    "Pours dark amber. Malty nose with caramel and toffee.", "The best 味噌 in Tokyo, près de la gare.",
    "Pilsner Urquell und Budweiser are the beers that I like.", "VERY GOOD. WOULD BUY AGAIN",
]  # fmt: skip
OTHERS = [
    "Die Suppe war leider nicht sehr gut, und wir haben lange gewartet.", "La soupe est très bonne, je recommande.",
    "Muy bueno, lo recomiendo para todos los que quieren gastar poco.", "Questo album è molto bello, non mi stanco.",
    "O produto é muito bom e chegou com rapidez.", "Het is een heel goed boek, ik ben niet teleurgesteld.",
    "Bardzo dobre, nie jest drogie.", "Çok güzel bir kitap ama biraz uzun.", "Mycket bra, jag är nöjd med den.",
    "Очень вкусно!", "很好吃", "とても良いです", "อร่อยมาก", "انتظرنا طويلا", "बहुत अच्छा",
    " ".join(["kitabu", "hiki", "kizuri", "sana", "nimekipenda"] * 6),
]  # fmt: skip
SHORT = ["Nice!", "10/10", "🙂", "", "Perfetto", "Sehr gut.", "Dobry produkt"]


@pytest.mark.parametrize(("texts", "told"), [(ENGLISH, 1), (OTHERS, -1), (SHORT, 0)])
def test_texts_tell_their_language_or_do_not(texts: list[str], told: int):
    assert dict(zip(texts, detect(texts).tolist(), strict=True)) == dict.fromkeys(texts, told)


def test_a_short_text_is_in_its_authors_language_or_else_in_that_of_most():
    texts = ["Sehr gut.", OTHERS[0], "Nice!", ENGLISH[0], "Dobry produkt", ENGLISH[2]]
    authors = ["hans", "hans", "ann", "ann", "new", "bob"]
    assert are_english(texts, authors).tolist() == [False, False, True, True, True, True]
    assert are_english(texts).tolist() == [True, False, True, True, True, True]
    assert are_english(["Super", *OTHERS[:2]]).tolist() == [False, False, False]
    assert are_english(SHORT).all(), "nothing speaks against it"
    assert are_english([]).tolist() == []


def test_every_text_of_a_made_up_world_is_english():
    world = World(WorldConfig(n_users=30, n_items=20, seed=3))
    texts = [review.text for review in world.reviews()]
    assert len(texts) > 100
    assert not (detect(texts) < 0).any()
    assert are_english(texts).all()


def test_comparisons_are_measured_of_english_texts_against_english_texts():
    peers = ("The soup was fine, and we liked it.", OTHERS[0], "It was good, but the service is slow.", "Nice!")
    of_ann = Comparison(id="ann", target="I loved the soup so much! It was great!", peers=peers)
    of_hans = Comparison(id="hans", target=OTHERS[0], peers=peers)
    left, nothing = in_english([of_ann, of_hans])
    assert left is not None
    assert left.peers == (peers[0], *peers[2:])
    assert nothing is None
    measured = measure_comparisons([of_ann, of_hans])
    assert measured[0] == measure_comparisons([left])[0] != ()
    assert measured[1] == ()
