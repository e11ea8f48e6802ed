"""Pictures: decode, fit to the model, encode answers."""
