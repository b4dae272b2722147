"""The registry of metrics, and the package that each needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from idiolect.errors import ConfigError, IdiolectError, require
from idiolect.metrics.base import Metric
from idiolect.registry import Registry

METRICS: Registry[Callable[..., Metric]] = Registry(
    "metric",
    {
        "rouge1": "idiolect.metrics.rouge:rouge_1",
        "rougeL": "idiolect.metrics.rouge:rouge_l",
        "meteor": "idiolect.metrics.meteor:Meteor",
        "bleu": "idiolect.metrics.bleu:Bleu",
        "chrf": "idiolect.metrics.bleu:ChrF",
        "bertscore": "idiolect.metrics.bertscore:BertScore",
        "bertscore-led": "idiolect.metrics.bertscore:led_base",
    },
)

VARIANTS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        **{f"bleu-{how}": ("bleu", "tokenize", how) for how in ("13a", "intl", "zh", "char", "ja-mecab", "ko-mecab")},
        **{f"{of}-{how}": (of, "tokens", how) for of in ("rouge1", "rougeL") for how in ("rouge_score", "unicode")},
    }
)
"""Metrics with one tokenizer for all samples instead of one per reference's script: the metric and its setting."""

DEFAULT_METRICS = ("rouge1", "rougeL", "meteor", "bleu")
"""The papers' metrics that need no model."""

_PACKAGES = {
    "rouge1": ("rouge_score", "metrics"),
    "rougeL": ("rouge_score", "metrics"),
    "meteor": ("nltk", "metrics"),
    "bleu": ("sacrebleu", "metrics"),
    "chrf": ("sacrebleu", "metrics"),
    "bertscore": ("bert_score", "bertscore"),
    "bertscore-led": ("bert_score", "bertscore"),
}


def load_metrics(names: Iterable[str] = DEFAULT_METRICS) -> list[Metric]:
    """The metrics of these names, in order.

    Call it before generating, so that a wrong name or a missing package shows at once.

    Raises:
        ConfigError: A metric does not exist, or what one of your own returns is none.
        MissingDependencyError: A metric's package is not installed.
    """
    return [_load(name) for name in names]


def _load(name: str) -> Metric:
    metric, setting, value = VARIANTS.get(name, (name, "", ""))
    if metric in _PACKAGES:
        package, extra = _PACKAGES[metric]
        require(package, extra=extra)
    make = METRICS.get(metric)
    if metric not in METRICS:
        return _own_metric(name, make)
    return make(**{setting: value}) if setting else make()


def _own_metric(name: str, make: Callable[..., Metric]) -> Metric:
    """What a user's ``module:attribute`` returns, if that is a metric."""
    try:
        found = make()
    except IdiolectError:
        raise
    except Exception as error:  # another's code raises anything
        raise ConfigError(f"calling the metric {name!r} failed: {type(error).__name__}: {error}", hint=_OWN) from error
    if not all(hasattr(found, part) for part in ("name", "greater_is_better", "segments", "aggregate", "signature")):
        raise ConfigError(f"{name!r} returned no metric, but {type(found).__name__}", hint=_OWN)
    return found


_OWN = "name a class or function without arguments that gives a Metric (docs/extending.md)"
