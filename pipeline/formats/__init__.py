"""Formats of quantized files, as tables for an importer and an exporter."""
