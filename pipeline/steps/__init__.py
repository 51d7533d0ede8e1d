"""The steps on a user's own models as Python functions, which `crossgrade` and commands share.

Modules import what they need inside functions, so that ``import crossgrade`` starts immediately.
"""
