"""Time and new names, which the core and the use cases never take for themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

Now = Callable[[], datetime]
NewId = Callable[[], str]
Sleep = Callable[[float], None]  # seconds
