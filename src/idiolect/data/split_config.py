"""Settings of the filters that are applied before a split."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from idiolect.config import Config, build
from idiolect.errors import ConfigError
from idiolect.registry import suggest


class SplitConfig(Config):
    """Filters, k-core, and what is held out. The defaults are the preset ``dpl``: the DPL authors' thresholds."""

    min_text_chars: int = Field(default=200, ge=1)
    """Characters a review's text has at least."""
    require_title: bool = True
    """Whether reviews without a title are left out."""
    require_rating: bool = True
    """Whether reviews without a rating (or with rating 0) are left out."""
    require_timestamp: bool = True
    """Whether reviews without a timestamp (or with timestamp 0) are left out."""
    require_item_title: bool = True
    """Whether reviews of items that are unknown or have no title are left out."""
    min_description_chars: int | None = Field(default=100, ge=0)
    """Characters an item's description has at least; None: any, also that of an unknown item."""
    max_description_chars: int | None = Field(default=2000, ge=0)
    """Characters an item's description has at most; None: any number."""
    min_item_users: int = Field(default=8, ge=1)
    """Users who reviewed an item, at least (all their reviews count)."""
    min_user_reviews: int = Field(default=18, ge=1)
    """Reviews of a user, at least (repeated items and texts do not count)."""
    max_user_reviews: int | None = Field(default=500, ge=1)
    """Reviews of a user, at most; None: any number."""
    train: int = Field(default=8, ge=0)
    """Training targets of each user (at most, with ``min_train``): those before the validation targets."""
    min_train: int | None = Field(default=None, ge=0)
    """Fewest training targets of a user. The newest reviews of longer profiles are further ones, up to ``train``, if
    ``min_profile`` reviews are left and every profile item keeps ``min_peers`` users. None: all have ``train``."""
    validation: int = Field(default=1, ge=0)
    """Validation targets of each user: those before the test targets."""
    test: int = Field(default=1, ge=0)
    """Test targets of each user: the newest reviews."""
    min_peers: int = Field(default=5, ge=1)
    """Users whose profiles hold a profile item, at least (the user counts)."""
    min_profile: int = Field(default=8, ge=1)
    """Reviews in a profile, at least."""
    source: str | None = None
    """Published data set (path or ``hf://owner/name``) whose own train, validation and test roles are taken as they
    are: no other setting then has a part. None: roles follow from the settings above."""

    @property
    def held_out(self) -> int:
        """Reviews of each user that are targets, at most."""
        return self.train + self.validation + self.test

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        _check_bounds("user_reviews", self.min_user_reviews, self.max_user_reviews)
        _check_bounds("description_chars", self.min_description_chars or 0, self.max_description_chars)
        if self.min_train is not None and self.min_train > self.train:
            raise ValueError(f"min_train = {self.min_train} is more than train = {self.train}")
        if not self.held_out:
            raise ValueError("train, validation and test are all 0: nothing is held out")
        return self

    @classmethod
    def preset(cls, name: str, /, **changes: Any) -> SplitConfig:
        """The preset called ``name`` with ``changes`` laid on top.

        Raises:
            ConfigError: There is no such preset or setting, or a value does not fit.
        """
        if name not in PRESETS:
            raise ConfigError(f"unknown split preset {name!r}", hint=suggest(name, PRESETS))
        return build(cls, PRESETS[name].model_dump() | changes, where=f"split preset {name!r}")


def _check_bounds(name: str, low: int, high: int | None) -> None:
    if high is not None and low > high:
        raise ValueError(f"min_{name} = {low} is above max_{name} = {high}")


PRESETS: dict[str, SplitConfig] = {
    "dpl": SplitConfig(),
    "small": SplitConfig(
        min_text_chars=50,
        require_title=False,
        require_rating=False,
        require_timestamp=False,
        require_item_title=False,
        min_description_chars=None,
        max_description_chars=None,
        min_item_users=4,
        min_user_reviews=8,
        train=1,
        min_peers=3,
        min_profile=4,
    ),
}
"""``dpl``: the DPL authors' thresholds, for corpora of millions of reviews. ``small``: for thousands of reviews, which
need have no titles, ratings, timestamps or descriptions."""
