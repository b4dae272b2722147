"""Lexicons: short lists of English words and phrases, in lower case; ``*`` matches any ending.

Most are closed classes, which are independent of the topic. The lists of praise, blame and abstract nouns are open
classes, limited to words that suit reviews of anything. "'" is the straight apostrophe.
"""

from __future__ import annotations


def _listed(entries: str) -> tuple[str, ...]:
    return tuple(" ".join(entry.split()) for entry in entries.split(","))


FUNCTION_WORDS = _listed("""
    a, an, the, this, that, these, those, some, any, no, every, each, all, both, either, neither, such, another,
    other, i, me, my, mine, myself, we, us, our, ours, you, your, yours, yourself, he, him, his, she, her, hers, it,
    its, they, them, their, theirs, who, whom, whose, which, what, one, ones, someone, something, anyone, anything,
    everyone, everything, nobody, nothing, itself, himself, herself, themselves, of, in, on, at, by, for, with,
    from, to, into, onto, about, over, under, after, before, between, through, during, without, within, against,
    among, around, behind, beyond, across, along, upon, toward, towards, up, down, out, off, and, or, but, nor, so,
    yet, if, because, although, though, while, whereas, since, until, unless, than, as, when, where, why, how,
    whether, am, is, are, was, were, be, been, being, have, has, had, having, do, does, did, doing, will, would,
    shall, should, can, could, may, might, must, ought, not, there, here, then, now, too, also, just, only, very,
    quite, rather, even, still, again, ever, never, more, most, much, many, less, few, own, same
""")

_NEGATED = frozenset(
    f"{word}n't" for word in ("do", "does", "did", "is", "are", "was", "were", "has", "have", "had", "ca", "wo",
                              "would", "could", "should")
)  # fmt: skip


def is_function_word(word: str) -> bool:
    """Whether a word in lower case is a function word, or a contraction of one.

    Example:
        >>> is_function_word("i'm"), is_function_word("don't"), is_function_word("tea's")
        (True, True, False)
    """
    return word in FUNCTION_WORDS or word in _NEGATED or word.partition("'")[0] in FUNCTION_WORDS


SUBORDINATORS = _listed("""
    because, although, though, while, whereas, since, unless, until, whether, if, when, whenever, where, wherever,
    which, who, whom, whose, that, as, so that, even if, even though, in order to
""")

HEDGES = _listed("""
    perhaps, maybe, possibly, probably, presumably, apparently, arguably, supposedly, might, may, could be, seem,
    seems, seemed, seemingly, appear, appears, appeared, i think, i thought, i guess, i suppose, i believe, i feel,
    i'd say, i would say, i imagine, i suspect, i'm not sure, not sure, not certain, in my opinion, in my view, to
    my mind, to my taste, to my ear, for my taste, as far as i, if you ask me, sort of, kind of, kinda, sorta,
    somewhat, more or less, a bit, a little, slightly, fairly, rather, in a way, in some ways, to some extent, could
    be wrong, may be wrong, might be wrong, just me, tend to, tends to, i could be, imho, imo, as it were, so to
    speak
""")

INTENSIFIERS = _listed("""
    very, really, truly, extremely, absolutely, totally, completely, utterly, entirely, incredibly, amazingly,
    insanely, wildly, deeply, highly, hugely, enormously, immensely, tremendously, exceedingly, exceptionally,
    extraordinarily, remarkably, terribly, awfully, painfully, seriously, super, thoroughly, positively, downright,
    outright, altogether, wholly, perfectly, particularly, especially, intensely, profoundly, supremely,
    ridiculously, unbelievably, astonishingly, stunningly, overwhelmingly, hopelessly, endlessly, fantastically,
    wonderfully, beyond, simply, damn, freaking, bloody, such a, such an, by far, way too, far too, much too
""")

SUPERLATIVES = _listed("""
    best, worst, greatest, finest, most, least, biggest, strongest, weakest, favorite, favourite, ever, of all time,
    always, never, every single, nothing but, everything, everyone, nobody, masterpiece, perfect, flawless,
    unbeatable, second to none, no other, all-time
""")

COURTESIES = _listed("""
    please, kindly, thank, thanks, thankful, thankfully, grateful, gratefully, gratitude, appreciate, appreciated,
    with respect, with all due respect, respectfully, i'm afraid, i am afraid, forgive, pardon, excuse me, excuse
    my, apologies, apologise, apologize, sorry, if i may, allow me, may i, would like to, congratulations, congrats,
    well done, kudos, my compliments, compliments to, hats off, bless, welcome, best wishes, much obliged
""")

