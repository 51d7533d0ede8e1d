"""Reproducible runs under DVC: workspaces, the server that runs DVC, and the files of users."""
