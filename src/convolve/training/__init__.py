"""The loop, optimizers, schedules, checkpoints and the run's folder."""