FIRST_PERSON = _listed("i, me, my, mine, myself, we, us, our, ours, ourselves")
SECOND_PERSON = _listed("you, your, yours, yourself, yourselves, y'all, reader, readers, dear reader, folks")

CASUAL = _listed("""
    yeah, yep, yup, nope, nah, ok, okay, hey, hi, wow, whoa, oh, ah, ugh, meh, huh, haha*, lol, lmao, omg, btw, tbh,
    gonna, wanna, gotta, kinda, sorta, dunno, ain't, y'all, cuz, guy, guys, dude, folks, kid, kids, stuff, thing is,
    thingy, cool, awesome, crap, crappy, sucks, suck, sucked, damn, heck, hell, pretty much, big time, totally,
    super, dig, digs, dug, bunch, loads of, tons of, a ton, a lot, lots of, no way, no biggie, you know, i mean,
    like a, well, anyway, anyways, whatever, hooked, blah, yum, yummy, yuck, messed up, screw*, bummer, lame, chill,
    vibe*
""")

PRAISE = _listed("""
    good, great, best, better, excellent, wonderful, fantastic, amazing, awesome, brilliant, superb, terrific,
    perfect, perfectly, beautiful, beautifully, lovely, love, loved, loves, loving, like, liked, enjoy, enjoyed,
    enjoyable, enjoyment, enjoying, delight, delighted, delightful, pleasure, pleasant, pleasing, pleased,
    pleasantly, nice, nicely, fine, finest, fun, funny, happy, happily, glad, joy, joyful, charming, charm, elegant,
    exquisite, gorgeous, stunning, splendid, marvelous, marvellous, magnificent, outstanding, exceptional,
    impressive, impressed, inspired, inspiring, memorable, moving, touching, engaging, gripping, captivating,
    compelling, fascinating, interesting, exciting, thrilling, refreshing, fresh, rich, smooth, warm, tender,
    clever, smart, witty, strong, solid, reliable, sturdy, worthy, worth, recommend, recommended, favorite,
    favourite, masterpiece, gem, treasure, success*, triumph*, satisfying, satisfied, delicious, tasty, flawless,
    superior, admirable, remarkable, rewarding, vivid, gifted, talented, crisp, generous, first-rate, well done,
    hooked, cool, sweet, genuine, helpful, thoughtful, classic, incredible, phenomenal, glorious, adore, adored,
    thank*, smile*, smiling, laugh*, top-notch, praise*, fabulous
""")

BLAME = _listed("""
    bad, worse, worst, terrible, awful, horrible, horrid, dreadful, poor, poorly, weak, weakest, dull, boring,
    bored, tedious, tiresome, tiring, bland, flat, stale, disappoint*, letdown, let down, hate, hated, dislike,
    disliked, annoying, annoyed, annoys, irritating, frustrat*, fail, fails, failed, failure, failing, flaw, flaws,
    flawed, mediocre, forgettable, lame, lousy, mess, messy, sloppy, clumsy, awkward, ugly, unpleasant, painful,
    pathetic, ridiculous, stupid, silly, pointless, useless, worthless, waste, wasted, wasting, cheap, cheesy, fake,
    shallow, hollow, empty, lifeless, thin, predictable, repetitive, uninspired, unconvincing, unfortunately, sadly,
    regret, regrettable, problem, problems, trouble, wrong, broken, broke, defective, overrated, overpriced, tired,
    trite, cliche*, confusing, confused, muddled, bitter, harsh, sour, rotten, disgusting, nasty, unbearable,
    insipid, inferior, abysmal, atrocious, appalling, tasteless, crap, crappy, garbage, trash, junk, sucks, suck,
    sucked, skip, avoid, lack, lacks, lacking, lacked, missing, clunky, dreary, grating, cold, lazy, shoddy, miss,
    misses, careless
""")

FEELINGS = _listed("""
    i love, i loved, i really, i truly, i adore, i adored, i hate, i hated, i like, i liked, i enjoy, i enjoyed, i
    felt, i feel, i was moved, i cried, i laughed, i smiled, i was bored, i was so, i'm so, i am so, i wish, i hope,
    i hoped, i wanted, i couldn't, i could not, i can't, i cannot, made me, makes me, left me, leaves me, gave me,
    gives me, my heart, touched me, bored me, we loved, we enjoyed, i regret, to tears
""")

