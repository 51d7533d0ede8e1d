"""Recompute a certificate: ``crossgrade.verify``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.steps.python import step


class Verified:
    """What recomputing a certificate found.

    Attributes
    ----------
    findings : tuple of pipeline.migration.verify.Finding
        One for each entry: ``what``, ``good``, ``detail``.
    """

    def __init__(self, findings: Sequence):
        self.findings = tuple(findings)

    def __repr__(self) -> str:
        return f"<Verified: {'holds' if self.holds else 'does not hold'}>"

    @property
    def holds(self) -> bool:
        """True if every entry matches."""
        return all(finding.good for finding in self.findings)

    def lines(self) -> list[str]:
        """Return a line for each entry, and the verdict."""
        rows = [f"{'ok' if f.good else 'FAILED':<8}{f.what}: {f.detail}" for f in self.findings]
        bad = sum(not finding.good for finding in self.findings)
        verdict = f"{bad} of {len(rows)} do not match" if bad else "the certificate holds"
        return [*rows, verdict]

    def summary(self) -> None:
        """Print each entry, and the verdict."""
        from pipeline.messages.lines import wrapped_lines

        print(wrapped_lines("\n".join(self.lines())))


@step
def verify(
    certificate: Any, *, model: Any = None, output: Any = None, calibration: Any = None
) -> Verified:
    """Recompute a certificate of a migration, and compare.

    Recomputes the hashes of both models, the target's rules, and the outputs on the samples.

    Parameters
    ----------
    certificate : path-like
        The certificate, or its folder.
    model, output, calibration : path-like, optional
        The files of the original model, the migrated one and the samples, if they have moved.

    Returns
    -------
    Verified

    Raises
    ------
    DataError
        If it is missing, damaged, or not a certificate.
    """
    from pipeline.migration import verify as verify_files

    return Verified(verify_files(certificate, model=model, output=output, calibration=calibration))
