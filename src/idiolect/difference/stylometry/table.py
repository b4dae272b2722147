"""The measures of style."""

from __future__ import annotations

from idiolect.difference.stylometry.base import Measure

MEASURES: tuple[Measure, ...] = (
    Measure(
        "sentence_length", "Writing", "words per sentence",
        "strings clauses into long sentences", "writes short, clipped sentences", "writing/sentence-complexity",
    ),
    Measure(
        "joints", "Writing", "per sentence",
        "joins many clauses in a sentence", "puts one thought in a sentence", "writing/sentence-complexity",
    ),
    Measure(
        "sentence_variety", "Writing", "words",
        "mixes long sentences with short ones", "keeps sentences to one length", "writing/sentence-complexity",
    ),
    Measure(
        "word_length", "Writing", "letters per word",
        "chooses long words", "chooses short words", "writing/vocabulary",
    ),
    Measure(
        "latinate_words", "Writing", "per 100 words",
        "uses rare and elevated words", "uses plain everyday words", "writing/vocabulary",
    ),
    Measure(
        "word_variety", "Writing", "Guiraud's R",
        "draws on a wide vocabulary", "makes do with few different words", "writing/vocabulary",
    ),
    Measure(
        "repetition", "Writing", "% of long words",
        "keeps returning to a few words", "hardly uses a word twice", "writing/vocabulary",
    ),
    Measure(
        "exclamations", "Writing", "% of sentences",
        "ends sentences with exclamation marks", "never exclaims", "writing/exclamations",
    ),
    Measure(
        "contractions", "Writing", "per 100 words",
        "writes casually, with contractions", "writes formally, without contractions", "writing/conversational-tone",
    ),
    Measure(
        "casual_words", "Writing", "per 100 words",
        "uses the words of everyday speech", "keeps clear of everyday speech", "writing/conversational-tone",
    ),
    Measure("capitals", "Writing", "per 100 words", "puts words in capitals", "never puts words in capitals"),
    Measure("ellipses", "Writing", "per 100 words", "trails off in dots", "finishes every sentence"),
    Measure("stacked_marks", "Writing", "per 100 words", "stacks !! and ??", "never stacks marks"),
    Measure(
        "lowercase_starts", "Writing", "% of sentences",
        "starts sentences in lower case", "starts sentences with a capital",
    ),
    Measure("british_spelling", "Writing", "per 100 words", "spells the British way", "spells the American way"),
    Measure("asides", "Writing", "per 100 words", "adds asides in brackets and dashes", "makes no asides"),
    Measure("tone", "Emotion", "per 100 words", "speaks more warmly", "finds more fault", "emotion/tone"),
    Measure(
        "judging_words", "Emotion", "per 100 words",
        "uses many words of praise and blame", "keeps to neutral words", "emotion/intensity",
    ),
    Measure(
        "intensifiers", "Emotion", "per 100 words",
        "piles on strong adverbs", "leaves adjectives bare", "emotion/intensity",
    ),
    Measure(
        "superlatives", "Emotion", "per 100 words",
        "speaks in superlatives", "avoids superlatives", "emotion/intensity",
    ),
    Measure(
        "own_feelings", "Emotion", "per 100 words",
        "tells what they felt", "keeps their own feelings out",
    ),
    Measure(
        "hedges", "Emotion", "per 100 words",
        "hedges every claim", "states opinions flatly", "emotion/politeness",
    ),
    Measure(
        "courtesies", "Emotion", "per 100 words",
        "is courteous and thankful", "does without courtesies", "emotion/politeness",
    ),
    Measure("negations", "Emotion", "per 100 words", "says what things are not", "puts things positively"),
    Measure("length", "Semantics", "words", "writes at length", "writes briefly"),
    Measure(
        "information", "Semantics", "% of words",
        "packs much into few words", "takes many small words to say it", "semantics/info-density",
    ),
    Measure(
        "numbers", "Semantics", "per 100 words",
        "gives numbers and exact details", "stays general", "semantics/specificity",
    ),
    Measure(
        "names", "Semantics", "per 100 words",
        "names people, places and works", "names hardly anything", "semantics/specificity",
    ),
    Measure(
        "causes", "Semantics", "per 100 words",
        "gives reasons, because and so", "asserts without reasons", "semantics/causal-reasoning",
    ),
    Measure(
        "comparisons", "Semantics", "per 100 words",
        "compares with other things of the kind", "makes no comparisons", "semantics/comparative-contrast",
    ),
    Measure(
        "contrasts", "Semantics", "per 100 words",
        "sets one side against the other", "sees one side", "semantics/comparative-contrast",
    ),
    Measure(
        "story_words", "Semantics", "per 100 words",
        "tells when and where it happened", "tells no story", "semantics/narrative-episodic",
    ),
    Measure(
        "past_tense", "Semantics", "per 100 words",
        "writes of what happened", "writes of what is so", "semantics/narrative-episodic",
    ),
    Measure(
        "depth_words", "Semantics", "per 100 words",
        "asks what it is really about", "stays on the surface", "semantics/thematic-depth",
    ),
    Measure(
        "analysis_words", "Semantics", "per 100 words",
        "takes the matter apart", "does not analyse", "semantics/analytical-reasoning",
    ),
    Measure(
        "summing_up", "Semantics", "per 100 words",
        "draws things together", "does not sum up", "semantics/synthesis-integration",
    ),
    Measure(
        "paragraphs", "Structure", "per text",
        "breaks the text into paragraphs", "writes one block", "structure/paragraphs",
    ),
    Measure(
        "list_lines", "Structure", "per text",
        "lists points for and against", "makes no lists", "structure/headings-lists",
    ),
    Measure(
        "headings", "Structure", "per text",
        "puts headings over parts", "uses no headings", "structure/sectioning",
    ),
    Measure(
        "labels", "Structure", "% of sentences",
        "labels what comes next", "does not announce what comes", "structure/sectioning",
    ),
    Measure(
        "signposts", "Structure", "per 100 words",
        "signposts with first, then, finally", "moves on without signposts", "structure/transitions",
    ),
    Measure(
        "examples", "Structure", "per 100 words",
        "backs points with examples and facts", "leaves points unsupported", "structure/argumentation",
    ),
    Measure(
        "verdict_first", "Structure", "-1 to 1",
        "opens with the verdict", "saves the verdict for the end",
    ),
    Measure("sign_offs", "Structure", "% of texts", "closes with a parting line", "just stops"),
    Measure(
        "quotations", "Pragmatics", "per 100 words",
        "quotes what others said", "quotes nobody", "pragmatics/quotes",
    ),
    Measure(
        "questions", "Pragmatics", "% of sentences",
        "asks rhetorical questions", "asks no questions", "pragmatics/rhetorical-questions",
    ),
    Measure(
        "reader_address", "Pragmatics", "per 100 words",
        "speaks to the reader as you", "does not address the reader", "pragmatics/reader-address",
    ),
    Measure(
        "imperatives", "Pragmatics", "% of sentences",
        "tells the reader what to do", "gives no orders", "pragmatics/imperatives",
    ),
    Measure(
        "disclosures", "Pragmatics", "per 100 words",
        "discloses personal ties and how it was paid", "discloses nothing", "pragmatics/disclosure",
    ),
    Measure("first_person", "Pragmatics", "per 100 words", "speaks of themselves", "stays out of the text"),
    Measure(
        "recommendations", "Pragmatics", "per 100 words",
        "says outright whether to get it", "leaves the choice to the reader",
    ),
)  # fmt: skip
"""In the order of the columns of ``measure``."""

NAMES: tuple[str, ...] = tuple(measure.name for measure in MEASURES)
N_MEASURES = len(MEASURES)
