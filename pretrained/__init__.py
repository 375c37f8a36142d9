"""Networks with trained weights, their manifest and cards."""
