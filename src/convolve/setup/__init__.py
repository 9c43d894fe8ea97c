"""From a recipe to a training that is ready to run, and from a run to a network that is ready to predict."""
