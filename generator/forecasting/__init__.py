"""What a build will make and take, before it is made: a sample of every layer's neurons, worked out and rendered for good."""
