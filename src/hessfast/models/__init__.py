"""What is made of slopes and curvature: steps, second-order models, their pictures and the descent along them."""
