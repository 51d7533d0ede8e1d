"""Proof that the emulator computes what QuantizeML's integer layers define, on random networks.

Development tooling: needs the ``oracle`` extra (quantizeml, tf_keras) and is not shipped.
"""
