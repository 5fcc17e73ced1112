"""Derivatives from values of f: stencils, noise, the search of steps, the sweep over pairs, and the error bars."""
