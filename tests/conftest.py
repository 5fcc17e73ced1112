"""Hypothesis without deadlines: the machines that run the tests are shared and noisy."""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
