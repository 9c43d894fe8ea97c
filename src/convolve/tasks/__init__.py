"""What is asked of an image: each task owns its target, loss, metrics and prediction."""
