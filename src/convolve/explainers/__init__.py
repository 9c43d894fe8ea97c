"""What a network looks at, and what it has learned to see: heat maps over images, and the network's inside."""

from __future__ import annotations
