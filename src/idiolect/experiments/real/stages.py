"""Pretraining, fits and evaluations of a study of real reviews: what each is given, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import FiniteFloat, TypeAdapter

from idiolect.errors import ArtifactError
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.runner import run_evaluate
from idiolect.experiments.real.config import VOCAB_SIZE, RealConfig, Sizes
from idiolect.experiments.real.costs import Costs
from idiolect.experiments.real.summary import PASSES, Choice, Output
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED, requirements
from idiolect.pipeline import results
from idiolect.pipeline.commands import pretrain_backbone, run_fit
from idiolect.planning import announce
from idiolect.training.config import PretrainReport
from idiolect.training.documents import HISTORY

Say = Callable[[str], None]
_TOKENS_PER_STEP = 4096
_MOST_TRAINED = 5000
"""Training targets: the default budget reads 4,000 examples in a fit."""
_PATIENCE = 3
"""Epochs without a better likelihood of the validation targets after which a fit ends: small corpora overfit early."""

_SHARES: Mapping[bool, Mapping[str, float]] = {
    False: {UNPERSONALIZED: 0.12, BASELINE: 0.28, ADAPTER_METHOD: 0.4, HISTORY: 0.2},
    True: {UNPERSONALIZED: 0.1, BASELINE: 0.24, ADAPTER_METHOD: 0.36, "drp": 0.04, "primer_words": 0.06, HISTORY: 0.2},
}
"""Formats of the backbone's documents, without and with descriptions of style."""


