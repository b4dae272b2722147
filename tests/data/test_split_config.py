import pytest

from idiolect.config import build
from idiolect.data import PRESETS, SplitConfig
from idiolect.errors import ConfigError


def test_the_default_is_the_authors_preset():
    assert SplitConfig() == PRESETS["dpl"]
    assert SplitConfig().held_out == 10


def test_a_preset_takes_changes():
    config = SplitConfig.preset("small", min_peers=2)
    assert config == PRESETS["small"].model_copy(update={"min_peers": 2})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_peer": 2}, "unknown setting 'min_peer'.*min_peers"),
        ({"min_user_reviews": 30, "max_user_reviews": 20}, "above max_user_reviews = 20"),
        ({"min_description_chars": 30, "max_description_chars": 20}, "above max_description_chars = 20"),
        ({"train": 0, "validation": 0, "test": 0}, "nothing is held out"),
        ({"min_profile": 0}, "min_profile"),
        ({"train": 2, "min_train": 3}, "min_train = 3 is more than train = 2"),
    ],
)
def test_wrong_settings_are_refused(settings: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        build(SplitConfig, settings)
    with pytest.raises(ConfigError, match=message):
        SplitConfig.preset("dpl", **settings)


def test_the_small_preset_takes_a_corpus_of_nothing_but_users_items_and_texts():
    rules = SplitConfig.preset("small").model_dump()
    assert not any(value for name, value in rules.items() if name.startswith("require_"))
    assert rules["min_description_chars"] is None


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'small'"):
        SplitConfig.preset("smal")
