"""A built atlas used from elsewhere: figures whose elements lead to it, and its numbers and cards in a notebook."""