CAUSES = _listed("""
    because, since, as a result, therefore, thus, hence, consequently, due to, owing to, thanks to, so that, which
    is why, that is why, that's why, this is why, the reason, reasons, for this reason, leads to, led to, caused,
    causes, cause, makes it, made it, and so, given that, on account of, explains why, accordingly, the result,
    results in, resulted
""")

COMPARISONS = _listed("""
    than, compare, compared, compares, comparing, comparison, comparable, similar, similarly, unlike, like other,
    like others, like most, as good as, as well as any, equal to, equals, rival*, reminds me, remind me, reminded
    me, reminiscent, resembles, resemble, in the vein, in the style, in the same, along the lines, next to, beats,
    relative to, on a par, on par, superior to, inferior to, other*, the rest, half as, twice as, alongside
""")

CONTRASTS = _listed("""
    but, however, although, though, yet, still, while, whereas, despite, in spite of, nevertheless, nonetheless,
    instead, on the other hand, on the contrary, even so, having said that, that said, then again, otherwise, rather
    than, except, conversely, by contrast, in contrast
""")

STORY = _listed("""
    yesterday, last night, last week, last weekend, last month, last year, last summer, last winter, last spring,
    the other day, the first time, one day, one night, one evening, one morning, once, ago, back in, back when,
    years, months, weeks, days, when i, when we, while i, while we, as i, as we, i was, we were, i went, we went, i
    had, we had, i bought, i found, i came, i saw, i took, i sat, i read, i heard, i started, i finished, i picked,
    i tried, at first, after that, by the time, until, suddenly, eventually, morning, afternoon, evening, night,
    weekend, on the way, monday, tuesday, wednesday, thursday, friday, saturday, sunday, january, february, march,
    april, june, july, august, september, october, november, december, summer, winter, autumn, at home, birthday,
    christmas, trip
""")

PAST_VERBS = _listed("""
    was, were, had, did, went, came, saw, took, got, gave, made, found, felt, thought, knew, heard, read, said,
    told, began, bought, brought, kept, left, lost, met, put, ran, sat, sent, spent, stood, wrote, ate, drank, fell,
    grew, held, paid, sold, tried, used, won, let, wasn't, weren't, hadn't, didn't, couldn't, wouldn't
""")

DEPTH = _listed("""
    meaning, meanings, theme, themes, idea, ideas, metaphor*, symbol*, allegory, essence, nature of, human nature,
    humanity, humankind, mortality, existence, identity, memory, grief, loss, longing, loneliness, faith, hope,
    truth, beauty, justice, freedom, power of, guilt, forgiveness, trust, belonging, nostalgia, tradition, society,
    culture, soul, spirit, philosoph*, moral, morality, meditation, question of, what it means, underneath, beneath,
    deeper, at heart, at its heart, at its core, really about, about more than, speaks to, reflects, reflection,
    explores, explore, says something about, the price of, the cost of, the passage of time, the human condition
""")

ANALYSIS = _listed("""
    means, mean that, meant, suggest*, impl*, indicate*, demonstrate*, reveal*, show that, shows that, show how,
    shows how, prove*, evident*, clearly, obviously, in fact, essentially, basically, specifically, technically,
    depends, depending, aspect*, element*, factor*, structure*, approach*, technique*, detail*, consider*,
    whether, in terms of, with regard to, regarding, analys*, analyz*, logic*, point is,
    assume*, argument*, conclu*
""")

SUMMARIES = _listed("""
    overall, in all, all in all, in sum, to sum up, summing up, in summary, in short, in brief, in conclusion, to
    conclude, on the whole, all told, all things considered, taken together, in the end, at the end of the day,
    bottom line, in a nutshell, long story short, final verdict, verdict, altogether, put together, as a whole,
    combined, ties together, comes together, the upshot, in general, by and large
""")

SIGNPOSTS = _listed("""
    first, firstly, first of all, second, secondly, third, thirdly, next, then, finally, lastly, last of all, to
    begin, to begin with, to start, to start with, for starters, for one thing, for another, in addition,
    additionally, furthermore, moreover, besides, also, on top of that, what is more, what's more, meanwhile,
    afterwards, after that, turning to, moving on, as for, in conclusion, to finish, last but not least, another
    thing, in the first place, on to, above all
""")

EXAMPLES = _listed("""
    for example, for instance, such as, e.g, namely, in particular, in other words, that is to say, case in point,
    the point, my point, the fact that, granted, admittedly, of course, on the one hand, on one hand, it follows, to
    be fair, to be honest, for one, evidence, proof, as evidenced, the reason, not only, but also, after all, given
""")

