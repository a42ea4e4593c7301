"""Results by content: what was worked out once is found again by what it was worked out from."""
