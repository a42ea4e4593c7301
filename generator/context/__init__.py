"""Faces that show a neuron by what it responds to: pictures made by optimization, behind the weights of the other pages."""
