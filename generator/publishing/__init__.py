"""A site on its way to readers: served on this machine while it is edited, held against itself, listed for search engines."""
