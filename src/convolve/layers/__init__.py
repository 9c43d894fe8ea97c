"""The pieces that papers introduced, each with its paper."""