_REPEATED: Mapping[str, Any] = {"methods": [], "extra_controls": [], "token_classes": False}
"""Settings of the evaluations of further seeds and further users: methods without an adapter do not depend on its
seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Pretraining, fits and evaluations of a study: where they are, and what they share."""

    folder: Path
    store: str
    split: Path
    config: RealConfig
    sizes: Sizes
    n_targets: int
    """Test targets of the split, one per user."""
    costs: Costs
    progress: bool

    @property
    def n_others(self) -> int:
        """Test users for whom no text is written, only likelihoods are computed."""
        most = min(self.config.likelihood_users or self.n_targets, self.n_targets)
        others = most - self.config.max_test
        return others if others > 1 else 0  # one alone has no interval

    def settings(self, *, shown: int, with_text: bool, steps: int = 1, seed: int = 0) -> dict[str, Any]:
        """Settings of a fit, and of what is evaluated without an adapter.

        Args:
            shown: Past reviews whose text prompts show.
            with_text: Whether prompts of the method with an adapter show them, too.
            steps: Of the optimiser.
            seed: Of fit, controls and bootstrap.
        """
        config, sizes = self.config, self.sizes
        return {
            "peers": "split",
            "encoder": config.encoder,
            "backbone": {"model": str(self.folder / "backbone"), "max_prompt_tokens": sizes.prompt},
            "context": {"k": config.k},
            "prompt": {
                "layout": "grouped",
                "with_text": with_text,
                "max_shown": shown,
                "description_chars": sizes.description_chars,
                "past_description_chars": sizes.past_description_chars,
                "history_chars": sizes.history_chars,
                "task": config.task,
            },
            "adapter": {"d_sae": 64},
            "extra_controls": ["nearest_twin", "item_crowd", "oracle"],
            "token_classes": True,
            "targets": {"max_validation": 60, "max_test": config.max_test, "train_per_user": "all"}
            | {"max_train": _MOST_TRAINED, "max_chars": sizes.target_chars},
            "fit": {
                "max_steps": steps,
                "learning_rate": 0.003 if with_text else 0.005,
                "metric": "nll",
                "patience": _PATIENCE,
                "seed": seed,
            },
            "sampling": {"max_new_tokens": sizes.review, "seed": seed},
            "seed": seed,
        }

    def pretrain(self, *, annotate: bool) -> PretrainReport:
        """The backbone, which reads all prompts that it is asked with, those without the text of past reviews included.

        Args:
            annotate: Whether its documents describe style in words.
        """
        changes = {
            "size": self.config.size,
            "vocab_size": VOCAB_SIZE,
            "documents": {
                "shares": dict(_SHARES[annotate]),
                "max_history": self.config.k,
                "max_shown": max(self.config.shown),
                "textless_share": 0.4,
                "grouped_share": 1.0,
                "description_chars": self.sizes.description_chars,
                "past_description_chars": self.sizes.past_description_chars,
                "history_chars": self.sizes.history_chars,
                "answer_chars": self.sizes.target_chars,
                "task": self.config.task,
            },
            "max_tokens": self.sizes.prompt + self.sizes.review,
            "reference_tokens": self.sizes.review,
            "tokens_per_step": _TOKENS_PER_STEP,
            "max_steps": max(1, round(self.config.pretrain_tokens / _TOKENS_PER_STEP)),
            "max_reviews": self.sizes.read(self.config.max_reviews),
            "held_out": self.sizes.held_out,
            "seed": self.config.seed,
        }
        out = self.folder / "backbone"
        with self.costs.stage("pretraining", output=out / "config.json"):
            how: dict[str, Any] = {"annotate": annotate, "changes": changes, "progress": self.progress}
            return pretrain_backbone(self.store, out, split=self.split, **how)

    def fit(
        self, label: str, *, shown: int, seed: int, with_text: bool, initial: Path | None = None, controls: bool = True
    ) -> tuple[Path, float]:
        """An adapter of one pass; a finished one is read back.

        Returns:
            Its folder, and its nats per validation target.
        """
        out, steps = self.folder / f"adapter-{label}", self.config.steps[int(with_text)]
        changes = self.settings(shown=shown, with_text=with_text, steps=steps, seed=seed)
        if not controls:
            changes["controls"] = []
        stage, last = f"fit, {_words(label)}", out / "constant" if controls else out
        stage += "" if controls else ", without constant"
        before = announce("fit", shown=self.progress)
        how: dict[str, Any] = {"initial": initial, "progress": self.progress, "before": before}
        with self.costs.stage(stage, output=last / "report.json"):
            nats = run_fit(self.store, self.split, out, changes=changes, **how)[ADAPTER_METHOD].best_metric
        assert nats is not None  # every split has validation targets
        return out, nats

    def evaluate(self, label: str, adapter: Path, *, is_first: bool) -> tuple[Output, Evaluation]:
        """Of methods and controls; of a further seed, only what depends on the adapter."""
        out, changes = self.folder / f"results-{label}", self._rating() if is_first else _REPEATED
        stage, rated = f"evaluation, {_words(label)}", [*self.config.authorship, self.config.judge_name]
        named = ", ".join(filter(None, rated)) if is_first else ""
        before = announce("evaluate", shown=self.progress)
        how: dict[str, Any] = {"adapter": adapter, "progress": self.progress, "before": before}
        with self.costs.stage(stage + (f", {named}" if named else ""), output=None if named else _finished(out)):
            found = run_evaluate(self.store, self.split, out, changes=changes, **how)
        return Output(out, self._others(label, _REPEATED, adapter=adapter)), found

    def _rating(self) -> dict[str, Any]:
        """Measures of authorship and judge."""
        judge = self.config.text_judge
        return {
            "authorship": list(self.config.authorship),
            "text_judge": None if judge is None else judge.model_dump(mode="json"),
        }

    def _others(self, label: str, changes: Mapping[str, Any], *, adapter: Path | None = None) -> Path | None:
        """Likelihoods of the test users for whom no texts are written, if there are any.

        These alone are computed: those of the first users are in the evaluation with texts.
        """
        if not self.n_others:
            return None
        out, first = self.folder / f"likelihoods-{label}-{self.n_others}-others", self.config.max_test
        targets = {**changes.get("targets", {}), "max_test": first + self.n_others}
        how: dict[str, Any] = {"adapter": adapter, "changes": {**changes, "metrics": [], "targets": targets}}
        with self.costs.stage(f"likelihoods of {self.n_others} others, {_words(label)}", output=_finished(out)):
            run_evaluate(self.store, self.split, out, texts=False, beyond=first, progress=self.progress, **how)
        return out

    def choose_shown(self, initial: Path) -> Choice:
        """The number of reviews to show, by validation targets, and the baseline's likelihoods with each.

        Args:
            initial: The adapter that was fitted without text.
        """
        numbers, seed = self.config.shown, self.config.seed
        if len(numbers) == 1:
            return Choice(numbers[0], {}, {})
        # Recorded, because fitting a candidate again, without controls, would remove those of the chosen one.
        path = self.folder / "shown.json"
        if path.is_file():
            nats = _read_shown(path, numbers)
        else:
            how: dict[str, Any] = {"seed": seed, "with_text": True, "initial": initial, "controls": False}
            nats = {number: self.fit(_with_text(number), shown=number, **how)[1] for number in numbers}
            results.write_json(path, {str(number): found for number, found in nats.items()})
        best = min(numbers, key=lambda number: nats[number])
        others = {number: self._baseline(number) for number in numbers if number not in (best, max(numbers))}
        return Choice(best, nats, others)

    def _baseline(self, shown: int) -> Output:
        """Likelihoods of the baseline with another number of reviews."""
        label = f"{BASELINE}-shown-{shown}"
        changes = {**self.settings(shown=shown, with_text=True), **_REPEATED}
        changes |= {"metrics": [], "negative_controls": False}
        out = self.folder / f"results-{label}"
        if not _finished(out).is_file():  # one of an earlier version, in which methods wrote a token each
            out = self.folder / f"likelihoods-{label}"
            with self.costs.stage(f"likelihoods, {_words(label)}", output=_finished(out)):
                run_evaluate(self.store, self.split, out, changes=changes, texts=False, progress=self.progress)
        return Output(out, self._others(label, changes))


