"""A small Functions host around Microsoft's own Python worker library."""