PARTING = _listed("""
    cheers, thanks for reading, thank you for reading, happy reading, happy listening, enjoy, bye, goodbye,
    farewell, so long, take care, see you, until next time, till next time, hope this helps, hope that helps, good
    luck, the end, that's all, that is all, that's it, nuff said, enough said, case closed, peace, amen, best
    wishes, yours truly, end of story, nothing more to say, there you have it, you decide
""")

RECOMMENDATIONS = _listed("""
    recommend*, must have, must-have, must read, must-read, must see, must-see, must buy, worth buying, worth your,
    worth the, worth a, worth it, worth every, not worth, buy it, buy this, get it, get this, try it, try this,
    avoid, skip it, skip this, stay away, steer clear, don't bother, do not bother, don't buy, give it a try, give
    it a go, pass on, check it out, check this out, don't miss, do not miss, pick it up, pick this up, look
    elsewhere
""")

IMPERATIVES = _listed("""
    add, ask, avoid, be, be sure, believe me, bring, buy, call, check, choose, come, consider, do, don't, do not, do
    yourself, drink, eat, enjoy, expect, find, follow, forget, get, give, go, grab, hear, imagine, keep, leave, let,
    listen, look, make, make sure, never, note, notice, open, order, pass, pay, pick, play, please, put, read,
    remember, rent, run, save, see, skip, spend, start, stay, steer clear, stop, take, taste, tell, think, treat,
    trust, trust me, try, turn, use, visit, wait, watch, work, mark my words, hurry, picture, stick, set, borrow
""")

IMPERATIVE_LEADS = _listed("""
    and, but, so, then, please, just, also, now, or, well, definitely, seriously, first, next, finally, always,
    kindly
""")
"""Words that may precede an imperative."""

DISCLOSURES = _listed("""
    disclosure, full disclosure, disclaimer, in exchange for, free copy, review copy, advance copy, complimentary,
    sent me, sent to me, given to me, i received, i was given, i got it free, for free, free of charge, i paid, we
    paid, paid for, out of my own pocket, own money, full price, discount*, on sale, as a gift, a gift, i work, i
    worked, i used to work, i know the, a friend of, friend of mine, my friend, my wife, my husband, my son, my
    daughter, my mother, my father, my mom, my dad, my sister, my brother, my cousin, my family, my kids, my job,
    for a living, i confess, i admit, i must admit, i have to admit, i should say, i should mention, to be honest,
    biased, honest review
""")

NEGATIONS = _listed("""
    not, no, never, none, nothing, nobody, nowhere, neither, nor, cannot, without, hardly, barely
""")

NUMBER_WORDS = _listed("""
    two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, fifteen, twenty, thirty, forty, fifty,
    sixty, hundred, hundreds, thousand, thousands, million, dozen, dozens, half, twice, percent, per cent, stars
""")
"""Without "one", which is usually a pronoun."""

BRITISH = _listed("""
    colour*, flavour*, favour*, honour*, humour*, labour*, neighbour*, rumour*, behaviour*, vapour*, harbour*,
    savour*, centre*, theatre*, metre*, litre*, fibre*, grey*, travelled, traveller*, travelling, marvellous*,
    jewellery, catalogue*, dialogue*, programme*, defence, offence, licence, storey*, pyjamas, whilst,
    amongst, learnt, realis*, organis*, recognis*, apologis*, emphasis*e, specialis*, memoris*, summaris*,
    characteris*, finalis*, minimis*, maximis*, criticis*e, symbolis*, synthesis*e, harmonis*, modernis*, idealis*,
    generalis*, popularis*
""")

AMERICAN = _listed("""
    color*, flavor*, favor*, honor*, humor, humored, humorless, labor*, neighbor*, rumor*, behavior*, vapor*,
    harbor*, savor*, center*, theater*, meter, meters, liter*, fiber*, gray*, traveled, traveler*, traveling,
    marvelous*, jewelry, catalog, catalogs, dialog, program, programs, defense, offense, license*,
    pajamas, realiz*, organiz*, recogniz*, apologiz*, emphasiz*, specializ*, memoriz*, summariz*, characteriz*,
    finaliz*, minimiz*, maximiz*, criticiz*, symboliz*, synthesiz*, harmoniz*, moderniz*, idealiz*, generaliz*,
    populariz*
""")
