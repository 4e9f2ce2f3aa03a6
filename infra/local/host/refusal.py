"""The one exception that ends the start of the host with a sentence for a person."""

from __future__ import annotations


class Refused(Exception):
    """What Azure would refuse, or this host cannot run: one sentence, and details if they help."""

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.details = details
