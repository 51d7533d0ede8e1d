"""Comparison of the emulator with QuantizeML's integer layers on random networks.

Development tooling: needs the ``oracle`` extra (quantizeml, tf_keras) and is not shipped.
"""
