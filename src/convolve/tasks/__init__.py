"""What is asked of an image: each task owns its options, loss, prediction, metrics and report. One folder a task."""
