"""Names of parameters as MLflow takes them."""

from __future__ import annotations

import hashlib
import re

LONGEST = 250
REFUSED = re.compile(r"[^/\w.\- ]|/(?=[/.])")
"""What MLflow refuses in a name, and ``:``, which marks replaced characters here."""


def parameter_name(name: str) -> str:
    """Return a dotted name for MLflow: ``pw_*`` becomes ``pw_:2A``, different names stay different.

    Names that are too long for MLflow end in a digest.
    """
    name = REFUSED.sub(lambda match: f":{ord(match[0]):02X}", name)
    if len(name) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: LONGEST - len(digest) - 1]}.{digest}"
