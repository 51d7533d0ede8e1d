"""What users are told: notes and warnings, and the names that settings have where they are told."""
