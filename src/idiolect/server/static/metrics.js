// What the scores of an evaluation mean, in plain words.

/** @type {Record<string, {title: string, what: string}>} by name; a name with a variant, such as `bleu-13a`, is its metric's */
const WORDS = {
  nll: { title: "Surprise", what: "How surprising the user's own text is to the model, in nats per review (its negative log-likelihood). One nat less: the text is 2.7 times as likely. It measures the model, not the text that it wrote." },
  rouge1: { title: "Words shared", what: "ROUGE-1: how many words the written text and the user's own have in common, from 0 to 1." },
  rougeL: { title: "Words in order", what: "ROUGE-L: the longest run of words that both have in the same order, from 0 to 1." },
  meteor: { title: "Words or stems", what: "METEOR: words in common, also if only the stem or the meaning is the same, from 0 to 1." },
  bleu: { title: "Phrases shared", what: "BLEU: runs of one to four words in common, from 0 to 100." },
  chrf: { title: "Letters shared", what: "chrF: runs of letters in common, from 0 to 100." },
  bertscore: { title: "Meaning", what: "BERTScore: how near the words are in meaning, as another language model sees it." },
  "trait-fidelity": { title: "Style kept", what: "Trait fidelity: whether the written text differs from others' texts about the item in the way in which the user does. 1 is the same way, 0 no relation, below 0 the opposite way. Content does not count." },
  lambdag: { title: "Same author", what: "LambdaG: how much more likely the user than others is the author, by the grammar of the texts." },
};

/**
 * A short title of a metric, and what it is.
 * @param {string} name
 */
export function metricWords(name) {
  const of = WORDS[name] ?? WORDS[name.split("-")[0] ?? ""];
  return of ?? { title: name, what: "" };
}

/** What a control gives a method in place of the user. @type {Record<string, string>} */
const CONTROLS = {
  "wrong user": "the history of another user, drawn at random",
  "nearest twin": "the history of the most similar other user",
  "item crowd": "what others wrote about the item",
  oracle: "the vectors of the very text that is to be written: the most that vectors could tell",
  "another user's vectors": "the user's texts, but the vectors of another user",
  "no adapter": "no vectors at all",
  "trained constant": "the same trained vectors for everybody",
};

/** @param {string} name */
export function controlWords(name) {
  return CONTROLS[name] ?? "";
}