def _finished(out: Path) -> Path:
    """Of an evaluation that is finished."""
    return out / "results.json"


def _words(label: str) -> str:
    return label.replace("-", " ")


def _read_shown(path: Path, numbers: tuple[int, ...]) -> dict[int, float]:
    known = results.read_json(path)
    try:
        return {number: TypeAdapter(FiniteFloat).validate_python(known[str(number)]) for number in numbers}
    except (KeyError, ValueError) as error:
        raise ArtifactError(f"{str(path)!r} holds no nats of every number of reviews", hint="remove it") from error


def _with_text(shown: int) -> str:
    return f"with-text-shown-{shown}"


def evaluated(runs: Runs, say: Say) -> tuple[dict[str, Evaluation], dict[str, list[Output]], Choice]:
    """Fit and evaluate both passes with every seed.

    Args:
        runs: Of the study.
        say: Called with a line per step.

    Returns:
        The evaluations of the first seed, and the folders of all, by pass; and the number of reviews to show.
    """
    evaluations: dict[str, Evaluation] = {}
    outputs: dict[str, list[Output]] = {name: [] for name in PASSES}
    title, numbers = requirements(ADAPTER_METHOD).title, runs.config.shown
    choice = Choice(max(numbers), {}, {})
    more = f", and likelihoods of {runs.n_others} further users" if runs.n_others else ""
    for seed in range(runs.config.seed, runs.config.seed + runs.config.seeds):
        is_first = seed == runs.config.seed
        labels = [name.replace(" ", "-") + ("" if is_first else f"-seed-{seed}") for name in PASSES]
        of = "" if is_first else f", seed {seed}"
        tried = f" ({' or '.join(map(str, numbers))})" if is_first and len(numbers) > 1 else ""
        say(f"4/6  fitting {title} {' and '.join(PASSES)} of past reviews{tried}{of}")
        # DEP shows no text in this pass; the baselines that are evaluated with it show the largest number.
        without, _ = runs.fit(labels[0], shown=max(numbers), seed=seed, with_text=False)
        if is_first:
            choice = runs.choose_shown(without)
            labels[1] = _with_text(choice.shown) if choice.validation else labels[1]
        with_text, _ = runs.fit(labels[1], shown=choice.shown, seed=seed, with_text=True, initial=without)
        shown = f"{choice.shown} {'review' if choice.shown == 1 else 'reviews'} as text"
        say(f"5/6  evaluating both, with {shown}{more}{of}")
        for name, label, adapter in zip(PASSES, labels, (without, with_text), strict=True):
            out, found = runs.evaluate(label, adapter, is_first=is_first)
            evaluations.setdefault(name, found)
            outputs[name].append(out)
    if choice.validation and choice.shown != max(numbers):
        choice = choice._replace(baseline={**choice.baseline, max(numbers): outputs[PASSES[0]][0]})
    return evaluations, outputs, choice
