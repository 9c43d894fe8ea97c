"""Depth from stereo pairs without depth maps: `--task stereo`."""
