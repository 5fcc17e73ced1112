"""Derivatives from gradients: columns of a Hessian, products and curvature along lines, and their searches by level."""
