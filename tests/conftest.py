"""Hypothesis without deadlines, for data too: the machines that run the tests are shared and noisy."""

from hypothesis import HealthCheck, settings

settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
