"""Migrate a float model to another chip, and certify the changes."""

from __future__ import annotations

from pipeline.migration.certificate import make_certificate
from pipeline.migration.migrate import Migration, migrate
from pipeline.migration.verify import verify

__all__ = ["Migration", "make_certificate", "migrate", "verify"]
