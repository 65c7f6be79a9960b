"""The words of the hub's page in zh and en; reasons and lengths of time come from `edge.words`."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = ("zh", "en")


class Wording:
    """The labels of one language.

    Args:
        language: One of `LANGUAGES`.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.other = LANGUAGES[1 - LANGUAGES.index(language)]
        self._labels = _files()[language]

    def __call__(self, key: str, **params: int | str) -> str:
        """Return a label with its placeholders filled.

        Raises:
            KeyError: There is none; keys are named in code, never by a stranger.
        """
        text = self._labels[key]
        for name, value in params.items():
            text = text.replace("{" + name + "}", f"{value:,}" if isinstance(value, int) else value)
        return text


def chosen(asked: str, accepted: str | None) -> Wording:
    """Return the wording of the language asked for, else the browser's, else the first.

    Args:
        asked: What the address says, perhaps nothing or nonsense.
        accepted: What fits the browser's Accept-Language best, or None.
    """
    return Wording(asked if asked in LANGUAGES else accepted or LANGUAGES[0])


@cache
def _files() -> Mapping[str, Mapping[str, str]]:
    text = resources.files("edge.hub").joinpath("labels.json").read_text(encoding="utf-8")
    labels: Mapping[str, Mapping[str, str]] = json.loads(text)
    return labels
