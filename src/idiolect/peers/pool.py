"""Who is a peer: anyone else who wrote about the same item, optionally only those who wrote before a moment.

Which reviews are visible at all is the reader's business (a snapshot holds one phase's pool); this adds what a user and
a sample bring to the question.
"""

from __future__ import annotations

from collections.abc import Sequence

from idiolect.errors import ConfigError
from idiolect.store.base import ReviewReader
from idiolect.types import Review, Sample


def time_cut(sample: Sample) -> int | None:
    """The time (seconds) before which a peer must have written to be known when the sample was written.

    Returns:
        The sample's timestamp; None (no cut) when writing for real, where everything known is the past.

    Raises:
        ConfigError: The sample has no timestamp; its order tells nothing about other users' reviews.
    """
    if sample.target is None:
        return None
    if sample.timestamp is None:
        raise ConfigError(
            f"no time cut between users without timestamps (review {sample.target!r})", hint="set peers_before to false"
        )
    return sample.timestamp


def peers_of(reader: ReviewReader, review: Review, *, before: int | None = None) -> list[Review]:
    """The visible reviews of the same item by others than the review's author, oldest first.

    Args:
        reader: What is visible.
        review: The review that is compared.
        before: Only reviews with timestamp < ``before`` (seconds).
    """
    return reader.reviews_of(review.item, exclude=review.user, before=before)


def with_peers(
    reader: ReviewReader, profile: Sequence[Review], *, at_least: int, before: int | None = None
) -> list[Review]:
    """The reviews of ``profile`` whose item at least ``at_least`` *other users* wrote about, in the same order.

    Source: DRP, anchors for difference extraction (there with 4). Users are counted, not reviews: one prolific peer is
    one voice.

    Args:
        reader: What is visible.
        profile: Reviews of one user.
        at_least: Others that an item needs; 0 keeps everything.
        before: Only peers' reviews with timestamp < ``before`` (seconds) count.
    """
    return [
        review for review in profile if len({peer.user for peer in peers_of(reader, review, before=before)}) >= at_least
    ]
