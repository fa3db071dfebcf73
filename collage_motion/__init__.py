"""Long, composed and looped human motion from text."""

__version__ = "0.1.0"
